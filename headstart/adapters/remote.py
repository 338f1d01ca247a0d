"""Another engine over HTTP: JSON to and fro, and streams of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import inf
from typing import Any, final

import httpx

from headstart.errors import EngineGone

_LONGEST = 300
"""Letters of what an engine said that are told."""


@final
class Remote:
    """An engine at an address; any thread's. A connection for each request, so that there is nothing to close.

    Args:
        address: such as http://127.0.0.1:8080.
        key: sent as a bearer's, where it has one.
        seconds: for it to say anything at all.
    """

    def __init__(self, address: str, key: str | None = None, seconds: float = 120.0) -> None:
        self.address = address.rstrip("/")
        self.headers = {"Authorization": f"Bearer {key}"} if key else {}
        """What every request has."""
        self._how: dict[str, Any] = {
            "headers": self.headers,
            "timeout": seconds,
            # What the environment has of proxies is for the world outside; and certificates take a while to be read.
            "trust_env": False,
            "verify": self.address.startswith("https:"),
        }

    def get(self, path: str) -> Any:
        """What lies there.

        Raises:
            EngineGone: nobody answers, or with an error.
        """
        return self._asked("GET", path, None)

    def post(self, path: str, body: Any) -> Any:
        """The answer to a body: JSON as what it says, all else as its text.

        Raises:
            EngineGone: nobody answers, or with an error.
        """
        return self._asked("POST", path, body)

    def events(self, path: str, body: Any, seconds: float = inf) -> Iterator[Any]:
        """The answer as it grows, server-sent events without the mark of their end; closing it hangs up.

        Args:
            path: see `post`.
            body: see `post`.
            seconds: for it to say anything, where that is less than what every request has.

        Raises:
            EngineGone: nobody answers, or with an error, or no more.
        """
        how = self._how | {"timeout": min(seconds, self._how["timeout"])}
        try:
            with httpx.stream("POST", self.address + path, json=body, **how) as said:
                if said.is_error:
                    said.read()
                    raise self._gone(path, said)
                for line in said.iter_lines():
                    if line.startswith("data: ") and line != "data: [DONE]":
                        yield _json(self.address + path, line.removeprefix("data: "))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise EngineGone(f"{self.address}{path} does not answer: {error or type(error).__name__}") from error

    def _asked(self, how: str, path: str, body: Any) -> Any:
        try:
            said = httpx.request(how, self.address + path, json=body, **self._how)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise EngineGone(f"{self.address}{path} does not answer: {error or type(error).__name__}") from error
        if said.is_error:
            raise self._gone(path, said)
        is_json = said.headers.get("content-type", "").startswith("application/json")
        return _json(self.address + path, said.text) if is_json else said.text

    def _gone(self, path: str, said: httpx.Response) -> EngineGone:
        return EngineGone(f"{self.address}{path} answers {said.status_code}: {said.text.strip()[:_LONGEST]}")


def _json(place: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise EngineGone(f"{place} answers what is no JSON: {text[:_LONGEST]}") from None
