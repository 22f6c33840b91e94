"""No key reaches a log, an answer, a metric, Redis, a file or a command line, wherever in a request it stands."""

from __future__ import annotations

import base64
import socket
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote

import psutil
import pytest
import requests
from redis import Redis

from api.keys.key import Key, Scope, digest_of
from api.keys.key_file import BadKeyFile, line_of, parse, replace_line
from api.settings import Settings
from contract.settings import load_settings
from tests.support.stack import ROOT, Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT_S = 60
PART_CHARACTERS = 12  # of a secret: what a log has cut off is found as well
CHOSEN = "+Admin/Key.aPjzC3wXo9rTqU5vKsN7dL"  # ADMIN_API_KEY
DRAWN = "kX2-DrawnKey_vQ8sT1yLw5eRz7uHb4nJm0cGf9dSaP"  # a key of the keys file
WRONG = "+Wrong/Key.mBhYt4eWi8uZfGx2cVnR6o"
SECRETS = (CHOSEN, DRAWN, WRONG)
ROUTES = ("/admin/feedback", "/admin/feedback.csv", "/admin/feedback.zip", "/admin/nothing", "/stats", "/v1/jobs")
TARGETED = b"%s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n\r\n"


def forms(secret: str) -> set[bytes]:
    """How the beginning or the end of ``secret`` may be written: as it is, in a URL, in hex, in base64."""
    found = set()
    for part in (secret[:PART_CHARACTERS], secret[-PART_CHARACTERS:]):
        plain = part.encode()
        found |= {plain, quote(part, safe="").encode(), plain.hex().encode(), plain.hex().upper().encode()}
        for before in range(3):  # three characters of text are four of base64: it begins at one of three places
            encoded = base64.b64encode(b"\0" * before + plain)[4 if before else 0 : -4]
            found |= {encoded, encoded.replace(b"+", b"-").replace(b"/", b"_")}
    return found


def secrets_in(text: bytes) -> list[bytes]:
    return [form for secret in SECRETS for form in forms(secret) if form in text]


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def places(key: str) -> list[dict[str, dict[str, str]]]:
    """Arguments of a request that has ``key`` where people and programs put one."""
    headers = [
        {"Authorization": f"Bearer {key}"},
        {"Authorization": f"bearer  {key}"},
        {"Authorization": key},
        {"Authorization": f"Token {key}"},
        {"Authorization": basic("admin", key)},
        {"Authorization": basic(key, "")},
        {"Authorization": f"Basic {key}"},
        {"X-API-Key": key},
        {"X-API-Key": f"Bearer {key}", "Accept": "text/html"},
        {"Proxy-Authorization": f"Bearer {key}"},
        {"Cookie": f"key={key}"},
        {"Idempotency-Key": key},
        {"User-Agent": f"curl {key}"},
    ]
    return [*({"headers": one} for one in headers), {"params": {"api_key": key, "access_token": key}}]


def malformed(key: bytes) -> list[bytes]:
    """What is no request, with ``key`` in it."""
    feedback = b"GET /admin/feedback"
    return [
        TARGETED % (feedback, b"Authorization Bearer " + key),
        TARGETED % (feedback, b"Authorization : Bearer " + key),
        TARGETED % (feedback, b"Authorization: Bearer\r\n " + key),
        TARGETED % (feedback, b"Authorization: Bearer \0" + key),
        TARGETED % (feedback, b"Authorization: Bearer " + key + b"\r\nAuthorization: Bearer " + key),
        TARGETED % (feedback, b"Authorization: Bearer " + 4000 * key),
        TARGETED % (feedback, b"Authorization: Basic " + base64.b64encode(b"\xff:" + key)),
        TARGETED % (feedback, key + b": Bearer"),
        TARGETED % (feedback + b"?key=" + key + b" spaces", b"Accept: */*"),
        TARGETED % (key + b" /admin/feedback", b"Accept: */*"),
        TARGETED % (b"GET /stats", b"X-API-Key: " + key + b"\r\nContent-Length: " + key),
        TARGETED % (b"GET /stats", b"X-API-Key: " + key + b"\r\nTransfer-Encoding: " + key),
        TARGETED % (b"GET /stats", b"X-API-Key: " + key + b"\r\nExpect: " + key),
        b"Authorization: Bearer " + key + b"\r\n\r\n",
    ]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("secrets")
    keys = folder / "keys"
    replace_line(keys, "all", line_of(Key("all", digest_of(DRAWN), frozenset(Scope))))
    settings = {
        "ADMIN_API_KEY": CHOSEN,
        "API_KEYS_FILE": str(keys),
        "LOG_LEVEL": "DEBUG",
        "LOG_MESSAGES_PER_S": "100000",
        "WORKERS": "1",
    }
    with Stack(folder / "data", **settings) as stack:
        assert "Ready in" in stack.printed, stack.printed
        yield stack


def answers(stack: Stack) -> Iterator[tuple[str, bytes]]:
    """Everything that is asked with a key, and what was answered: head and body."""
    photo = (ROOT / "tests" / "pictures" / "chelsea.jpg").read_bytes()
    for key in SECRETS:
        for place in places(key):
            for route in ROUTES:
                got = requests.get(stack.url + route, timeout=TIMEOUT_S, **place)  # type: ignore[arg-type]
                yield f"{route} {place}", _whole(got)
            got = requests.post(f"{stack.url}/predict", files={"file": photo}, timeout=TIMEOUT_S, **place)  # type: ignore[arg-type]
            yield f"/predict {place}", _whole(got)
        for request in malformed(key.encode()):
            with socket.create_connection(("127.0.0.1", stack.port), timeout=TIMEOUT_S) as connection:
                connection.sendall(request)
                connection.shutdown(socket.SHUT_WR)
                yield repr(request[:200]), b"".join(iter(partial(connection.recv, 65536), b""))
    for route in ("/metrics", "/stats", "/health", "/openapi.json"):
        yield route, _whole(requests.get(stack.url + route, headers={"X-API-Key": DRAWN}, timeout=TIMEOUT_S))


def _whole(response: requests.Response) -> bytes:
    return f"{response.status_code} {response.headers}".encode() + response.content


def stored(stack: Stack) -> Iterator[tuple[str, bytes]]:
    """Every file below DATA_DIR, with the logs and the queue's log, and all that Redis holds."""
    for path in stack.data_dir.rglob("*"):
        if path.is_file():
            yield str(path), path.read_bytes()
    with Redis.from_url(stack.operator_url) as redis:
        for name in redis.scan_iter():
            yield f"key {name}", name + redis.dump(name)


def command_lines(stack: Stack) -> Iterator[tuple[str, bytes]]:
    process = psutil.Process(stack.process.pid)
    for one in (process, *process.children(recursive=True)):
        yield f"process {one.pid}", " ".join(one.cmdline()).encode()


def test_the_forms_of_a_secret_are_found_wherever_it_begins():
    """The search itself finds what it is for."""
    for before in ("", "a", "ab", "admin:"):
        assert secrets_in(base64.b64encode((before + CHOSEN).encode()))
    assert secrets_in(CHOSEN.encode().hex().encode())
    assert secrets_in(f"key={quote(CHOSEN, safe='')}".encode())
    assert secrets_in(f"... {WRONG[:20]}".encode())
    assert not secrets_in(b"no key in here")


@pytest.mark.long
def test_no_key_is_in_any_answer_log_file_metric_command_line_or_in_redis(running):
    told = {}
    statuses: set[bytes] = set()
    for asked, answer in answers(running):
        told[asked] = secrets_in(answer)
        statuses.add(answer[:3])
    for where, content in (*stored(running), *command_lines(running)):
        told[where] = secrets_in(content)
    logged = "".join(path.read_text() for path in running.data_dir.glob("logs/*"))

    assert {where: found for where, found in told.items() if found} == {}
    assert "DEBUG" in logged  # the level was what it was asked to be
    assert "a wrong key from" in logged
    assert logged.count("not a request") > len(SECRETS)
    assert {b"200", b"401", b"403", b"404", b"429"} <= statuses


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ADMIN_API_KEY", f"{CHOSEN} with a space"),
        ("REDIS_URL", f"http://:{CHOSEN}@127.0.0.1/0"),
        ("REDIS_URL", f"redis:/:{CHOSEN}@127.0.0.1/0"),
        ("REDIS_URL", f"redis://user:{CHOSEN}@127.0.0.1/0"),  # its slash ends the host, and what is before is no port
    ],
)
def test_a_setting_that_is_wrong_is_named_without_the_secret_in_it(monkeypatch, capsys, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        load_settings(Settings)
    told = capsys.readouterr().err

    assert told.startswith(f"{name}=")
    assert secrets_in(told.encode()) == []


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("line", ["{0}", "{0} {1} jobs", "a {0} jobs", "a {1} {0}", "a {1} jobs,{0}", "a {1} jobs {0}",
                                  "a {1} jobs {0}=1", "a {1} jobs mb_per_day={0}"])  # fmt: skip
def test_a_wrong_line_of_the_keys_file_is_told_of_without_the_key_that_somebody_has_put_there(secret, line):
    """Who makes a line by hand puts in the key first of all."""
    with pytest.raises(BadKeyFile) as told:
        parse(line.format(secret, 64 * "0"))

    assert secrets_in(str(told.value).encode()) == []
