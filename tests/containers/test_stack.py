"""``docker compose up --build --scale model=2`` on a real engine: ``pytest tests/containers``."""

from __future__ import annotations

import itertools
import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.containers import compose as engine
from tests.containers.compose import ROOT, Compose
from tests.support.workers import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(2000)  # the first test builds the images

CHELSEA = (ROOT / "tests/pictures/chelsea.jpg").read_bytes()
TIMEOUT_S = 60
SENDERS = 24
SERVICES = ("redis", "model", "api")


def predict(compose: Compose, photo: bytes = CHELSEA) -> requests.Response:
    return requests.post(f"{compose.url}/predict", files={"file": ("photo.jpg", photo)}, timeout=TIMEOUT_S)


def workers(compose: Compose) -> int:
    return int(requests.get(f"{compose.url}/health", timeout=TIMEOUT_S).json()["workers"])


def answers(compose: Compose) -> bool:
    try:
        return requests.get(f"{compose.url}/livez", timeout=TIMEOUT_S).ok
    except requests.ConnectionError:
        return False


def all_healthy(compose: Compose) -> bool:
    return all(
        container["State"]["Health"]["Status"] == "healthy"
        for service in SERVICES
        for container in compose.containers(service)
    )


def test_both_workers_serve_and_a_photo_gets_its_label_and_its_objects(compose):
    """The whole path in containers: upload volume, queue and models volume included."""
    eventually(lambda: answers(compose) and workers(compose) == 2, "two workers")
    response = predict(compose)
    files = {"file": ("photo.jpg", CHELSEA)}
    found = requests.post(f"{compose.url}/detect", data={"min_score": "0.5"}, files=files, timeout=TIMEOUT_S)

    assert response.json()["prediction"] == "Egyptian_cat"
    assert [entry["label"] for entry in found.json()["detections"]] == ["cat"]


@pytest.mark.parametrize("service", SERVICES)
def test_a_container_runs_as_a_plain_user_who_can_change_nothing_in_it(compose, service):
    """An intruder in a process finds no root, no capability, nothing to write to and a bound on every resource."""
    for container in compose.containers(service):
        host = container["HostConfig"]

        engine.assert_nobody_can_do_more_than_its_work(container, "999" if service == "redis" else "10001")
        assert min(host["Memory"], host["NanoCpus"], host["PidsLimit"]) > 0


def test_where_there_are_not_processors_for_all_a_worker_has_as_much_as_a_process_of_the_api(compose):
    """A flood has to be refused at once, and not at the cost of what is computed: docs/decisions/0055."""
    shares = {service: compose.containers(service)[0]["HostConfig"]["CpuShares"] for service in ("api", "model")}

    assert shares["api"] == 0, "the usual 1024"
    assert shares["model"] == 1024 / 2, "the API has two processes"


def test_the_export_which_has_ended_ran_no_less_bounded(compose):
    """It alone of them reads from the internet."""
    (export,) = map(engine.inspect, compose.ids("export", ended=True))
    host = export["HostConfig"]

    assert export["Config"]["User"] == "classifier"
    assert (host["ReadonlyRootfs"], host["CapDrop"]) == (True, ["ALL"])
    assert any(option.startswith("no-new-privileges") for option in host["SecurityOpt"])
    assert not any(option.startswith("seccomp") for option in host["SecurityOpt"]), "the engine's own filter"
    assert min(host["Memory"], host["NanoCpus"], host["PidsLimit"]) > 0


def test_a_worker_can_not_change_the_models_or_the_uploads(compose):
    """It decodes strangers' pictures: the process most likely to be taken over."""
    for worker in compose.containers("model"):
        writable = {mount["Destination"]: mount["RW"] for mount in worker["Mounts"] if mount["Type"] == "volume"}

        assert writable == {
            "/app/models": False,
            "/app/data/uploads": False,
            "/app/data/copies": True,
            "/run/redis": False,
        }


def test_only_the_api_can_be_reached_and_the_workers_reach_nothing_outside(compose):
    """Redis' users are the second line: strangers do not get as far as to ask for a password."""
    published = {
        service: [ports for container in compose.containers(service) for ports in _published(container)]
        for service in SERVICES
    }
    networks = {
        network for service in ("redis", "model") for container in compose.containers(service)
        for network in container["NetworkSettings"]["Networks"]
    }  # fmt: skip

    assert published == {"redis": [], "model": [], "api": [f"127.0.0.1:{compose.url.rpartition(':')[2]}"]}
    assert [json.loads(engine.docker("network", "inspect", network))[0]["Internal"] for network in networks] == [True]


def test_redis_keeps_accepted_jobs_and_never_evicts_one(compose):
    """A queue is not a cache."""
    (redis,) = compose.containers("redis")
    settings = as_operator(redis, "config get 'append*' maxmemory-policy").split()

    assert settings[settings.index("appendonly") + 1] == "yes"
    assert settings[settings.index("appendfsync") + 1] == "everysec"
    assert settings[settings.index("maxmemory-policy") + 1] == "noeviction"


def test_each_side_reads_its_own_password_and_nobody_elses(compose):
    """A worker decodes strangers' pictures: who takes it over must not become the API, nor Redis' operator."""
    sides = {side: compose.containers(side)[0] for side in ("api", "model")}
    passwords = {engine.execute(container, "cat", "/run/redis/password") for container in sides.values()}

    assert [len(password) for password in passwords] == [64, 64]
    for container in sides.values():
        assert engine.execute(container, "ls", "/run/redis").split() == ["password"]


def test_redis_refuses_who_has_no_password_and_what_the_workers_do_not_need(compose):
    worker = compose.containers("model")[0]
    address = "from redis import Redis; from model.healthcheck import redis_address as address; "

    assert "authenticated" in complaint(worker, address + "Redis('redis').ping()")
    for command in ("get('ticket:x')", "flushall()", "keys()", "config_get()"):
        assert "NoPermissionError" in complaint(worker, address + f"Redis.from_url(address()).{command}")


def test_redis_refused_the_service_nothing(compose):
    """All the tests above have used it: its list of refusals shows what the table of users has forgotten."""
    (redis,) = compose.containers("redis")
    refused = re.findall(r"^object\n(.*)$", as_operator(redis, "acl log"), re.MULTILINE)

    assert set(refused) <= {"get", "ticket:x", "flushall", "keys", "config|get", "client|setinfo"}  # asked for above


@pytest.mark.parametrize("service", ["model", "api"])
def test_an_image_contains_what_runs_and_nothing_else(compose, service):
    """No tests, no export, no other side, no compiler."""
    container = compose.containers(service)[0]
    rooms = set(engine.execute(container, "ls", "/app").split())
    inside = set(engine.execute(container, "ls", f"/app/{service}").split())

    assert rooms == {service, "contract", "data"} | ({"models"} if service == "model" else set())
    assert inside.isdisjoint({"tests", "export", "Dockerfile", "requirements.txt"})
    assert engine.execute(container, "sh", "-c", "command -v gcc cc npm || true") == ""


def test_every_container_becomes_healthy(compose):
    """What ``docker ps`` shows an operator, and what other containers can wait for; so far down as it takes a while."""
    eventually(lambda: all_healthy(compose), "every container is healthy")

    assert len(compose.containers("model")) == 2


def test_a_worker_killed_in_the_middle_of_requests_costs_no_answer_and_comes_back(compose):
    """Neither a crash nor the kernel's memory killer asks first."""
    before, other = compose.containers("model")
    enough = threading.Event()
    numbers = itertools.count()  # a tail of its own makes each a new picture

    def send_until_enough() -> Iterator[requests.Response]:
        while not enough.is_set():
            yield predict(compose, CHELSEA + f"{next(numbers):08}".encode())

    with ThreadPoolExecutor(SENDERS) as senders:
        sending = [senders.submit(list, send_until_enough()) for _ in range(SENDERS)]
        try:
            eventually(lambda: next(numbers) > 2 * SENDERS, "the first answers")
            engine.kill_on_the_host(before)
            eventually(lambda: engine.inspect(before["Id"])["RestartCount"] == 1, "the engine restarts the worker")
        finally:
            enough.set()
    responses = [response for sender in sending for response in sender.result()]

    assert {(response.status_code, response.json().get("prediction")) for response in responses} == {
        (200, "Egyptian_cat")
    }
    eventually(lambda: workers(compose) == 2, "two workers again")
    assert engine.inspect(other["Id"])["RestartCount"] == 0


def test_a_report_survives_a_new_api_container(compose):
    """An upgrade replaces containers; what users wrote is in a volume."""
    report = {"filename": "cat.jpg", "prediction": "lynx", "score": "0.5", "correct_label": "Egyptian cat"}
    assert requests.post(f"{compose.url}/feedback", data=report, timeout=TIMEOUT_S).ok
    (old,) = compose.ids("api")
    compose.up("--no-deps", "--force-recreate", "api")
    eventually(lambda: answers(compose), "the new API answers")
    (new,) = compose.containers("api")

    assert new["Id"] != old
    assert "Egyptian_cat" in engine.execute(new, "cat", "data/feedback/feedback.csv")


def test_down_leaves_nothing_behind(compose):
    """Last, because it ends the stack."""
    compose.run("down", "-v")

    assert engine.left_over() == []


def as_operator(redis: dict[str, Any], command: str) -> str:
    login = '--user operator --pass "$(cat /data/operator-password)" --no-auth-warning'
    return engine.execute(redis, "sh", "-c", f"redis-cli {login} {command}")


def complaint(container: dict[str, Any], program: str) -> str:
    """What Python says to a program that fails."""
    return engine.execute(container, "sh", "-c", f'python -c "{program}" 2>&1 && exit 1 || exit 0')


def _published(container: dict[str, Any]) -> list[str]:
    bindings = container["NetworkSettings"]["Ports"].values()
    return [f"{binding['HostIp']}:{binding['HostPort']}" for some in bindings for binding in some or ()]
