"""What C libraries write to standard error: of some damage they say so there, and nowhere else."""

from __future__ import annotations

import os
from typing import Self

_STANDARD_ERROR = 2  # C's, whatever Python has made of its own
_LONGEST_BYTES = 4096


class CapturedStderr:
    """A context in which whatever is written to standard error is kept from it.

    Attributes:
        text: after the context, the beginning of it.
    """

    text = b""

    def __enter__(self) -> Self:
        self._kept = os.dup(_STANDARD_ERROR)
        self._read, written = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(written, False)  # what does not fit is lost
        os.dup2(written, _STANDARD_ERROR)
        os.close(written)
        return self

    def __exit__(self, *_: object) -> None:
        os.dup2(self._kept, _STANDARD_ERROR)
        os.close(self._kept)
        self.text = os.read(self._read, _LONGEST_BYTES)
        os.close(self._read)
