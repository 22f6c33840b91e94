"""The time by which a request has to be answered."""

from __future__ import annotations

import time

from contract.errors import DeadlineExceeded

SHORTEST_WAIT_S = 0.001  # Redis counts in milliseconds


class Deadline:
    """A deadline ``seconds`` from now, by the monotonic clock."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._at = time.monotonic() + seconds

    def part(self, share: float) -> Deadline:
        """One that comes after ``share`` (0 to 1) of the time that is left."""
        return Deadline(max(0.0, self.left_s * share))

    @property
    def left_s(self) -> float:
        """Seconds until then; negative once it has passed."""
        return self._at - time.monotonic()

    def demand_left_s(self) -> float:
        """Seconds until then, at least a millisecond.

        Raises:
            DeadlineExceeded: it has passed.
        """
        if (left_s := self.left_s) < SHORTEST_WAIT_S:
            raise self.exceeded()
        return left_s

    def exceeded(self) -> DeadlineExceeded:
        """The error for a request that was not answered by then."""
        return DeadlineExceeded(f"no answer came within {self.seconds:g} seconds")
