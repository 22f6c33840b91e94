"""Labelled photos for calibration and for the figures: a folder of JPEGs with a ``labels.csv`` beside them."""

from __future__ import annotations

import argparse
import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from contract.limits import DEFAULT_MAX_PIXELS
from model.decode import Decoder
from model.export.errors import ExportError
from model.preprocess import preprocess

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from model.manifest import InputSpec, PreprocessSpec


@dataclass(frozen=True)
class Photos:
    """A labelled collection.

    Attributes:
        files: in the order of ``labels.csv`` (columns ``file``, ``class_index``).
        classes: int64 (N,), index of each photo's class, by the sorted WordNet ids.
    """

    files: tuple[Path, ...]
    classes: NDArray[np.int64]

    def pixels(self, spec: PreprocessSpec, target: InputSpec) -> NDArray[np.uint8]:
        """Return all photos as the workers would feed them, uint8 (N, height, width, 3)."""
        with Decoder(DEFAULT_MAX_PIXELS) as decoder:
            inputs = [preprocess(file.read_bytes(), decoder, spec, target).values for file in self.files]
        return np.stack(inputs).astype(np.uint8)

    def sha256(self) -> str:
        """Return a hash over names and bytes, in order."""
        digest = hashlib.sha256()
        for file in self.files:
            digest.update(file.name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
        return digest.hexdigest()


def read(folder: Path) -> Photos:
    """Read a collection's table.

    Raises:
        ExportError: there is no readable ``labels.csv``.
    """
    try:
        with (folder / "labels.csv").open(encoding="utf-8", newline="") as table:
            rows = list(csv.DictReader(table))
        files = tuple(folder / row["file"] for row in rows)
        return Photos(files, np.array([int(row["class_index"]) for row in rows], np.int64))
    except (OSError, KeyError, ValueError) as error:
        msg = f"{folder} needs a labels.csv with the columns file and class_index: {error}"
        raise ExportError(msg) from error


def argument_parser(module: str, description: str | None) -> argparse.ArgumentParser:
    """Return what reads the arguments that the commands about photos share: ``photos`` (read), ``models``, ``name``."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    parser.add_argument("--photos", type=_collection, required=True, help="folder of photos with a labels.csv")
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of the bundles (default: models)")
    parser.add_argument("--name", default="resnet50", help="the network's, with which its folders' names begin")
    return parser


def from_arguments(module: str, description: str | None) -> tuple[Photos, Path, str]:
    """Read the arguments of a command that has no others.

    Returns:
        The photos of ``--photos``, the folder of the bundles, and the network's name.

    Raises:
        SystemExit: there are no photos.
    """
    options = argument_parser(module, description).parse_args()
    return options.photos, options.models, options.name


def _collection(folder: str) -> Photos:
    try:
        return read(Path(folder))
    except ExportError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
