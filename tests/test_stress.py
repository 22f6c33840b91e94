"""The stress test: that its users get answers, not how fast; and how it ends if it can't continue."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import psutil
import pytest

from stress_test.load import send_crowd
from tests.support.stack import ROOT
from tests.support.workers import eventually

pytestmark = pytest.mark.long

STOPPED_WITHIN_S = 60


def test_a_small_crowd_sees_the_page_and_right_labels_without_a_failure(service_url):
    """The service's answers are those that ``make stress`` counts as right."""
    seen = send_crowd(service_url, 2, warm_up_s=0, seconds=3)

    assert seen.failures == {}
    assert seen.refused == 0
    assert seen.pages + seen.predictions > 0


def test_ctrl_c_stops_users_and_services():
    """In four minutes a person may change their mind."""
    with subprocess.Popen(
        [sys.executable, "-m", "stress_test"], cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as stress:  # fmt: skip
        parts: list[psutil.Process] = []

        def users_came() -> bool:
            parts[:] = psutil.Process(stress.pid).children(recursive=True)
            return any("stress_test.crowd" in part.cmdline() for part in parts if part.is_running())

        eventually(users_came, "the first crowd")
        stress.send_signal(signal.SIGINT)
        _, printed = stress.communicate(timeout=STOPPED_WITHIN_S)

    assert stress.returncode == 130
    assert printed == "Stopped; no report was written.\n"
    assert [part for part in parts if part.is_running() and part.status() != psutil.STATUS_ZOMBIE] == []


def test_a_missing_model_is_one_clear_line(tmp_path):
    result = subprocess.run(
        [sys.executable, "-m", "stress_test"],
        cwd=ROOT, env={**os.environ, "MODEL_PATH": str(tmp_path / "nowhere")},
        capture_output=True, text=True, timeout=STOPPED_WITHIN_S, check=False,
    )  # fmt: skip

    assert result.returncode == 1
    assert result.stderr == f"Stress test failed: no model at {tmp_path / 'nowhere'}\n"


def test_a_service_that_does_not_start_is_one_clear_line(tmp_path):
    """The line is the service's own."""
    (tmp_path / "broken.onnx").write_bytes(b"not a network")
    result = subprocess.run(
        [sys.executable, "-m", "stress_test"],
        cwd=ROOT, env={**os.environ, "MODEL_PATH": str(tmp_path / "broken.onnx")},
        capture_output=True, text=True, timeout=STOPPED_WITHIN_S, check=False,
    )  # fmt: skip

    assert result.returncode == 1
    assert result.stderr.startswith("Stress test failed: Can't start: worker-1 ended with code 3: ")
    assert result.stderr.count("\n") == 1
