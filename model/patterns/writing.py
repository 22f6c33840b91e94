"""A set of patterns → the text of a pattern file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contract.patterns.pattern import ExpectedObject, PatternSet, RelativeBox


def text_of(patterns: PatternSet, remark: str) -> str:
    """What ``parse_patterns`` reads as these patterns, whose boxes have at most four decimals.

    Args:
        remark: becomes a comment of one line.
    """
    lines = [f"# {' '.join(remark.split())}"]
    for pattern in patterns.patterns:
        lines += [f"{_quoted(pattern.name)}:", *map(_line, pattern.objects)]
    return "\n".join(lines) + "\n"


def _line(expected: ExpectedObject) -> str:
    named = f"label: {_quoted(expected.label)}" if expected.label is not None else f"class_id: {expected.class_id}"
    return f"  - {{{named}, inner: {_box(expected.inner)}, outer: {_box(expected.outer)}}}"


def _box(box: RelativeBox) -> str:
    return "[" + ", ".join(f"{edge:.4f}" for edge in box) + "]"


def _quoted(name: str) -> str:
    """JSON's texts are YAML's too, and "no" is no boolean in quotes."""
    return json.dumps(name, ensure_ascii=False)
