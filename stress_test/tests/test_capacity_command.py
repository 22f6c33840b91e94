"""How the benchmark ends when it can't go on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.support.crew import eventually
from tests.support.stack import ROOT

COMMAND = [sys.executable, "-m", "stress_test.capacity"]
STOPPED_WITHIN_S = 60
PHOTOS = Path(os.environ.get("IMAGENET_SAMPLE") or ROOT.parent / "shared" / "imagenet-sample")

needs_wrk = pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed: apt-get install wrk")


def printed_by(environment: dict[str, str]) -> tuple[int, str]:
    result = subprocess.run(
        COMMAND, cwd=ROOT, env={**os.environ, **environment},
        capture_output=True, text=True, timeout=STOPPED_WITHIN_S, check=False,
    )  # fmt: skip
    return result.returncode, result.stderr


def test_a_missing_load_generator_is_one_clear_line(tmp_path):
    assert printed_by({"PATH": str(tmp_path)}) == (
        1,
        "Bench failed: wrk, the load generator, is not installed: apt-get install wrk\n",
    )


@needs_wrk
def test_missing_photos_are_one_clear_line(tmp_path):
    code, printed = printed_by({"IMAGENET_SAMPLE": str(tmp_path)})

    assert code == 1
    assert printed.startswith("Bench failed: no photos: IMAGENET_SAMPLE must name ")
    assert printed.count("\n") == 1


@needs_wrk
@pytest.mark.skipif(not PHOTOS.exists() and not os.environ.get("CI"), reason=f"no photos at {PHOTOS}")
def test_ctrl_c_stops_whatever_runs_at_the_moment(tmp_path):
    """A quarter of an hour is long enough to think better of it."""
    with subprocess.Popen(
        [*COMMAND, "--report", str(tmp_path)], cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as bench:  # fmt: skip
        try:
            parts = eventually(psutil.Process(bench.pid).children, "it starts something")
            bench.send_signal(signal.SIGINT)
            _, printed = bench.communicate(timeout=STOPPED_WITHIN_S)
        finally:
            bench.kill()

    assert bench.returncode == 130
    assert printed == "Stopped; no report was written.\n"
    assert [part for part in parts if part.is_running() and part.status() != psutil.STATUS_ZOMBIE] == []
    assert list(tmp_path.iterdir()) == []
