"""What a store of pictures can do, wherever it keeps them."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Sequence
from typing import IO, Protocol

from contract.errors import PictureNotFound

log = logging.getLogger(__name__)

NAME = re.compile(r"[0-9a-f]{64}")
NOT_FOUND = "there is no such picture here; it may have been removed since"
Held = Callable[[Sequence[str]], Collection[str]]
"""Those of the pictures' names that a job needs."""


class PictureStore(Protocol):
    """Encoded pictures, each stored once under the SHA-256 of its bytes. Nothing is decoded here.

    Every method may raise BackendDown: the store fails, or is away.

    Attributes:
        renewed_after_s: a picture sent again sooner is young enough as it is.
        reads_at_once: how many reads are worth beginning side by side.
    """

    renewed_after_s: float
    reads_at_once: int

    def put(self, data: bytes, *, durable: bool = False) -> str:
        """Store a picture, or refresh the age of the same picture stored before; returns its name.

        A reader never sees half a picture.

        Args:
            durable: return once the picture would survive a power failure.

        Raises:
            StoreFull: there is no room for it.
        """
        ...

    def put_and_tell(self, data: bytes, *, durable: bool = False) -> tuple[str, bool]:
        """As ``put``; also whether that made the picture younger, by more than ``renewed_after_s``."""
        ...

    def read(self, name: str) -> bytes:
        """The bytes of a stored picture, which are those that its name stands for.

        Raises:
            PictureNotFound: no picture has this name, or can have it; or there are other bytes under it.
        """
        ...

    def open(self, name: str) -> IO[bytes]:
        """A stored picture as a file, once its bytes have been found to be those that its name stands for.

        Raises:
            PictureNotFound: as ``read``.
        """
        ...

    def distrust(self, name: str) -> None:
        """A reader found no picture, or other bytes: the next ``put`` stores it whatever is there."""
        ...

    def sent_at_ns(self, name: str) -> int | None:
        """When a picture was last stored or made younger, in Unix nanoseconds; None if there is none."""
        ...

    def size_bytes(self, name: str) -> int:
        """Raises PictureNotFound: no picture has this name."""
        ...

    def __contains__(self, name: object) -> bool:
        """Whether a picture has this name; False for anything that can't be a name."""
        ...

    def pictures(self, shard: int) -> list[tuple[float, str]]:
        """Of the names that begin with these two hex digits: when each was last sent, in Unix seconds, and the name."""
        ...

    def remove(self, names: Sequence[str], *, idle_s: float, held: Held) -> int:
        """Delete those pictures that were last sent over ``idle_s`` seconds ago and that no job needs.

        Returns:
            The bytes that they took.

        Raises:
            BackendDown: also if ``held`` can't tell.
            OSError: a file can't be moved or deleted.
        """
        ...

    def delete(self, name: str) -> int:
        """Delete a picture whoever needs it, if it is there; returns the bytes that it took.

        Raises:
            OSError: a file can't be moved or deleted.
        """
        ...

    def check_readable(self) -> None:
        """Raises BackendDown: no picture can be read now. If one can't, this tells whether that is its own fault."""
        ...

    def check_writable(self) -> None:
        """Raises BackendDown: nothing can be stored now."""
        ...


def other_bytes(name: str) -> PictureNotFound:
    """What a store raises that holds something else under a picture's name."""
    log.error("what is stored as picture %s is something else: it is not used", name)
    return PictureNotFound(NOT_FOUND)
