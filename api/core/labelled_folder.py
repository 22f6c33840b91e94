"""The operator's folder of pictures for checks: which files it has, and what each of them shows, if that matters.

Either each label has a folder with its pictures, or ``labels.csv`` names them: its columns are ``file`` and ``label``,
or ``file`` and ``class_index``, which counts from 0.
"""

from __future__ import annotations

import csv
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from api.core.encoded_picture import check
from api.core.errors import EmptyFile, ModelNotChanged, NotAnImage, TooLarge

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TABLE = "labels.csv"
LEAST_PICTURES = 100  # fewer tell two versions apart only if one is useless
MOST_PICTURES = 50_000  # as many as ImageNet's validation set has
LONGEST_TABLE_BYTES = 16_000_000


@dataclass(frozen=True, slots=True)
class LabelledFile:
    """``label`` is what a person has called it; "" if nobody has."""

    path: Path
    label: str


def folder_for(folder: Path, model: str) -> Path:
    """The folder within ``folder`` that is named as the model is, for a service of several; without one, itself."""
    own = folder / model
    return own if own.is_dir() else folder


def labelled_files(folder: Path, labels: Sequence[str]) -> list[LabelledFile]:
    """All that the folder has, by path.

    Args:
        labels: by class index.

    Raises:
        ModelNotChanged: they are too few or too many, or the table has a row that says nothing.
    """
    try:
        found = list(_of_table(folder, labels)) if (folder / TABLE).is_file() else _of_folders(folder)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ModelNotChanged(f"the labelled pictures can't be read: {_in_words(error)}") from error
    return _enough(found, "labelled pictures", f"in a folder for each label, or as {TABLE} names them")


def pictures_of_any(folder: Path) -> list[LabelledFile]:
    """All pictures in the folder and in folders in it, by path, without a label: for models that answer no labels.

    Raises:
        ModelNotChanged: they are too few or too many.
    """
    try:
        found = [LabelledFile(path, "") for path in _files(folder) if path.name != TABLE]
        found += [replace(file, label="") for file in _of_folders(folder)]
    except OSError as error:
        raise ModelNotChanged(f"the pictures can't be read: {_in_words(error)}") from error
    return _enough(found, "pictures", "in the folder itself, or in folders in it")


def _enough(found: list[LabelledFile], what: str, where: str) -> list[LabelledFile]:
    if len(found) < LEAST_PICTURES:
        raise ModelNotChanged(
            f"a check needs at least {LEAST_PICTURES} {what}, and CHECK_DIR has {len(found)}: {where}"
        )
    if len(found) > MOST_PICTURES:
        raise ModelNotChanged(f"CHECK_DIR has {len(found)} {what}, and at most {MOST_PICTURES} are replayed")
    return sorted(found, key=lambda file: file.path)


def read_picture(path: Path, *, most_bytes: int, max_pixels: int) -> bytes:
    """A file's bytes, once they have passed what uploads have to pass.

    Raises:
        InvalidUpload: they have not, or what is there is no file.
        OSError: the file can't be read.
    """
    if not path.is_file():
        raise NotAnImage("there is no such file")
    if path.stat().st_size > most_bytes:
        raise TooLarge(f"the file has more than {most_bytes} bytes")
    data = path.read_bytes()
    if not data:
        raise EmptyFile("the file is empty")
    check(data, max_pixels)
    return data


def _of_folders(folder: Path) -> list[LabelledFile]:
    labels = [entry for entry in folder.iterdir() if entry.is_dir() and not _is_hidden(entry)]
    return [
        LabelledFile(path, os.fsencode(label.name).decode(errors="replace"))
        for label in labels
        for path in _files(label)
    ]


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_file() and not _is_hidden(path)]


def _of_table(folder: Path, labels: Sequence[str]) -> Iterator[LabelledFile]:
    if (folder / TABLE).stat().st_size > LONGEST_TABLE_BYTES:
        raise ModelNotChanged(f"{TABLE} is larger than {LONGEST_TABLE_BYTES // 10**6} MB")
    with (folder / TABLE).open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        columns = rows.fieldnames or ()
        if "file" not in columns or not {"label", "class_index"} & set(columns):
            raise ModelNotChanged(f"{TABLE} needs the columns file and label, or file and class_index")
        for row in rows:
            path, label = _path(row["file"]), _label(row, labels)
            if path is None or not label:
                raise ModelNotChanged(
                    f"{TABLE}, line {rows.line_num}: "
                    + ("there is no such class" if path is not None else "this is no file of its folder")
                )
            yield LabelledFile(folder / path, label)


def _path(text: str | None) -> PurePosixPath | None:
    """None for what leads elsewhere: a table is often another's."""
    path = PurePosixPath(text or "/")
    return None if path.is_absolute() or ".." in path.parts or path == PurePosixPath() else path


def _label(row: dict[str, str], labels: Sequence[str]) -> str:
    """Empty if the row tells none."""
    if "label" in row:
        return (row["label"] or "").strip()
    index = row["class_index"] or ""
    return labels[int(index)] if re.fullmatch("[0-9]{1,9}", index) and int(index) < len(labels) else ""


def _is_hidden(path: Path) -> bool:
    return path.name.startswith(".")


def _in_words(error: Exception) -> str:
    """Without the place, which is the operator's machine's."""
    return (error.strerror or "the disk fails") if isinstance(error, OSError) else f"{TABLE} is no table in UTF-8"
