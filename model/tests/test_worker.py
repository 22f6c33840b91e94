"""The worker as a process that can't start: an operator reads one line, and the exit code says what is missing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from model.worker import EXIT_NO_MODEL, EXIT_NO_REDIS
from tests.support import forks

if TYPE_CHECKING:
    import subprocess


@pytest.fixture
def start(write_bundle, tmp_path):
    """Runs a worker with a sound model and without a Redis, until it ends."""
    bundle = write_bundle()

    def start(**environment: str) -> subprocess.CompletedProcess[str]:
        settings = {"MODEL_PATH": str(bundle), "REDIS_URL": f"unix://{tmp_path}/none.sock"} | environment
        return forks.run("model.worker", environment={**os.environ, **settings}, within_s=60)

    return start


@pytest.mark.parametrize(
    ("environment", "exit_code", "complaint"),
    [
        ({}, EXIT_NO_REDIS, "Redis does not answer at the start"),
        ({"MODEL_PATH": "/nowhere"}, EXIT_NO_MODEL, "the model can't be served: no model at /nowhere"),
        ({"BATCH_MAX": "none"}, 2, "BATCH_MAX='none'"),
    ],
)
def test_a_worker_that_cant_start_says_why_in_a_line(start, environment, exit_code, complaint):
    run = start(**environment)

    assert run.returncode == exit_code
    assert complaint in run.stderr.splitlines()[-1]
    assert "Traceback" not in run.stderr
