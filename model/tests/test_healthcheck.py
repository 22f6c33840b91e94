from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

from contract.worker_registry import WorkerEntry, deregister, heartbeat
from model.healthcheck import is_at_work

if TYPE_CHECKING:
    from redis import Redis

HERE = socket.gethostname()


def at_work(redis: Redis) -> WorkerEntry:
    """A registered worker of this host."""
    entry = WorkerEntry(worker_id="w1", host=HERE, model="colours", digest="d" * 64, batch=8, service_ms=0.0)
    heartbeat(redis, entry)
    return entry


def check(redis_url: str) -> subprocess.CompletedProcess[str]:
    """The check as a container engine runs it."""
    environment = {**os.environ, "REDIS_URL": redis_url}
    command = [sys.executable, "-m", "model.healthcheck"]
    return subprocess.run(command, env=environment, timeout=60, check=False, capture_output=True, text=True)


def test_a_container_is_healthy_while_its_worker_is_registered(redis, valkey):
    """From the verified model to the goodbye: exactly while the API counts on it."""
    entry = at_work(redis)
    assert check(valkey.worker_url).returncode == 0

    deregister(redis, entry)
    gone = check(valkey.worker_url)
    assert (gone.returncode, gone.stdout) == (1, "no live worker of this host is registered\n")


def test_another_containers_worker_does_not_make_this_one_healthy(redis):
    """With --scale all containers look at the same registry."""
    at_work(redis)

    assert is_at_work(redis, HERE)
    assert not is_at_work(redis, "another-container")


def test_an_absent_redis_is_unhealthy_and_says_so_in_a_line(tmp_path):
    """`docker inspect` shows the last lines of the check: no traceback."""
    checked = check(f"unix://{tmp_path}/none.sock")

    assert checked.returncode == 1
    assert checked.stdout.startswith("Redis does not answer: ")
    assert checked.stderr == ""
