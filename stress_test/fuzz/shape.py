"""One input."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shape:
    """Bytes to be sent over a connection of their own.

    Attributes:
        kind: for the report.
        method: as sent, path without its query: to be compared with OpenAPI; None if the request line is odd itself.
        whole: the request has its end: there is nothing more that its sender could say.
    """

    kind: str
    raw: bytes
    method: str | None = None
    path: str | None = None
    whole: bool = False
