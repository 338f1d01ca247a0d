"""The page: files of the package, shipped as they are, under a policy that lets nothing in from elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from headstart.serve.limits import Refused

INDEX, FILE = "/", "/studio/{name}"
"""Open without a key: the page itself asks for it."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # A newer version of the package is seen at once; what is unchanged is not sent again.
    "Cache-Control": "no-cache",
}
TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@final
@dataclass(frozen=True)
class Page:
    """One file."""

    content: bytes
    type: str

    @property
    def tag(self) -> str:
        """Another for another content."""
        return f'"{hashlib.sha256(self.content).hexdigest()[:24]}"'


def shipped() -> dict[str, Page]:
    """All files of the page, by name."""
    folder = files("headstart").joinpath("studio")
    return {it.name: Page(it.read_bytes(), TYPES[ends]) for it in folder.iterdir() if (ends := f".{it.name.rpartition('.')[2]}") in TYPES}


@final
@dataclass(frozen=True)
class Studio:
    """The page behind HTTP."""

    pages: Mapping[str, Page] = field(default_factory=shipped)

    def routes(self) -> list[Route]:
        """For `Api.app`."""
        return [Route(INDEX, self.index, include_in_schema=False), Route(FILE, self.file, include_in_schema=False)]

    async def index(self, request: Request) -> Response:
        """The page."""
        return self._sent(request, "index.html")

    async def file(self, request: Request) -> Response:
        """One of its parts."""
        return self._sent(request, request.path_params["name"])

    def _sent(self, request: Request, name: str) -> Response:
        page = self.pages.get(name)
        if page is None:
            raise Refused(404, "The page has no such file.", "name", "not_found")
        headers = HEADERS | {"ETag": page.tag}
        if request.headers.get("if-none-match") == page.tag:
            return Response(status_code=304, headers=headers)
        return Response(page.content, media_type=page.type, headers=headers)
