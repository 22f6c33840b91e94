"""Redis' address, and the password that is kept apart from it. Health checks read both: nothing heavy is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    from pathlib import Path


def has_password(url: str) -> bool:
    """Raises ValueError: it is no URL."""
    return bool(urlsplit(url).password)


def with_password(url: str, password: str) -> str:
    """The address with a password in it, which nobody is to see; ``url`` itself if the password is empty.

    Args:
        url: ``redis://user@host:port/0`` or ``unix://user@/path``; without a user it is the password of Redis'
            default user.
    """
    if not password:
        return url
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user.partition(':')[0]}:{quote(password, safe='')}@{host}").geturl()


def read_password(path: Path) -> str:
    """The first line of a file.

    Raises:
        OSError: it can't be read.
        ValueError: there is none.
    """
    lines = path.read_text().splitlines()
    if not lines or not lines[0].strip():
        raise ValueError("it holds no password")
    return lines[0].strip()
