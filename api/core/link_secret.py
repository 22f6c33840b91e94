"""The secret that signs links to pictures: given, or made once, and then the same for all processes and restarts."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import uuid4

from api.settings import SHORTEST_LINK_SECRET
from contract.private_files import FILE_MODE, make_folder

if TYPE_CHECKING:
    from pathlib import Path

RANDOM_BYTES = 32


class NoLinkSecret(Exception):
    """There is none, and none can be made; the message names the file, and is for an operator."""


class LinkSecret:
    """Read once, when it is first needed.

    Args:
        given: the secret itself; empty if it is in ``path``.
        path: its file, which is made if it is not there.
    """

    def __init__(self, given: str, path: Path) -> None:
        self._path = path
        self._key = given.encode()

    @property
    def key(self) -> bytes:
        """Raises NoLinkSecret: there is none, and none can be made."""
        if not self._key:
            try:
                self._key = _read(self._path) or _make(self._path)
            except (OSError, ValueError) as error:
                raise NoLinkSecret(f"LINK_SECRET_FILE={self._path}: {error}") from error
        return self._key


def _read(path: Path) -> bytes | None:
    """None if there is no file; raises ValueError if it holds no secret."""
    try:
        key = path.read_bytes().strip()
    except FileNotFoundError:
        return None
    if len(key) < SHORTEST_LINK_SECRET:
        raise ValueError(f"the file holds no secret of {SHORTEST_LINK_SECRET} or more characters")
    return key


def _make(path: Path) -> bytes:
    """A new secret or, if another process was faster, that one's.

    The complete file appears by a link, which fails if there is one already.
    """
    make_folder(path.parent)
    part = path.with_name(f".{path.name}-{uuid4().hex}")
    file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    try:
        with open(file, "wb") as opened:  # noqa: PTH123  a descriptor has no path
            opened.write(secrets.token_urlsafe(RANDOM_BYTES).encode() + b"\n")
            opened.flush()
            os.fsync(file)
        with suppress(FileExistsError):
            os.link(part, path)
    finally:
        part.unlink()
    key = _read(path)
    if key is None:
        raise FileNotFoundError(f"{path} was deleted while it was made")
    return key
