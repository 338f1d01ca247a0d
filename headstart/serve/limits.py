"""What a server takes at most, and from whom."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar, final

from starlette.requests import ClientDisconnect, Request

from headstart.errors import SettingsError

T = TypeVar("T")
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
"""What may be half of a character of two."""


@final
@dataclass(frozen=True)
class Limits:
    """Bounds of one request."""

    body: int = 4 << 20
    """Bytes."""
    body_seconds: float = 30.0
    """For the body to come."""
    tokens: int = 4096
    """Of an answer."""
    rows: int = 16
    """Answers to one request: prompts times n."""
    upload: int = 8 << 20
    """Bytes of a file to teach from, the form around it included."""
    examples: int = 1000
    """In such a file."""
    stored: int = 256 << 20
    """Bytes of all files that are kept."""
    jobs: int = 16
    """At work or waiting."""


@final
class Refused(Exception):
    """A request that cannot be served, with the status that says so."""

    def __init__(self, status: int, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.param, self.code = status, param, code


async def body_of(request: Request, limits: Limits, most: int | None = None) -> bytes:
    """The whole body, as long as it is within bounds.

    Args:
        request: whose.
        limits: see there.
        most: bytes, where they are others than any body's.

    Raises:
        Refused: too large, or too slow.
    """
    most = limits.body if most is None else most
    parts, size = [], 0
    try:
        async with asyncio.timeout(limits.body_seconds):
            async for part in request.stream():
                size += len(part)
                if size > most:
                    raise Refused(413, f"The body is larger than {most} bytes, the most that is taken.")
                parts.append(part)
    except TimeoutError:
        raise Refused(408, f"The body did not come within {limits.body_seconds:.0f} seconds.") from None
    except ClientDisconnect:
        raise Refused(400, "The body broke off.") from None
    return b"".join(parts)


async def json_of(request: Request, limits: Limits) -> dict[str, Any]:
    """The body as a JSON object, without what is null in it: nobody gave that.

    Raises:
        Refused: it is none, or a browser does not say that it is.
    """
    # A page of another place may send any other kind without asking first; leave to send JSON it asks for, and is given none.
    if "origin" in request.headers and request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused(415, "A browser's request has to say that it is JSON: send it with `Content-Type: application/json`.")
    body = await body_of(request, limits)
    try:
        # JSON's own reading of bytes lets halves of characters pass.
        found = json.loads(body.decode("utf-8-sig"), object_hook=_told)
        if _HALF.search(body):
            json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise Refused(400, "A text has half a surrogate pair, which is no character.") from None
    except (ValueError, RecursionError) as error:
        told = (
            f"line {error.lineno}, column {error.colno}: {error.msg}"
            if isinstance(error, json.JSONDecodeError)
            else "no UTF-8, or too deep"
        )
        raise Refused(400, f"The body is not JSON ({told}).") from None
    if not isinstance(found, dict):
        raise Refused(400, "The body is JSON and no object; an object with a model is wanted.")
    return found


def bounded(rows: Iterable[T], limits: Limits, param: str) -> Iterator[T]:
    """Rows to teach from, as long as they are within bounds; no more are read.

    Raises:
        Refused: there are too many.
    """
    found = list(islice(rows, limits.examples + 1))
    if len(found) > limits.examples:
        raise Refused(413, f"There are more than {limits.examples} rows, the most that are taken.", param)
    return iter(found)


def _told(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def allowed(request: Request, key: str | None) -> bool:
    """Whether a request carries the key, compared in constant time."""
    given = request.headers.get("authorization", "")
    return key is None or hmac.compare_digest(given.encode(), f"Bearer {key}".encode())


def foreign(request: Request) -> bool:
    """Whether a browser says that a page of another place sends this."""
    origin = request.headers.get("origin")
    return origin is not None and origin.partition("://")[2] != request.headers.get("host")


def loopback(host: str) -> bool:
    """Whether an address reaches this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_address(host: str, key: str | None) -> None:
    """Nobody else gets in without a key.

    Raises:
        SettingsError: an address that others reach, and no key.
    """
    if not loopback(host) and not key:
        raise SettingsError(
            f"--host {host} lets other machines in, and no key is set: set HEADSTART_API_KEY in the environment, or give --api-key, or "
            "serve on 127.0.0.1."
        )
    if key is not None and not key.isascii():
        raise SettingsError("The API key has letters beyond ASCII, which a header cannot carry.")
