"""A figure is of the service with its defaults, not of the shell or the folder that it was measured from."""

from __future__ import annotations

import os

import psutil
import pytest

from stress_test import service
from stress_test.environment import SETTINGS, environment_with
from stress_test.load import ROOT

pytestmark = pytest.mark.long


@pytest.mark.parametrize(
    "name", ["BATCH_MAX", "NUM_THREADS", "WEB_CONCURRENCY", "REQUEST_TIMEOUT_S", "WORKERS", "CLASSIFIER_KEY"]
)
def test_a_setting_of_the_shell_does_not_reach_what_is_measured(monkeypatch, name):
    """A person who tried BATCH_MAX=1 an hour ago must not publish its figures."""
    monkeypatch.setenv(name, "3")
    monkeypatch.setenv(name.lower(), "3")

    assert name in SETTINGS
    assert not {name, name.lower()} & environment_with().keys()


def test_what_a_scenario_sets_is_set_and_the_rest_of_the_environment_is_inherited(monkeypatch):
    """PATH, proxies and temporary folders are the machine's."""
    monkeypatch.setenv("RESULT_CACHE", "on")
    monkeypatch.setenv("SOMETHING_ELSE", "stays")
    environment = environment_with(RESULT_CACHE="off")

    assert (environment["RESULT_CACHE"], environment["SOMETHING_ELSE"]) == ("off", "stays")
    assert environment["PATH"] == os.environ["PATH"]


def test_a_dotenv_of_the_project_does_not_reach_what_is_measured(tmp_path, monkeypatch):
    """``make run`` reads it, and a service that is measured is started in the same way."""
    project, folder = tmp_path / "project", tmp_path / "measured"
    project.mkdir()
    for room in ("api", "contract", "local", "model"):
        (project / room).symlink_to(ROOT / room)
    (project / ".env").write_text("BATCH_MAX=3\n")
    monkeypatch.setattr(service, "ROOT", project)
    monkeypatch.chdir(project)
    monkeypatch.setenv("NUM_THREADS", "3")
    with service.running_service(1, ROOT / "models", folder, RESULT_CACHE="off"):
        parts = [part for part in psutil.Process().children(recursive=True) if part.cwd() == str(folder)]
        commands, environments = [part.cmdline() for part in parts], [part.environ() for part in parts]

    assert any("model.worker" in command for command in commands)
    assert {"BATCH_MAX", "NUM_THREADS"}.isdisjoint(name for environment in environments for name in environment)
    assert [environment["RESULT_CACHE"] for environment in environments if "RESULT_CACHE" in environment]
    assert {environment.get("RESULT_CACHE", "off") for environment in environments} == {"off"}
