"""A keys file, as an operator makes it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from tests.support.stack import ROOT

if TYPE_CHECKING:
    from pathlib import Path


class KeyFile:
    """Made by the project's own command."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def new(self, name: str, *scopes: str) -> str:
        """Add a key and return it."""
        command = [sys.executable, "-m", "api.keys", "--file", str(self.path), "new", name]
        wanted = [word for scope in scopes for word in ("--scope", scope)]
        return subprocess.run([*command, *wanted], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
