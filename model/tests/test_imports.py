"""What happens when modules are imported: nothing that depends on the environment."""

from __future__ import annotations

import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import contract
import local
import model
from model.opencv_limit import limit_opencv

ROOT = Path(__file__).parents[2]
WRONG = {"REDIS_URL": "redis-cluster", "MAX_PIXELS": "many", "LOG_LEVEL": "loud", "BATCH_MAX": "0", "WORKERS": "none"}


def in_a_process(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_no_module_reads_a_setting_or_ends_the_process_when_it_is_imported():
    """A program reads its settings when it starts, and only those that it needs."""
    names = [
        module.name
        for room in (contract, local, model)
        for module in pkgutil.walk_packages(room.__path__, f"{room.__name__}.")
    ]
    run = in_a_process("".join(f"import {name}\n" for name in names if ".tests" not in name), **WRONG)

    assert len(names) > 50
    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.parametrize("program", ["model.worker", "model.classify"])
def test_a_program_has_read_its_settings_before_it_loads_opencv(program):
    """OpenCV takes its limit from the environment once, while it is loaded."""
    run = in_a_process(f"import sys, {program}; print('cv2' in sys.modules)")

    assert run.stdout == "False\n"


@pytest.mark.usefixtures("decoder")
def test_opencv_cant_be_limited_too_late():
    """It would go on with the limit that it has."""
    with pytest.raises(AssertionError, match="OpenCV is loaded"):
        limit_opencv(1)
