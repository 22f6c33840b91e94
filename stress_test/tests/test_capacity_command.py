"""How the benchmark ends when it can't go on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys

import psutil
import pytest

from tests.support.stack import ROOT
from tests.support.workers import eventually

pytestmark = pytest.mark.long

COMMAND = [sys.executable, "-m", "stress_test.capacity"]
STOPPED_WITHIN_S = 60
PICTURES = ROOT / "tests" / "pictures"


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


@pytest.mark.usefixtures("wrk")
def test_missing_photos_are_one_clear_line(tmp_path):
    code, printed = printed_by({"IMAGENET_SAMPLE": str(tmp_path)})

    assert code == 1
    assert printed.startswith("Bench failed: no photos: IMAGENET_SAMPLE must name ")
    assert printed.count("\n") == 1


@pytest.mark.usefixtures("wrk")
@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ("file,class_index\n", "none of the photos has 500 x 375 pixels"),
        ("file,class_index\nchelsea.jpg,285\n", "none of the photos has 500 x 375 pixels"),
        ("file,class_index\ngone.jpg,285\n", "{folder} has not all that its labels.csv names: gone.jpg is missing"),
    ],
)
def test_unusable_photos_are_one_clear_line_at_once(tmp_path, table, reason):
    """Not after ten minutes, when they are first needed."""
    shutil.copy(PICTURES / "chelsea.jpg", tmp_path)
    (tmp_path / "labels.csv").write_text(table)

    assert printed_by({"IMAGENET_SAMPLE": str(tmp_path)}) == (1, f"Bench failed: {reason.format(folder=tmp_path)}\n")


@pytest.mark.usefixtures("wrk", "imagenet_sample")
def test_ctrl_c_stops_all_that_is_running(tmp_path):
    """In a quarter of an hour a person may change their mind."""
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
