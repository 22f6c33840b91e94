"""One service at a time in a folder, and what it leaves behind."""

from __future__ import annotations

import stat
import subprocess
import sys

import pytest

from local.folder import LONGEST_SOCKET_PATH, locked, socket_path
from local.parts import plan
from local.preflight import CannotStart
from local.queue_users import QueueUsers
from local.settings import Settings


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "queue").mkdir()
    return Settings(data_dir=tmp_path, model_path=tmp_path)


def test_a_second_service_on_one_folder_does_not_start(settings):
    """Two queues would append to one log: after the next start all that was accepted would be gone."""
    with locked(settings), pytest.raises(CannotStart, match=r"^DATA_DIR=.* is used by another service"):
        locked(settings).__enter__()

    with locked(settings):
        pass


def test_the_folder_is_in_use_until_the_queue_of_a_killed_service_has_ended(settings):
    with locked(settings) as lock:
        queue = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(lock,))
    with queue:
        with pytest.raises(CannotStart):
            locked(settings).__enter__()
        queue.communicate(b"\n")

    with locked(settings):
        pass


def test_the_queue_inherits_the_lock_and_requests_have_their_time_when_the_service_stops(settings):
    """Gunicorn gives a waiting request its deadline and 5 s more; whoever kills it sooner cuts answers off."""
    longer = settings.model_copy(update={"request_timeout_s": 120})
    valkey, *_, api = plan(longer, settings.data_dir / "s", 7, QueueUsers.make(settings), {})

    assert valkey.inherits == (7,)
    assert api.patience_s > 120 + 5


def test_the_socket_is_beside_the_log_where_nobody_else_can_reach_it(settings):
    with socket_path(settings) as path:
        assert path == settings.queue_dir.resolve() / "valkey.sock"
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_path_too_long_for_a_socket_is_replaced_by_one_that_is_always_the_same(settings, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", "/tmp")  # noqa: S108  # short, as it usually is
    monkeypatch.setattr("tempfile.tempdir", None)
    deep = settings.model_copy(update={"data_dir": tmp_path / ("d" * LONGEST_SOCKET_PATH)})
    with socket_path(deep) as first:
        assert len(str(first)) <= LONGEST_SOCKET_PATH
        assert stat.S_IMODE(first.parent.stat().st_mode) == 0o700
    assert not first.parent.exists()
    with socket_path(deep) as second:
        assert second == first
