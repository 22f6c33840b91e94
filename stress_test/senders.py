"""Whom the load comes from: a service bounds what one sender gets, so the load of many must not come from one.

A sender is a key or, where the service is open, an address.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Self

KEYS_VARIABLE = "CLASSIFIER_KEY"
ADDRESSES = 50


@dataclass(frozen=True, slots=True)
class Senders:
    """Requests have them in turns, by their numbers; without ``keys`` no key is sent."""

    keys: tuple[str, ...] = field(default=(), repr=False)

    @classmethod
    def of_environment(cls) -> Self:
        """Those whose keys ``CLASSIFIER_KEY`` holds: one, or several with spaces between them."""
        return cls(tuple(os.environ.get(KEYS_VARIABLE, "").split()))

    @property
    def environment(self) -> dict[str, str]:
        """What another process needs for ``of_environment``."""
        return {KEYS_VARIABLE: " ".join(self.keys)} if self.keys else {}

    def headers(self, number: int) -> dict[str, str]:
        """What request ``number`` carries beside its own headers."""
        return {"Authorization": f"Bearer {self.keys[number % len(self.keys)]}"} if self.keys else {}

    @staticmethod
    def address(number: int) -> tuple[str, int]:
        """Where request ``number`` comes from, for a service on this machine: an address of loopback, and any port."""
        return f"127.0.1.{1 + number % ADDRESSES}", 0


WITHOUT_KEYS = Senders()
