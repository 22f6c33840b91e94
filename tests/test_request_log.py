"""The request log, as a service behind a proxy writes it: a line for each request, whatever became of it."""

from __future__ import annotations

import json
import re
import socket
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import requests

from api.keys.key import Key, Scope, digest_of, new_secret
from api.keys.key_file import line_of
from tests.support.api import Api
from tests.support.scripted_worker import GIF
from tests.support.workers import ScriptedWorkers, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.server import Server

SECRET = new_secret()
WITH_KEY = {"Authorization": f"Bearer {SECRET}"}
TIMEOUT_S = 60
PER_S = 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("api")


@pytest.fixture(scope="module")
def api(valkey: Server, folder: Path) -> Iterator[Api]:
    keys = folder / "keys"
    keys.touch(0o600)
    keys.write_text(line_of(Key("scanner", digest_of(SECRET), frozenset(Scope))) + "\n")
    workers = ScriptedWorkers(valkey, folder)
    workers.start()
    settings = {
        "API_KEYS_FILE": str(keys),
        "LOG_FORMAT": "json",
        "LOG_MESSAGES_PER_S": "1000",
        "REQUEST_LOG_PER_S": str(PER_S),
    }
    with Api(valkey.api_url, folder, processes=1, **settings) as api:
        yield api
    workers.close()


def lines(folder: Path) -> list[dict[str, Any]]:
    """The whole log; each line of it has to be JSON."""
    text = (folder / "api.log").read_text()
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def line_of_request(folder: Path, request_id: str) -> dict[str, Any]:
    def found() -> list[dict[str, Any]]:
        return [line for line in lines(folder) if line.get("request_id") == request_id]

    eventually(lambda: bool(found()), "it is logged")
    (line,) = found()
    return line


def url(api: Api, path: str) -> str:
    return f"http://{api.address[0]}:{api.address[1]}{path}"


def raw(api: Api, request: bytes) -> bytes:
    with closing(socket.create_connection(api.address, timeout=TIMEOUT_S)) as connection:
        connection.sendall(request)
        return b"".join(iter(partial(connection.recv, 65536), b""))


def test_a_request_has_one_line_under_its_senders_name_for_it(api, folder):
    picture = GIF + b"tabby" + bytes(5000)
    answer = requests.post(
        url(api, "/predict?top_k=1"), data=picture, headers={**WITH_KEY, "X-Request-Id": "proxy-1:a"}, timeout=TIMEOUT_S
    )
    line = line_of_request(folder, "proxy-1:a")

    assert answer.headers["X-Request-Id"] == "proxy-1:a"
    assert (line["method"], line["route"], line["status"], line["sender"]) == ("POST", "/predict", 200, "key:scanner")
    assert len(picture) < line["bytes_in"] < len(picture) + 1000
    assert line["bytes_out"] == len(answer.content)
    assert 0 < line["ms"] < TIMEOUT_S * 1000
    assert SECRET not in (folder / "api.log").read_text()


@pytest.mark.parametrize("sent", ["a b", "x" * 129, "caf\xe9", "{}", ""])
def test_a_name_that_could_not_stand_in_a_log_is_replaced(api, folder, sent):
    answer = requests.get(
        url(api, "/openapi.json"), headers={"X-Request-Id": sent.encode("latin-1")}, timeout=TIMEOUT_S
    )
    given = answer.headers["X-Request-Id"]

    assert re.fullmatch("[0-9a-f]{32}", given)
    assert line_of_request(folder, given)["sender"] == "127.0.0.1"


@pytest.mark.parametrize(
    ("asked", "status", "route"),
    [
        ("GET /v1/jobs/0123456789abcdef0123456789abcdef", 404, "/v1/jobs/<job_id>"),
        ("PUT /v1/jobs/0123456789abcdef0123456789abcdef", 405, "/v1/jobs/..."),
        ("GET /display/" + 64 * "a" + "?expires=1&signature=of-a-link", 403, "/display/<name>"),
        ("POST /predikt", 404, "/predikt"),
        ("GET /x%20200%20sender=key:admin", 404, "/x%20200%20sender=key:admin"),
        ("GET /" + "a/" * 90 + "b" * 43, 404, "/" + "a/" * 90 + "..."),
        ("POST /infer", 400, "/infer"),
    ],
)
def test_refused_requests_have_lines_that_open_nothing(api, folder, asked, status, route):
    method, path = asked.split()
    answer = requests.request(method, url(api, path), headers=WITH_KEY, timeout=TIMEOUT_S)
    line = line_of_request(folder, answer.headers["X-Request-Id"])

    assert (line["method"], line["status"], line["route"]) == (method, status, route)
    assert answer.status_code == status
    assert "of-a-link" not in (folder / "api.log").read_text()


def test_what_is_no_request_has_a_name_and_a_line_too(api, folder):
    head = raw(api, b"GET /livez\r\n\r\n").partition(b"\r\n\r\n")[0].decode()
    line = line_of_request(folder, re.findall("X-Request-Id: (.*)", head)[0].strip())

    assert (line["method"], line["route"], line["status"], line["sender"]) == ("-", "-", 400, "127.0.0.1")
    assert line["bytes_in"] > 0


def test_a_worker_that_gives_a_picture_up_names_its_request(api, folder):
    answer = requests.post(
        url(api, "/infer"), data=GIF + b"fault", headers={**WITH_KEY, "X-Request-Id": "in-trouble"}, timeout=TIMEOUT_S
    )

    assert answer.status_code == 500
    assert " of request in-trouble is given up: " in (folder / "workers.log").read_text()


def test_health_checks_have_no_lines(api, folder):
    for path in ("/livez", "/readyz", "/health"):
        requests.get(url(api, path), headers={"X-Request-Id": f"check-{path[1:]}"}, timeout=TIMEOUT_S)
    requests.get(url(api, "/"), headers={"X-Request-Id": "behind-them"}, timeout=TIMEOUT_S)
    line_of_request(folder, "behind-them")

    assert not [line for line in lines(folder) if str(line.get("request_id")).startswith("check-")]


def test_a_flood_of_requests_leaves_room_for_other_messages_and_says_how_many_it_left_out(api, folder):
    """Both have a bound of their own: the one must not swallow the other."""
    with requests.Session() as session:
        for _ in range(10 * PER_S):
            session.get(url(api, "/labels"), headers={"Authorization": "Bearer wrong"}, timeout=TIMEOUT_S)

    def left_out() -> bool:
        requests.get(url(api, "/docs"), timeout=TIMEOUT_S)
        return any("messages left out) " in line["message"] for line in lines(folder) if line["logger"] == "requests")

    eventually(left_out, "the next second's first line counts those before")
    warned = [line for line in lines(folder) if line["message"].startswith("a wrong key from 127.0.0.1")]

    assert len(warned) == 10  # then wrong keys of an address are not even compared


@pytest.mark.usefixtures("api")
def test_gunicorns_own_messages_are_json_as_well(folder):
    assert [line["message"] for line in lines(folder) if "Listening at" in line["message"]]
