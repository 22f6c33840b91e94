"""Asynchronous jobs on the running service, with the real model, as a client uses them."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import requests

from tests.pictures import odd
from tests.support.stack import Stack
from tests.support.workers import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

CHELSEA = (Path(__file__).parent / "pictures" / "chelsea.jpg").read_bytes()
TIMEOUT_S = 60
UNENDED = {"queued", "running"}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with Stack(tmp_path_factory.mktemp("jobs"), WORKERS="1") as stack:
        assert "Ready in" in stack.printed, stack.printed
        yield stack.url


def submit(url: str, photo: bytes = CHELSEA, **headers: str) -> requests.Response:
    return requests.post(f"{url}/v1/jobs", files={"file": ("cat.jpg", photo)}, headers=headers, timeout=TIMEOUT_S)


def look(url: str, path: str) -> requests.Response:
    return requests.get(url + path, timeout=TIMEOUT_S)


def done(url: str, path: str) -> Any:
    """The job's result, polled as the service's Retry-After says."""

    def result() -> Any:
        response = look(url, path)
        assert response.status_code == 200, response.text
        if response.json()["state"] in UNENDED:
            time.sleep(int(response.headers["Retry-After"]) / 10)
            return None
        return response.json()["result"]

    return eventually(result, f"{path} is done")


def test_a_job_is_sent_and_fetched(url):
    accepted = submit(url)
    result = done(url, accepted.headers["Location"])

    assert accepted.status_code == 202
    assert result["predictions"][0]["label"] == "Egyptian_cat"
    assert len(result["digest"]) == 64


def test_a_job_of_half_a_picture_says_so_if_its_sender_wants_it(url):
    strict, lenient = (
        requests.post(
            f"{url}/v1/jobs?strict={strict}", files={"file": ("cat.png", odd.truncated_png())}, timeout=TIMEOUT_S
        )
        for strict in ("true", "false")
    )
    refused = eventually(
        lambda: (now := look(url, strict.headers["Location"]).json())["state"] not in UNENDED and now, "it ends"
    )

    assert refused["error"]["kind"] == "undecodable"
    assert "damaged" in refused["error"]["detail"]
    assert done(url, lenient.headers["Location"])["damaged"] is True


def test_a_retry_that_overtakes_the_first_try_makes_no_second_job(url):
    """The two are answered by different API processes."""

    def send(number: int) -> requests.Response:
        return submit(url, CHELSEA + bytes([2, number]), **{"Idempotency-Key": f"order-{number}"})

    with ThreadPoolExecutor(8) as senders:
        answers = list(senders.map(send, [number for number in range(5) for _ in range(8)]))

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 5


@pytest.mark.long
def test_accepted_jobs_survive_the_death_of_every_process(tmp_path):
    """API, workers, Redis and their supervisor are killed at once, with jobs queued and done."""
    with Stack(tmp_path, WORKERS="1") as first:
        early = submit(first.url).headers["Location"]
        done(first.url, early)
        (worker,) = first.parts("model.worker")
        worker.suspend()  # this one computes nothing more
        accepted = [submit(first.url, CHELSEA + bytes([3, n])).headers["Location"] for n in range(12)]
        processes = [psutil.Process(first.process.pid), *first.parts("")]
        for process in processes:
            process.kill()
        psutil.wait_procs(processes[1:], TIMEOUT_S)
    with Stack(tmp_path, WORKERS="1") as second:
        results = [done(second.url, path) for path in (early, *accepted)]

    assert {result["predictions"][0]["label"] for result in results} == {"Egyptian_cat"}
