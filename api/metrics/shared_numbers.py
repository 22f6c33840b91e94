"""Numbers that the API's processes keep together, in memory that they share.

Each process writes a row of its own, so that nobody waits for anybody; who reads adds the rows up. The memory is there
before gunicorn forks. A process that dies leaves its row behind, and its successor goes on from there.
Why not prometheus_client's own way: docs/decisions/0009-numbers-of-the-service.md. This file imports nothing of the
service: gunicorn's main process, which imports it, must not hold on to code that a reload is to replace.
"""

from __future__ import annotations

import mmap
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

ROWS = 256  # as many API processes may live at a time; a row takes no memory until it is written
CELLS = 4096
CELL_BYTES = 8


class SharedNumbers:
    """``ROWS`` rows of ``CELLS`` numbers, all 0 at first.

    A process has one row, and writes it from one thread at a time, as under gevent. Rows carry the fingerprint of
    their layout: after a reload of changed code old and new processes live side by side, and one must not take the
    other's numbers for its own.
    """

    def __init__(self) -> None:
        self.begun_at = time.time()
        self._begun = time.monotonic()
        self._fingerprints = memoryview(mmap.mmap(-1, ROWS * CELL_BYTES)).cast("Q")
        self._numbers = memoryview(mmap.mmap(-1, ROWS * CELLS * CELL_BYTES)).cast("d")
        self._row = 0

    @property
    def age_s(self) -> float:
        """Seconds since they were begun; the same in every process."""
        return time.monotonic() - self._begun

    def assign(self, taken: Collection[int]) -> int:
        """Choose the row of the process that is forked next: the first that nobody alive has."""
        self._row = next((row for row in range(ROWS) if row not in taken), ROWS - 1)
        return self._row

    def open_row(self, fingerprint: int) -> memoryview[float]:
        """This process's row, to be written. It goes on where a predecessor of the same layout left it, else at 0.

        Args:
            fingerprint: of the layout, 1 to 2**64 - 1.
        """
        row = self._numbers[self._row * CELLS : (self._row + 1) * CELLS]
        if self._fingerprints[self._row] != fingerprint:
            self._fingerprints[self._row] = 0  # nobody reads it meanwhile
            row[:] = memoryview(bytes(CELLS * CELL_BYTES)).cast("d")
            self._fingerprints[self._row] = fingerprint
        return row

    def sums(self, fingerprint: int, size: int) -> Sequence[float]:
        """The first ``size`` cells, each added up over all rows of this layout."""
        rows = [
            self._numbers[row * CELLS : row * CELLS + size].tolist()
            for row in range(ROWS)
            if self._fingerprints[row] == fingerprint
        ]
        return [sum(cells) for cells in zip(*rows, strict=True)]
