"""``make chaos`` and ``make fuzz`` in short."""

from __future__ import annotations

import itertools
import time

import pytest

from stress_test.chaos.faults import FAULTS
from stress_test.chaos.report import NEVER
from stress_test.chaos.rounds import run_round
from stress_test.fuzz import pictures, requests
from stress_test.fuzz.detection import with_detection
from stress_test.fuzz.run import send_all
from stress_test.fuzz.watch import Watch
from stress_test.site import running_site
from stress_test.traffic.fates import Fate
from stress_test.traffic.sender import Sender

pytestmark = pytest.mark.long

RATE = 4.0
INPUTS = 500
SEED = 7
SOME_FAULTS = ("a worker is killed", "Redis is killed", "waiting pictures are exchanged")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with running_site(tmp_path_factory.mktemp("site")) as site:
        yield site


def test_under_faults_nothing_is_lost_and_nothing_wrong(site):
    sender, numbers = Sender(site.stack.url, f"test-{time.time_ns()}"), itertools.count()
    faults = [fault for fault in FAULTS if fault.name in SOME_FAULTS]
    assert len(faults) == len(SOME_FAULTS)

    for fault in faults:
        seen = run_round(site, sender, fault, RATE, numbers)

        assert [sent for sent in seen.requests if sent.fate in NEVER] == [], fault.name
        assert seen.fates[Fate.ANSWERED] > 0, fault.name
        assert seen.first_right_s is not None, fault.name


@pytest.fixture(scope="module")
def detecting_site(tmp_path_factory):
    settings = with_detection(tmp_path_factory.mktemp("parts"))
    with running_site(tmp_path_factory.mktemp("detecting"), **settings) as site:
        yield site


@pytest.mark.parametrize("shapes", [pictures.shapes, requests.shapes], ids=["pictures", "requests"])
def test_no_odd_input_gets_more_than_a_documented_error(detecting_site, shapes, tmp_path):
    with Watch(detecting_site) as watch:
        seen = send_all(detecting_site.stack.url, shapes(SEED, INPUTS), tmp_path)

    assert len(seen) == INPUTS
    assert [one for one in seen if one.fault] == []
    assert watch.faults() == []
