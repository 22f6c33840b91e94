"""Runs an original model in TensorFlow.js: pure JavaScript, under Node, of the versions that package.json pins."""

from __future__ import annotations

import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from model.export.npm import node_command, npm_command

if TYPE_CHECKING:
    from numpy.typing import NDArray

HERE = Path(__file__).parent
NODE_DEADLINE_S = 7200


def run_script(script: str, tarball: Path, model: str, inputs: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Give one of the scripts beside this file pictures.

    Args:
        script: its name; it is run with the model's folder, a file of pixels, and one to write numbers to.
        tarball: the npm package that holds the model.
        model: the model's folder in it.
        inputs: uint8 (N, height, width, 3).

    Returns:
        What it wrote, float32, one picture after the other.

    Raises:
        ExportError: there is no npm.
        SubprocessError: a command has failed, or its time was up.
    """
    npm, node = npm_command(), node_command()
    with tempfile.TemporaryDirectory() as scratch_name:
        scratch = Path(scratch_name)
        with tarfile.open(tarball) as archive:
            archive.extractall(scratch, filter="data")
        for name in ("package.json", script):
            (scratch / name).write_bytes((HERE / name).read_bytes())
        install = [*npm, "install", "--no-package-lock", "--no-audit", "--no-fund", "--silent"]
        subprocess.run(install, cwd=scratch, check=True, timeout=NODE_DEADLINE_S)  # noqa: S603  our own arguments
        inputs.tofile(scratch / "pixels.bin")
        run = [*node, script, model, "pixels.bin", "numbers.bin"]
        subprocess.run(run, cwd=scratch, check=True, timeout=NODE_DEADLINE_S)  # noqa: S603  as above
        return np.fromfile(scratch / "numbers.bin", np.float32)
