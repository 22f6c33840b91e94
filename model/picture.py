"""What is given to a classifier."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture to classify.

    Attributes:
        data: encoded, of any supported format.
        strict: whether it is refused if it is damaged; otherwise what is there of it is classified.
    """

    data: bytes
    strict: bool = True
