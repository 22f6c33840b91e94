"""A machine whose clock is wrong, for tests of several machines in one."""

from __future__ import annotations

import datetime as dt
import time
from datetime import datetime
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from datetime import tzinfo


def shift(ahead_s: float) -> None:
    """Have this process take the time for ``ahead_s`` seconds later than it is, for good.

    Whoever has taken ``datetime.datetime`` or ``time.time`` out of its module before is not affected; RQ has not.
    """
    true_time = time.time

    class Shifted(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return cls.fromtimestamp(true_time() + ahead_s, tz)

    time.time = lambda: true_time() + ahead_s
    dt.datetime = Shifted  # type: ignore[misc]
