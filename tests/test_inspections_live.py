"""Inspections on a real service: what a killed worker costs them, and what becomes of a deleted picture."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.support.detection_site import DetectionSite, red_at
from tests.support.operator import ADMIN_KEY
from tests.support.workers import WAIT_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.server import Server

PLATE = """\
upright:
  - {label: red, inner: [0.18, 0.18, 0.45, 0.45], outer: [0.13, 0.13, 0.49, 0.49]}
"""
GOOD, BAD = (100, 50, 300, 150), (140, 50, 340, 150)
OPERATOR = {"Authorization": f"Bearer {ADMIN_KEY}"}


@pytest.fixture(scope="module")
def site(valkey: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DetectionSite]:
    patterns = tmp_path_factory.mktemp("patterns")
    (patterns / "plate.yaml").write_text(PLATE)
    settings = {"PATTERN_DIR": str(patterns), "ADMIN_API_KEY": ADMIN_KEY}
    with DetectionSite(valkey, tmp_path_factory.mktemp("site"), **settings) as site:
        yield site


def get(site: DetectionSite, path: str) -> requests.Response:
    return requests.get(f"{site.url}{path}", headers=OPERATOR, timeout=WAIT_S)


def kept(site: DetectionSite) -> list[dict[str, Any]]:
    """All of them, the newest first."""
    found: list[dict[str, Any]] = []
    page, more = 1, True
    while more:
        body = get(site, f"/v1/inspections?page={page}").json()
        found += body["inspections"]
        page, more = page + 1, body["more"]
    return found


def test_a_deleted_picture_is_gone_from_its_inspection_too_which_stays(site):
    """Whoever wants a picture deleted wants no copy of it left; that a part was bad is another thing."""
    sent = site.post("/v1/inspections", red_at(BAD, noise=1)).json()
    link = sent["links"]["picture"]
    before = get(site, link)
    deleted = requests.delete(f"{site.url}/display/{sent['picture']}", headers=OPERATOR, timeout=WAIT_S)
    after = get(site, link)
    (left,) = [one for one in kept(site) if one["id"] == sent["id"]]

    assert (before.status_code, deleted.status_code) == (200, 204)
    assert before.content == red_at(BAD, noise=1)
    assert (after.status_code, after.headers["Content-Type"]) == (404, "application/problem+json")
    assert left == {**sent, "links": {"picture": None, "drawn": None}}
    assert list(site.folder.rglob(f"*{sent['picture']}*")) == []


@pytest.mark.long
def test_a_killed_worker_costs_no_inspection_its_decision_and_none_is_kept_twice(site):
    """What it had in hand comes back, and the other worker computes it: the line waits, and goes on."""
    before = {one["id"] for one in kept(site)}
    site.start_worker()
    parts = [(GOOD if number % 3 else BAD, number) for number in range(100, 190)]
    with ThreadPoolExecutor(16) as senders:
        answers = [senders.submit(site.post, "/v1/inspections", red_at(box, noise=noise)) for box, noise in parts]
        answers[3].result()
        worker = site.running[0]
        worker.send_signal(signal.SIGSTOP)  # with what it has in hand
        answers[20].result()
        worker.send_signal(signal.SIGKILL)
        worker.wait(WAIT_S)
        responses = [answer.result() for answer in answers]

    assert [response.status_code for response in responses] == [200] * len(parts)
    bodies = [response.json() for response in responses]
    assert [body["decision"] for body in bodies] == [box == GOOD for box, _ in parts]
    new = [one for one in kept(site) if one["id"] not in before]
    assert sorted(one["id"] for one in new) == sorted(body["id"] for body in bodies)
    assert {one["id"]: one["decision"] for one in new} == {body["id"]: body["decision"] for body in bodies}
