"""The lock files: each package of each room, pinned, with the hashes that pip accepts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ENTRY = re.compile(
    r"^(?P<name>[\w.-]+)==(?P<version>[\w.!+-]+)(?: ; (?P<marker>[^\\\n]+?))?"
    r"(?P<hashes>(?: \\\n +--hash=sha256:\w+)+)$",
    re.MULTILINE,
)
DIRECT = re.compile(r"^(?!-r )(?P<name>[\w.-]+)", re.MULTILINE)


@dataclass(frozen=True)
class Locked:
    """One version of a package. ``hashes`` are SHA-256 of its files, in hex; ``rooms`` those whose locks have it."""

    name: str
    version: str
    marker: str | None
    hashes: tuple[str, ...]
    rooms: tuple[str, ...]


def lock_files(root: Path) -> list[Path]:
    found = [*root.glob("*/requirements*.txt"), *root.glob("*/*/requirements*.txt")]
    return sorted(lock for lock in found if not lock.relative_to(root).parts[0].startswith("."))


def locked(root: Path) -> list[Locked]:
    """Every package of every lock file, once for each version, by name."""
    entries: dict[tuple[str, str], list[tuple[str, str | None, tuple[str, ...]]]] = {}
    for lock in lock_files(root):
        room = str(lock.parent.relative_to(root))
        for name, version, marker, hashes in _entries(lock.read_text()):
            entries.setdefault((name, version), []).append((room, marker, hashes))
    return [_merged(name, version, found) for (name, version), found in sorted(entries.items())]


def direct(root: Path, rooms: tuple[str, ...]) -> set[str]:
    """The packages that ``rooms`` themselves ask for."""
    inputs = [(root / room / "requirements.in").read_text() for room in rooms]
    return {str(canonicalize_name(name)) for text in inputs for name in DIRECT.findall(text)}


def _merged(name: str, version: str, found: list[tuple[str, str | None, tuple[str, ...]]]) -> Locked:
    rooms, markers, hashes = zip(*found, strict=True)
    marker = None if None in markers else " or ".join(sorted({f"({one})" for one in markers}))
    all_hashes = {digest for one in hashes for digest in one}
    return Locked(name, version, marker, tuple(sorted(all_hashes)), tuple(sorted({*rooms})))


def _entries(lock: str) -> Iterator[tuple[str, str, str | None, tuple[str, ...]]]:
    for entry in ENTRY.finditer(lock):
        hashes = tuple(re.findall(r"sha256:(\w+)", entry["hashes"]))
        yield str(canonicalize_name(entry["name"])), entry["version"], entry["marker"], hashes
