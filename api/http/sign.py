"""What a look at a connection shows."""

from __future__ import annotations

from enum import Enum, auto
from typing import Protocol


class Sign(Enum):
    """What a connection's other end does."""

    SILENT = auto()
    SPEAKS = auto()  # there is a next request
    GONE = auto()  # nothing will ever come from it


class Watchable(Protocol):
    """A connection as the server has it."""

    def fileno(self) -> int: ...

    def look(self) -> Sign:
        """What the other end does; it must not wait."""
