"""Keys, with the API as gunicorn runs it and workers behind it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import requests

from api.keys.__main__ import main
from classifier_client import Client, Forbidden, Unauthorized
from stress_test.environment import environment_with
from tests.support.api import Api
from tests.support.scripted_worker import GIF
from tests.support.stack import ROOT
from tests.support.workers import WAIT_S, ScriptedWorkers, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.server import Server

PROCESSES = 2
REJECTED = {401, 429}  # the second after some of the first
EVERYWHERE = "0.0.0.0"  # noqa: S104  # what must not be bound by mistake
FILES = {"file": ("photo.gif", GIF + b"tabby")}


class Keys:
    """A keys file, changed as an operator does."""

    def __init__(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.path = path
        self._capsys = capsys

    def __call__(self, *arguments: str) -> str:
        assert main(["--file", str(self.path), *arguments]) == 0
        return self._capsys.readouterr().out.strip()


@pytest.fixture
def keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Keys:
    return Keys(tmp_path / "keys", capsys)


@pytest.fixture
def api(valkey: Server, tmp_path: Path, keys: Keys) -> Iterator[Api]:
    workers = ScriptedWorkers(valkey, tmp_path)
    workers.redis.flushall()
    workers.start()
    keys("new", "first", "--scope", "classify")
    with Api(valkey.api_url, tmp_path, processes=PROCESSES, API_KEYS_FILE=str(keys.path)) as api:
        yield api
    workers.close()


def ask(api: Api, method: str, path: str, secret: str = "", **sent: Any) -> requests.Response:
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    host, port = api.address
    return requests.request(method, f"http://{host}:{port}{path}", headers=headers, timeout=WAIT_S, **sent)


def test_keys_are_made_rotated_and_revoked_while_the_service_runs(api, keys):
    """All processes follow, and a rotated key finds the jobs of the one before it."""
    office, stranger = keys("new", "office", "--scope", "jobs"), keys("new", "stranger", "--scope", "jobs")
    eventually(lambda: answers(api, "/v1/jobs", stranger) == {200}, "both processes know the new keys")
    job = ask(api, "POST", "/v1/jobs", office, files=FILES).json()
    address = job["links"]["self"]

    assert ask(api, "GET", address, stranger).status_code == 404
    assert ask(api, "GET", "/v1/jobs", stranger).json()["jobs"] == []
    assert ask(api, "GET", address).status_code == 401
    again = keys("rotate", "office")
    eventually(lambda: answers(api, address, office) <= REJECTED, "the old key is void")
    eventually(lambda: answers(api, address, again) == {200}, "both processes know the other")
    assert ask(api, "GET", "/v1/jobs", again).json()["jobs"][0]["id"] == job["id"]
    keys("revoke", "office")
    eventually(lambda: answers(api, address, again) <= REJECTED, "the key is void")


def answers(api: Api, path: str, secret: str) -> set[int]:
    """The statuses of several requests in a row: any process may answer each."""
    return {ask(api, "GET", path, secret).status_code for _ in range(4 * PROCESSES)}


@pytest.mark.long
def test_the_client_is_told_apart_what_is_wrong_with_its_key(api, keys):
    """No key, and one that is for something else; with the right one it classifies, now and later."""
    office = keys("new", "office", "--scope", "classify", "--scope", "jobs")
    reporter = keys("new", "reporter", "--scope", "feedback")
    eventually(lambda: answers(api, "/v1/jobs", office) == {200}, "both processes know the new keys")
    host, port = api.address
    clients = {key: Client(f"http://{host}:{port}", key=key) for key in ("", reporter, office)}

    with pytest.raises(Unauthorized, match="needs a key"):
        clients[""].classify(GIF + b"tabby")
    with pytest.raises(Forbidden, match="scope classify"):
        clients[reporter].classify(GIF + b"tabby")
    job = clients[office].submit(GIF + b"tabby")
    assert clients[office].classify(GIF + b"tabby").best == job.result().best
    assert list(clients[office].jobs()) == [job]
    for client in clients.values():
        client.close()


def test_a_key_of_64_kilobytes_is_refused_in_words(api):
    answer = ask(api, "POST", "/predict", "x" * 65_536, files=FILES)

    assert answer.status_code == 431
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"HOST": EVERYWHERE}, "HOST=0.0.0.0 can be reached from other machines"),
        ({"HOST": "::", "ALLOW_ANONYMOUS": "off"}, "HOST=:: can be reached from other machines"),
        ({"API_KEYS_FILE": "nothing/there"}, "API_KEYS_FILE=nothing/there: it can't be read: No such file"),
        ({"API_KEYS_FILE": "nothing/there"}, "; python -m api.keys new makes one"),
        ({"API_KEYS_FILE": "keys", "ALLOW_ANONYMOUS": "on"}, "nobody is anonymous where API_KEYS_FILE is set"),
    ],
)
def test_what_would_be_open_by_mistake_does_not_start(settings, said):
    run = start(settings)

    assert run.returncode == 2
    assert said in run.stderr
    assert run.stderr.count("\n") == 1


def start(settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """What gunicorn does first."""
    return subprocess.run(
        [sys.executable, "-c", "import api.gunicorn_conf"],
        cwd=ROOT, env=environment_with(**settings), capture_output=True, text=True, timeout=WAIT_S, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("settings", [{}, {"HOST": "localhost"}, {"HOST": EVERYWHERE, "ALLOW_ANONYMOUS": "on"}])
def test_what_is_open_on_purpose_starts(settings):
    assert start(settings).returncode == 0
