"""The pictures of a check: read, looked at as every upload is, and stored where workers find them."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Protocol

from api.core.errors import InvalidUpload
from api.core.labelled_folder import read_picture
from api.core.replay import Question
from contract.decoding_cost import decoding_cost
from contract.errors import OverShare, PictureNotFound, StoreFull

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from api.core.check_report import AnswerSet
    from api.core.expected_labels import Expected
    from api.core.labelled_folder import LabelledFile
    from api.core.uploads import Uploads

log = logging.getLogger(__name__)

SENDER = "check"  # in whose name pictures are stored: no address is spelt so
PUT_TRIES = 10  # of a picture for which there is no room at the moment
PAUSE_S = 1.0


class Corrections(Protocol):
    """What senders have said that pictures show, as ``api.feedback.corrections.Corrections`` knows it."""

    def of(self, model: str) -> Iterator[tuple[str, str]]:
        """Pictures and their labels, the latest first. Raises BackendDown."""

    def read(self, picture: str) -> bytes:
        """Raises PictureNotFound."""


class CheckPictures:
    """Makes questions of pictures, one at a time. What can't be asked about is counted as left out of its set.

    Args:
        most_bytes, max_pixels: of a file of the operator's.
        beat: called at least every ``PAUSE_S`` while this waits.

    Attributes:
        asked: the names of the pictures that questions were made of.
    """

    def __init__(
        self,
        uploads: Uploads,
        corrections: Corrections,
        *,
        most_bytes: int,
        max_pixels: int,
        beat: Callable[[], None],
    ) -> None:
        self._uploads = uploads
        self._corrections = corrections
        self._most_bytes = most_bytes
        self._max_pixels = max_pixels
        self._beat = beat
        self._put: list[str] = []
        self.asked: set[str] = set()

    def labelled(self, files: Iterable[tuple[LabelledFile, Expected | None]], into: AnswerSet) -> Iterator[Question]:
        """Of each picture once, in however many files it is.

        Raises:
            OverShare, StoreFull, BackendDown: they can't be stored.
        """
        for file, expected in files:
            try:
                data = read_picture(file.path, most_bytes=self._most_bytes, max_pixels=self._max_pixels)
            except (InvalidUpload, OSError) as error:
                log.warning("%s can't be used for a check: %s", file.path, error)
                into.left_out += 1
                continue
            name = self._stored(data)
            if name in self.asked:
                self.finished(name)
                into.left_out += 1
                continue
            yield self._question(name, data, expected)

    def reported(self, labels: Iterable[tuple[str, Expected]], into: AnswerSet) -> Iterator[Question]:
        """As ``labelled``, of pictures that were reported."""
        for name, expected in labels:
            if name in self.asked:
                into.left_out += 1
                continue
            try:
                data = self._corrections.read(name)
            except (PictureNotFound, OSError):
                into.left_out += 1
                continue
            yield self._question(name if name in self._uploads.store else self._stored(data), data, expected)

    def stored(self, names: Iterable[str], into: AnswerSet) -> Iterator[Question]:
        """Of pictures that are stored anyway; they do not become younger by it."""
        for name in names:
            try:
                data = self._uploads.store.read(name)
            except (PictureNotFound, OSError):
                into.left_out += 1
                continue
            yield self._question(name, data, None)

    def finished(self, name: str) -> None:
        """Say that a picture's question was answered."""
        if name in self._put:
            self._put.remove(name)
            self._uploads.finished(name)

    def close(self) -> None:
        """Say that no more questions will be answered."""
        self._uploads.finished(*self._put)
        self._put.clear()

    def _question(self, name: str, data: bytes, expected: Expected | None) -> Question:
        self.asked.add(name)
        return Question(name, decoding_cost(data), expected)

    def _stored(self, data: bytes) -> str:
        tries_left = PUT_TRIES
        while True:
            tries_left -= 1
            try:
                name = self._uploads.put(data, SENDER)
            except (OverShare, StoreFull) as error:
                if not tries_left:
                    raise
                self._pause(error.retry_after_s)
            else:
                self._put.append(name)
                return name

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._beat()
            time.sleep(PAUSE_S)
