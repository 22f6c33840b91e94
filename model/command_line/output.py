"""What is printed: names of files, and JSON as it comes."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

FORMATS = ("table", "json", "csv")  # the first is the default


def take_any_name() -> None:
    """A file name may hold what the terminal's encoding can't show; that must not end the run."""
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a text stream has it
    sys.stderr.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def printable(picture: Path) -> str:
    """A file's name on one line of a terminal, whatever characters it holds."""
    name = str(picture)
    return name if name.isprintable() else ascii(name)


def reason_of(error: Exception) -> str:
    """Why a file could not be read or written, without its name."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def name_width(pictures: Sequence[Path]) -> int:
    """Of a table's column of names, in characters."""
    return max(len(printable(picture)) for picture in pictures)


def print_json_array(objects: Iterable[Mapping[str, Any]]) -> None:
    """One object a line, each written when it comes."""
    separator = "["
    for shown in objects:
        print(separator, json.dumps(shown), sep="\n", end="")
        separator = ","
    print("[]" if separator == "[" else "\n]")
