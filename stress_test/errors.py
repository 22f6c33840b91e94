"""What keeps the stress test from its figures."""

from __future__ import annotations


class CannotMeasure(Exception):
    """The message is the one line that the person at the terminal reads."""
