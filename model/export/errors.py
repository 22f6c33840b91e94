"""The one error a build shows: a sentence for the person at the terminal, never a traceback."""

from __future__ import annotations


class ExportError(Exception):
    """The build cannot go on; the message says why, and what to do about it."""
