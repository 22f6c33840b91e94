"""Files of pictures, and a model's answers to them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Generic, NamedTuple

from tqdm import tqdm

from contract.messages import Failure, Found
from model.command_line.output import printable, reason_of
from model.picture import Picture

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from model.predictor import Predictor

PICTURE_SUFFIXES = {
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif",
    ".heic", ".heif", ".hif",
}  # fmt: skip
BATCH = 8


def pictures_in(paths: Iterable[Path]) -> list[Path]:
    """Files as they are named; of folders, whatever has a picture's suffix, at any depth, in order of name."""
    return [picture for path in paths for picture in (_walk(path) if path.is_dir() else [path])]


def _walk(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file())


class Answered(NamedTuple, Generic[Found]):
    path: Path
    answer: Found


class Answers(Generic[Found]):
    """A model's answers to pictures, one batch after the other, and the count of those that have none.

    Progress goes to standard error, and so does what is skipped, and why.

    Args:
        strict: whether damaged pictures are left out; otherwise what is there of them counts.

    Attributes:
        failed: how many pictures have no answer, so far.
    """

    def __init__(self, predictor: Predictor[Found], pictures: Sequence[Path], *, strict: bool = True) -> None:
        self._predictor: Predictor[Found] = predictor
        self._pictures = pictures
        self._strict = strict
        self.failed = 0

    def __iter__(self) -> Iterator[Answered[Found]]:
        with tqdm(total=len(self._pictures), unit="picture", disable=None if len(self._pictures) > 1 else True) as bar:
            for start in range(0, len(self._pictures), BATCH):
                batch = self._pictures[start : start + BATCH]
                answered = self._answered(batch)
                with tqdm.external_write_mode():  # the bar makes room while the answers are written
                    yield from answered
                bar.update(len(batch))

    def _answered(self, batch: Sequence[Path]) -> list[Answered[Found]]:
        readable = [(path, data) for path in batch if (data := self._read(path)) is not None]
        outcomes = self._predictor.predict([Picture(data, self._strict) for _, data in readable])
        answered = []
        for (path, _), outcome in zip(readable, outcomes, strict=True):
            if isinstance(outcome, Failure):
                self._skip(path, outcome.detail)
            else:
                answered.append(Answered(path, outcome))
        return answered

    def _read(self, path: Path) -> bytes | None:
        try:
            return path.read_bytes()
        except OSError as error:
            self._skip(path, reason_of(error))
            return None

    def _skip(self, path: Path, reason: str) -> None:
        self.failed += 1
        tqdm.write(f"skipped {printable(path)}: {reason}", file=sys.stderr)
