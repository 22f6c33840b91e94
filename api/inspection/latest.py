"""The picture that was inspected last, whichever process did it, with the objects that were found in it."""

from __future__ import annotations

import json
import logging
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from contract.errors import RETRY_LATER_S, BackendDown, PictureNotFound, UnknownOutcome
from contract.file_lock import locked
from contract.messages import Detection, outcome_from_json
from contract.private_files import make_folder, write_file
from contract.store_room import free_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from contract.image_store import PictureStore

log = logging.getLogger(__name__)

NAME_DIGITS = 64
LOCK_WAIT_S = 2.0  # another process holds the lock for one write


@dataclass(frozen=True, slots=True)
class Latest:
    """A picture, and what was found in it.

    Attributes:
        file: of the picture's bytes, from where it is on; whoever has asked for it closes it.
    """

    found: Detection
    file: IO[bytes]


class LatestPicture:
    """One file: the picture's name, what was found, a line each, and the picture. It appears by a rename.

    Args:
        kept: whether it may be kept at all.
        reserve_bytes: what is left free on the disk.
    """

    def __init__(self, folder: Path, uploads: PictureStore, *, kept: bool, reserve_bytes: int) -> None:
        self._folder = folder
        self._file, self._part, self._lock = folder / "latest", folder / "latest.part", folder / "latest.lock"
        self._uploads = uploads
        self._kept = kept
        self._reserve_bytes = reserve_bytes

    def keep(self, picture: str, found: Detection) -> None:
        """Put a stored picture in the place of the one before.

        Nothing is raised: whoever has sent the picture waits for the decision.
        """
        if not self._kept:
            return
        try:
            make_folder(self._folder)
            if free_bytes(self._folder) < self._reserve_bytes:
                log.warning("the disk of %s has no room to keep the latest picture", self._folder)
                return
            told = json.dumps(found.to_wire(), separators=(",", ":"))
            with locked(self._lock, wait_s=LOCK_WAIT_S):
                data = self._uploads.read(picture)  # here: who deletes it deletes it there first, and then waits for us
                write_file(self._part, f"{picture}\n{told}\n".encode() + data)
                self._part.replace(self._file)
        except (OSError, BackendDown, PictureNotFound) as error:
            log.warning("the latest picture can't be kept: %s", error)

    def open(self) -> Latest | None:
        """The one that is there; None if there is none, or none may be kept any more.

        Raises:
            BackendDown: it can't be read.
        """
        if not self._kept:
            return None
        try:
            file = self._file.open("rb")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise BackendDown("the latest picture can't be read at the moment", RETRY_LATER_S) from error
        try:
            file.readline()  # its name
            found = outcome_from_json(file.readline())
        except (OSError, ValueError, UnknownOutcome) as error:
            file.close()
            raise BackendDown("the latest picture can't be read at the moment", RETRY_LATER_S) from error
        assert isinstance(found, Detection)  # noqa: S101  # we have put it there
        return Latest(found, file)

    @contextmanager
    def staying(self) -> Iterator[Latest | None]:
        """As ``open``; while the context lasts it is neither replaced nor deleted.

        Raises:
            BackendDown: as ``open``, or others keep it from being read for too long.
        """
        if not self._file.exists():
            yield None
            return
        with ExitStack() as held:
            try:
                held.enter_context(locked(self._lock, wait_s=LOCK_WAIT_S))
            except OSError as error:
                raise BackendDown("the latest picture can't be read at the moment", RETRY_LATER_S) from error
            yield self.open()

    def delete(self, picture: str) -> None:
        """Delete it, if it is this one.

        Raises:
            OSError: it can't be read or deleted.
        """
        if not self._lock.exists():
            return
        with locked(self._lock, wait_s=LOCK_WAIT_S), suppress(FileNotFoundError):
            with self._file.open("rb") as file:
                is_this = file.read(NAME_DIGITS).decode("ascii", "replace") == picture
            if is_this:
                self._file.unlink()
