"""Paths under which a proxy shows the service, as settings and ``X-Forwarded-Prefix`` write them."""

from __future__ import annotations

import re

LONGEST = 200  # characters

# It gets into links. So no segment is empty, which would make "//name" another host, and none is "." or "..".
_PATH = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")


def checked_root_path(text: str) -> str:
    """``/classifier`` for ``/classifier`` and ``/classifier/``; empty for the root.

    Raises:
        ValueError: it is no path, or has other characters than those that mean the same everywhere.
    """
    path = text.removesuffix("/")
    if path and (len(path) > LONGEST or not _PATH.fullmatch(path)):
        raise ValueError(
            "must be a path such as /classifier, without scheme or host: "
            f"letters, digits and . _ ~ - between slashes, at most {LONGEST} characters"
        )
    return path


def within(root_path: str, path: str) -> str | None:
    """What of ``path`` comes after ``root_path``; None if it is not under it."""
    if path != root_path and not path.startswith(f"{root_path}/"):
        return None
    return path[len(root_path) :] or "/"
