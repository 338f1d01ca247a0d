"""What transformers says of a base that it does not load, in words that help here."""

from __future__ import annotations

from headstart.errors import first_line


def why(error: BaseException) -> str:
    """Why a base cannot be loaded; of one with Python code of its own transformers advises what nothing here may do."""
    if "trust_remote_code" in str(error):
        return "it needs Python code of its own, and no base's code is ever run here; give one that transformers knows by itself."
    return first_line(error)
