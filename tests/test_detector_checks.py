"""The check of a detector's candidate, on a real service whose worker serves two versions; and what else differs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import requests

from model.bundle import LABELS
from model.tests import detectors
from tests.support.detection_site import DETECTOR, DetectionSite, red_at
from tests.support.operator import ADMIN_KEY, Operator
from tests.support.workers import WAIT_S

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.server import Server

PICTURES = 100
SWAPPED = "swapped"  # its labels stand in the wrong order
HTML = {"Accept": "text/html", "Authorization": f"Bearer {ADMIN_KEY}"}


def write_version(folder: Path, version: str, labels: tuple[str, ...] = detectors.LABELS) -> None:
    bundle = detectors.write_bundle(folder / f"{DETECTOR}-{version}")
    (bundle / LABELS).write_text("".join(f"{label}\n" for label in labels))
    detectors.change_manifest(bundle, version=version)


@pytest.fixture(scope="module")
def site(valkey: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DetectionSite]:
    """Beside the version that answers there are an equal one, and one that calls everything otherwise."""
    folder, pictures = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("pictures")
    write_version(folder, "2")
    write_version(folder, SWAPPED, detectors.LABELS[::-1])
    (pictures / "more").mkdir()
    for number in range(PICTURES):
        place = pictures / "more" if number % 2 else pictures
        (place / f"{number:03}.png").write_bytes(red_at((100, 50, 200 + number, 150)))
    settings = {"ADMIN_API_KEY": ADMIN_KEY, "CHECK_DIR": str(pictures), "CHECK_SLOWER_RATIO": "100"}
    with DetectionSite(valkey, folder, **settings) as site:
        yield site


@pytest.fixture
def operator(site: DetectionSite) -> Operator:
    return Operator(site.url, DETECTOR)


def page(site: DetectionSite) -> str:
    """As a person reads it."""
    html = requests.get(f"{site.url}/admin/models", headers=HTML, timeout=WAIT_S).text
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def test_a_candidate_that_calls_things_otherwise_is_refused_by_what_it_finds(site, operator):
    """The commonest mistake, and one that no picture without a label shows by itself."""
    operator.name(SWAPPED)
    begun = operator.begin()
    found = operator.checked()
    refused = operator.send("POST", "promote")

    assert (begun["state"], begun["of"]) == ("running", PICTURES)
    assert found["state"] == "failed"
    assert found["report"]["labelled"] == {
        "pictures": PICTURES, "left_out": 0, "agreed": 0,
        "objects_current": PICTURES, "objects_candidate": PICTURES, "matched": 0,
    }  # fmt: skip
    differing = found["report"]["disagreements"][0]
    assert (differing["expected"], differing["current"], differing["candidate"]) == (None, "red", "blue")
    assert refused.status_code == 409
    assert refused.json()["detail"] == (
        "reds@swapped has not passed its check: it finds others: 0 of 100 objects of reds@1 (0.0%) and of 100 of its "
        "own (0.0%) are found by both; 90% of each are needed; nothing was changed"
    )
    shown = page(site)
    assert "With the same objects Objects of version 1 Objects of version swapped Found by both" in shown
    assert "Of the operator 100 0.0% 100 100 0" in shown
    assert "1 alone red swapped alone blue" in shown


def test_a_candidate_that_finds_the_same_passes_and_is_promoted(operator):
    operator.name("2")
    unchecked = operator.send("POST", "promote")
    operator.begin()
    found = operator.checked()
    promoted = operator.send("POST", "promote")

    assert unchecked.json()["detail"] == "reds@2 has not been checked; nothing was changed"
    assert found["report"]["labelled"]["agreed"] == PICTURES
    assert found["report"]["disagreements"] == []
    assert found["report"]["verdict"].startswith("it finds the same: 100 of 100 objects of reds@1 (100.0%) and of 100 ")
    assert (promoted.status_code, promoted.json()["version"]) == (200, "2")


def test_a_detector_s_candidate_has_no_shadow_and_says_so(site, operator):
    """It was skipped in silence: the operator waited for a comparison that never came."""
    operator.name(SWAPPED)
    refused = operator.send("PUT", "candidate", version=SWAPPED, share=10, shadow=50)
    shared = operator.send("PUT", "candidate", share=10)

    assert refused.status_code == 409
    assert "its shadow must be 0; check the candidate, or give it a share" in refused.json()["detail"]
    assert (shared.json()["candidate"], shared.json()["share"], shared.json()["shadow"]) == (SWAPPED, 10, 0)
    shown = page(site)
    assert "has no shadow" in shown
    assert "Beside the answers" not in shown


def test_the_page_says_why_it_gives_a_detector_no_shadow(site):
    fields = {"action": "candidate", "version": SWAPPED, "shadow": "50"}
    asked = requests.post(f"{site.url}/admin/models/{DETECTOR}", data=fields, headers=HTML, timeout=WAIT_S)
    inputs = dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', asked.text))
    refused = requests.post(f"{site.url}/admin/models/{DETECTOR}", data=inputs, headers=HTML, timeout=WAIT_S)

    assert refused.status_code == 409
    assert "so its shadow must be 0" in refused.text
