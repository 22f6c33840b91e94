"""What ends the making of a pattern."""

from __future__ import annotations


class Unclear(Exception):
    """The pictures do not say what a good part is; the message says why, and what can be done about it."""
