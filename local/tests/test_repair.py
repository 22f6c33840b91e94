"""A damaged log of the queue: what can be read is kept, and nothing is lost that was not lost before."""

from __future__ import annotations

import errno
import os

import pytest
from redis import Redis

from local.folder import locked, socket_path
from local.log_files import LogFiles
from local.parts import plan
from local.queue_log import advice, folder_of
from local.queue_users import QueueUsers, operator_url
from local.ready import answers, wait_for
from local.repair import main
from local.settings import Settings
from local.supervisor import PartDied, Supervisor

KEYS = 100


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    settings = Settings(data_dir=tmp_path, model_path=tmp_path)
    settings.queue_dir.mkdir()
    settings.logs_dir.mkdir()
    run_valkey(settings, lambda client: [client.set(f"key-{n}", "x" * 50) for n in range(KEYS)])
    return settings


def run_valkey(settings, use):
    """What ``use`` makes of a Valkey started as ``make run`` starts it."""
    supervisor = Supervisor(LogFiles(settings.logs_dir, 10**8, parts=1))
    with locked(settings) as lock, socket_path(settings) as path:
        try:
            supervisor.start(plan(settings, path, lock, QueueUsers.make(settings), os.environ)[0])
            wait_for(supervisor, lambda: answers(path))
            with Redis.from_url(operator_url(settings.queue_dir, path)) as client:
                return use(client)
        finally:
            supervisor.stop()


def overwrite(settings, name, share=0.0, data=b"\xff" * 40) -> bytes:
    """Damage a file of the log, and return all of the log as it is then."""
    (path,) = folder_of(settings).glob(name)
    with path.open("r+b") as file:
        file.seek(int(path.stat().st_size * share))
        file.write(data)
    return content(folder_of(settings))


def content(folder) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()))


def refusal(settings) -> str | None:
    with pytest.raises(PartDied):
        run_valkey(settings, lambda _: None)
    return advice(settings, (settings.logs_dir / "valkey.log").read_text(errors="replace"))


def test_the_refusal_names_the_command_that_helps_and_it_does(settings, capsys):
    damaged = overwrite(settings, "*.incr.aof", 0.5)
    assert f"is damaged: 'DATA_DIR={settings.data_dir} make repair'" in (refusal(settings) or "")

    assert main() == 0

    said = capsys.readouterr().out
    kept = run_valkey(settings, lambda client: client.dbsize())
    assert said.startswith("Repaired: ")
    assert f"{kept} keys are left" in said
    assert 0 < kept < KEYS
    (copy,) = settings.queue_dir.glob("damaged-*")
    assert content(copy) == damaged


@pytest.mark.parametrize(
    ("name", "data"), [("*.base.rdb", b"\xff" * 40), ("*.manifest", b"\xff" * 40)], ids=["base", "manifest"]
)
def test_what_cannot_be_repaired_stays_as_it_was_and_the_way_out_is_named(settings, capsys, name, data):
    damaged = overwrite(settings, name, data=data)
    assert "make repair" in (refusal(settings) or "")

    assert main() == 1

    folder = folder_of(settings)
    assert f"To begin with an empty queue: mv {folder} {folder}.damaged" in capsys.readouterr().err
    assert content(folder) == damaged
    assert list(settings.queue_dir.glob("damaged-*")) == []
    folder.rename(f"{folder}.damaged")
    assert run_valkey(settings, lambda client: client.dbsize()) == 0


def test_without_room_for_the_copy_nothing_is_touched(settings, capsys, monkeypatch):
    damaged = overwrite(settings, "*.incr.aof", share=0.5)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("shutil.copyfile", full)

    assert main() == 1
    assert capsys.readouterr().err.endswith("can't be copied, which comes first: [Errno 28] No space left on device\n")
    assert content(folder_of(settings)) == damaged
    assert list(settings.queue_dir.glob("damaged-*")) == []


def test_a_log_of_a_newer_valkey_is_not_called_damaged(settings, capsys):
    """Cutting it off would destroy what the newer version can read."""
    (base,) = folder_of(settings).glob("*.base.rdb")
    untouched = overwrite(settings, "*.base.rdb", data=base.read_bytes()[:6] + b"999")
    assert "was written by a newer Valkey" in (refusal(settings) or "")

    assert main() == 1
    assert "was written by a newer Valkey" in capsys.readouterr().err
    assert content(folder_of(settings)) == untouched


@pytest.mark.usefixtures("settings")
def test_a_log_that_can_be_read_is_left_alone(capsys):
    assert main() == 0
    assert capsys.readouterr().out == f"Nothing to repair: the queue's log holds {KEYS} keys.\n"


def test_a_service_that_runs_is_not_repaired(settings, capsys):
    with locked(settings):
        assert main() == 1
    assert "is used by another service" in capsys.readouterr().err
