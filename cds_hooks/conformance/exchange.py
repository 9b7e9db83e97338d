"""What is asked of the server that is checked, and what came back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any

import msgspec

JSON: Mapping[str, str] = {"content-type": "application/json"}


class Fault(StrEnum):
    """Why there is no status: nothing came back, or nothing that could be read to its end."""

    TIMEOUT = "no answer within the time of a request"
    UNREACHABLE = "no connection, or no certificate that this machine trusts"
    CLOSED = "the connection was closed without an answer"
    BROKEN = "the answer was no HTTP, or broke off"
    OVERSIZED = "the answer was larger than the checker reads"
    COMPRESSED = "the answer was compressed though identity was asked for"
    OVER = "the time or the volume of the check was over"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One HTTP request. `path` is relative to the base URL; `name` says in the report what was sent."""

    name: str
    method: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    authorized: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back: a status with its headers (names in lower case) and body, or the fault that kept it away."""

    ask: Ask
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    seconds: float = 0.0
    fault: Fault | None = None

    @property
    def media_type(self) -> str:
        """The media type without its parameters, in lower case; empty if none was named."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def document(self) -> Any:
        """The body as JSON; None if it is none."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None  # that it is none is a finding of its own: see conduct.py

    @property
    def described(self) -> str:
        """The status or the fault, for the report."""
        return str(self.fault) if self.status is None else f"status {self.status}"


def post(name: str, path: str, document: object, **headers: str) -> Ask:
    """A POST of JSON; bytes are sent as they are."""
    body = document if isinstance(document, bytes) else msgspec.json.encode(document)
    return Ask(name=name, method="POST", path=path, body=body, headers={**JSON, **headers})


get = partial(Ask, method="GET")


def plain(text: str, *, limit: int = 120) -> str:
    """Foreign text that can be printed: one line, no control characters, not longer than `limit`."""
    shown = "".join(character if character.isprintable() else "�" for character in text[: limit + 1])
    return shown if len(shown) <= limit else f"{shown[:limit]}…"
