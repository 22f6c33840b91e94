"""The worker as a process that can't start: an operator reads one line, and the exit code says what is missing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from model.tests import networks
from model.worker import EXIT_NO_MODEL, EXIT_NO_REDIS
from tests.support import forks

if TYPE_CHECKING:
    import subprocess


@pytest.fixture
def bundle(write_bundle):
    return write_bundle()


@pytest.fixture
def start(bundle, tmp_path):
    """Runs a worker with a sound model and without a Redis, until it ends."""

    def start(**environment: str) -> subprocess.CompletedProcess[str]:
        settings = {"MODEL_PATH": str(bundle), "REDIS_URL": f"unix://{tmp_path}/none.sock"} | environment
        return forks.run("model.worker", environment={**os.environ, **settings}, within_s=60)

    return start


SEVERAL = {"MODEL_PATH": "", "MODELS_DIR": "BUNDLE/.."}


@pytest.mark.parametrize(
    ("environment", "exit_code", "complaint"),
    [
        ({}, EXIT_NO_REDIS, "Redis does not answer at the start"),
        ({"MODEL_PATH": "/nowhere"}, EXIT_NO_MODEL, "the model can't be served: no model at /nowhere"),
        ({"BATCH_MAX": "none"}, 2, "BATCH_MAX='none'"),
        ({"MODELS": "colours"}, 2, "MODEL_PATH='BUNDLE': MODELS is set too: keep one of them"),
        (
            SEVERAL | {"MODELS": "colours,shapes"},
            EXIT_NO_MODEL,
            "the model can't be served: there is no model shapes in BUNDLE/..: it holds colours@1",
        ),
        (
            SEVERAL | {"MODELS": "colours,BUNDLE"},
            EXIT_NO_MODEL,
            "the model can't be served: one version of a model is named twice: colours@1, colours@1",
        ),
        (
            SEVERAL | {"MODELS": "BUNDLE/model.onnx"},
            EXIT_NO_MODEL,
            "the model can't be served: model.onnx is a bare ONNX file: LABELS_PATH must name its labels, one a line",
        ),
    ],
)
def test_a_worker_that_cant_start_says_why_in_a_line(start, bundle, environment, exit_code, complaint):
    run = start(**{name: value.replace("BUNDLE", str(bundle)) for name, value in environment.items()})

    assert run.returncode == exit_code
    assert complaint.replace("BUNDLE", str(bundle)) in run.stderr.splitlines()[-1]
    assert "Traceback" not in run.stderr


def test_a_worker_serves_several_models_and_a_bare_file_among_them(start, bundle, tmp_path):
    """With the labels that LABELS_PATH names, as MODEL_PATH's."""
    networks.write_float_network(tmp_path / "bare.onnx")
    run = start(
        MODEL_PATH="",
        MODELS_DIR=str(tmp_path),
        MODELS=f"{tmp_path}/bare.onnx,colours",
        LABELS_PATH=str(bundle / "labels.txt"),
    )

    assert run.returncode == EXIT_NO_REDIS
    assert "bare@1 fp32" in run.stderr
    assert "colours@1 fp32" in run.stderr
