"""The error of a measurement that can't be made."""

from __future__ import annotations


class CannotMeasure(Exception):
    """The message is the one line that the person at the terminal reads."""
