"""What one sender may have: so many requests, or bytes, in a minute or in a day."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

MB = 1_000_000


class Unit(IntEnum):
    """What is counted of a sender; of the last there is no quota."""

    REQUESTS = 0
    BYTES = 1
    REFUSED = 2


@dataclass(frozen=True, slots=True)
class Window:
    """Time in parts of equal length, the first of which began with Unix time."""

    name: Literal["minute", "day"]
    length_s: int

    def index(self, now: float) -> int:
        """The number of the part in which ``now``, a Unix time, lies."""
        return int(now // self.length_s)

    def numbered(self, index: int) -> str:
        """What keys in Redis call that part."""
        return f"{self.name}-{index}"

    def left_s(self, now: float) -> int:
        """How long that part still lasts, in whole seconds, at least 1 and at most its length."""
        return self.length_s - int(now % self.length_s)


MINUTE = Window("minute", 60)
DAY = Window("day", 86_400)


@dataclass(frozen=True, slots=True)
class Quota:
    """At most ``most`` units in each part of the window."""

    window: Window
    unit: Unit
    most: int

    @property
    def name(self) -> str:
        return self.window.name if self.unit is Unit.REQUESTS else f"{self.window.name}-bytes"

    @property
    def in_words(self) -> str:
        """As in "one may send ..."."""
        if self.unit is Unit.BYTES:
            amount = f"{self.most // MB} MB"
        else:
            amount = "1 request" if self.most == 1 else f"{self.most} requests"
        return f"{amount} a {self.window.name}"


Quotas = tuple[Quota, ...]


def quotas_of(*, requests_per_minute: int, requests_per_day: int, mb_per_minute: int, mb_per_day: int) -> Quotas:
    """Those that hold; 0 is no limit."""
    limits: tuple[tuple[Window, Unit, int], ...] = (
        (MINUTE, Unit.REQUESTS, requests_per_minute),
        (DAY, Unit.REQUESTS, requests_per_day),
        (MINUTE, Unit.BYTES, mb_per_minute * MB),
        (DAY, Unit.BYTES, mb_per_day * MB),
    )
    return tuple(Quota(window, unit, most) for window, unit, most in limits if most)
