"""What a written report has, whatever its figures."""

from __future__ import annotations

from itertools import pairwise


def outline(markdown: str) -> list[str]:
    """A page's headings and the heads of its tables, in order."""
    lines = [*markdown.splitlines(), ""]
    return [line for line, below in pairwise(lines) if line.startswith("#") or below.startswith(("|-", "|:"))]
