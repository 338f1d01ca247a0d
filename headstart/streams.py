"""Standard input, output and errors: there, in any alphabet, and written or said not to be."""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from typing import Literal

from headstart.errors import StorageError

_UNWRITABLE = {errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF}

CODES = r"\x00-\x08\x0b-\x1f\x7f-\x9f"
"""What is no text, as a class of a pattern holds it. Line breaks and tabs are a text's own, and so is whatever joins letters, keeps
them apart or says which way they run."""
OBEYED = rf"[{CODES}\u202a-\u202e\u2066-\u2069]"
"""What a terminal obeys where it should show it: codes, and letters that turn what follows around."""


def plain(text: str) -> str:
    """A text from elsewhere as a terminal may show it: without what it would obey."""
    return re.sub(OBEYED, "", text)


def settle() -> None:
    """Before anything is read or written."""
    # Whoever began this may have closed them.
    sys.stdin, sys.stdout, sys.stderr = sys.stdin or _nowhere("r"), sys.stdout or _nowhere("w"), sys.stderr or _nowhere("w")
    for stream in (sys.stdout, sys.stderr):
        # Whatever the console's own alphabet is: answers are in any, and JSON is UTF-8.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace")
    if isinstance(sys.stdin, TextIOWrapper):
        # What is no text is then refused by whoever reads it.
        sys.stdin.reconfigure(errors="surrogateescape")


@contextmanager
def written() -> Iterator[None]:
    """See that all that the block says reaches whoever listens.

    Raises:
        StorageError: it does not; where nobody listens any more there is nobody to tell, and the program ends.
    """
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except OSError as error:
        # Every file is opened by its name, which its errors tell, or is written by `disk`, which tells of them itself.
        if error.filename is not None or error.errno not in _UNWRITABLE:
            raise
        # Python would try once more at its end.
        sys.stdout = _nowhere("w")
        if error.errno == errno.EPIPE:
            sys.exit(1)
        raise StorageError(f"The answer could not be written to standard output: {os.strerror(error.errno)}.") from error


def _nowhere(mode: Literal["r", "w"]) -> TextIOWrapper:
    return open(os.devnull, mode, encoding="utf-8")
