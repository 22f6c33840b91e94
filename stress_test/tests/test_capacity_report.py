from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from stress_test.capacity.__main__ import ROUNDS, SCENARIOS, TURN_S
from stress_test.capacity.chart import draw
from stress_test.capacity.loops import LoopRun
from stress_test.capacity.report import Run, as_json, markdown
from stress_test.capacity.scenarios.control_plane import ControlPlane, Cost
from stress_test.capacity.scenarios.large_photo import LargePhoto
from stress_test.capacity.scenarios.memory import Course, Memory
from stress_test.capacity.scenarios.overload import Flood, Overload
from stress_test.capacity.scenarios.repeated import Repeated
from stress_test.capacity.scenarios.throughput import Served, Throughput
from stress_test.capacity.scenarios.variants import Variants
from stress_test.capacity.wrk import Load
from stress_test.load import ROOT
from stress_test.machine import Machine
from tests.support.outline import outline

if TYPE_CHECKING:
    from stress_test.capacity.processes import Role

REPORTS = ROOT / "stress_test" / "capacity"
CPU: dict[Role, float] = {"api": 2.0, "worker": 18.0, "queue": 0.5}


def load(per_s: float, concurrency: int = 32, p50_ms: float = 100.0) -> Load:
    return Load(concurrency, 10.0, round(10 * per_s), 0, p50_ms, 2 * p50_ms, 3 * p50_ms, 4 * p50_ms, 0.5)


THROUGHPUT = Throughput(
    processes=2,
    service={
        number: (Served(load(per_s, number, p50), CPU), Served(load(per_s + 1, number, p50), CPU))
        for number, per_s, p50 in ((1, 40, 23.0), (8, 90, 90.0), (32, 95, 330.0), (128, 94, 1300.0))
    },
    loops={
        "conventional": (LoopRun(84, 190, 200), LoopRun(84, 190, 200)),
        "own": (LoopRun(100, 160, 170), LoopRun(100, 160, 170)),
        "conventional_single": (LoopRun(40, 24, 26), LoopRun(40, 24, 26)),
        "own_single": (LoopRun(50, 20, 22), LoopRun(50, 20, 22)),
    },
    peer=(load(76), load(76)),
    peer_missing="",
    right={"conventional": 0.912, "own": 0.916},
)
SECTIONS = {
    "throughput": THROUGHPUT,
    "variants": Variants(
        loop=(80.0, 84.0),
        ways={"as it comes": (88.0, 84.0), "one API process": (80.0, 84.0), "batches of 16": (72.0, 75.6)},
    ),
    "repeated": Repeated((load(1400, p50_ms=20),)),
    "overload": Overload((Flood(95, 380, 80, 290, 1500, 1900, 10, 60, 3, {504: 2}, 0.1),)),
    "control_plane": ControlPlane((Cost(load(500), {"api": 9.0, "worker": 3.0, "queue": 1.0}),)),
    "memory": Memory(load(90), (Course("worker 1", 175, ((0.0, 200.0), (6000.0, 206.0)), 210),
                                Course("api 1", 55, ((0.0, 60.0), (6000.0, 63.0)), 70))),
    "large_photo": LargePhoto((load(40, 1, 25),), (load(20, 1, 50),), 110_000, 1_260_000),
}  # fmt: skip
RUN = Run(
    day=date(2026, 11, 21),
    command="python -m stress_test.capacity",
    machine=Machine("A Processor", 2, 0.04, {"Python": "3.11.7"}),
    software={"Python": "3.11.7", "wrk": "4.1.0"},
    model="resnet50-int8",
    photos=250,
    rounds=2,
    seconds=10.0,
    took_s=840.0,
    sections=SECTIONS,
)


def row(text: str, start: str) -> str:
    (found,) = [line for line in text.splitlines() if line.startswith(f"| {start}")]
    return found


@pytest.mark.parametrize(
    ("start", "reached", "verdict"),
    [
        ("distinct photos, 32 at once ÷ conventional loop", "1.14 (1.13 to 1.14)", "yes"),
        ("distinct photos, 32 at once ÷ our own loop", "0.95 (0.95 to 0.96)", "yes"),
        ("distinct photos, 32 at once ÷ LitServe", "1.26 (1.25 to 1.26)", "yes"),
        ("128 at once", "0.99", "yes"),
        ("one at a time", "3.0", "yes"),
        ("a repeated photo, requests/s", "1400", "yes"),
        ("overload: goodput", "0.84", "**no**"),
        ("overload: p99 of the time to a refusal", "60", "**no**"),
        ("overload: answers other than 200 in time", "5", "**no**"),
        ("control plane, CPU ms", "2.40", "yes"),
        ("worker, most memory", "206", "yes"),
        ("12 MP photo", "2.00", "yes"),
    ],
)
def test_each_target_is_beside_what_was_reached(start, reached, verdict):
    """A missed target is stated as plainly as a met one."""
    cells = [cell.strip() for cell in row(markdown(RUN, {}), start).strip("|").split("|")]

    assert cells[2:] == [reached, verdict]


def test_the_report_says_when_where_and_how():
    text = markdown(RUN, {"A chart": "chart.svg"})

    for fact in (
        "2026-11-21",
        "`python -m stress_test.capacity`",
        "A Processor, 2 cores",
        "wrk 4.1.0",
        "0.0",
        "14 minutes",
    ):
        assert fact in text
    assert "![A chart](chart.svg)" in text


def test_a_missing_peer_is_named_and_counts_as_not_measured():
    """A machine without a network can still measure everything else."""
    without = replace(THROUGHPUT, peer=(), peer_missing="LitServe 0.2.19 can't be installed: no network")
    text = markdown(replace(RUN, sections={"throughput": without}), {})

    assert "can't be installed: no network" in text
    assert row(text, "distinct photos, 32 at once ÷ LitServe").endswith("| - | not measured |")


def test_the_ways_to_run_it_are_compared_with_the_loop_of_the_same_rounds():
    """Only a comparison within a round counts: a slow round slows all of them."""
    section = SECTIONS["variants"]
    rows = [line for line in section.markdown().splitlines() if line.startswith("|")][2:]

    assert rows == [
        "| as it comes | 86.0 (84.0 to 88.0) | 1.05 (1.00 to 1.10) |",
        "| one API process | 82.0 (80.0 to 84.0) | 1.00 |",
        "| batches of 16 | 73.8 (72.0 to 75.6) | 0.90 |",
    ]
    assert section.markdown().startswith("## Other ways to run it\n")
    assert section.targets == ()


def test_json_holds_every_round_and_every_verdict():
    fields = json.loads(as_json(RUN))

    assert [turn["load"]["answered"] for turn in fields["sections"]["throughput"]["service"]["32"]] == [950, 960]
    assert fields["sections"]["overload"]["rounds"][0]["others"] == {"504": 2}
    assert {target["met"] for target in fields["targets"]} == {True, False}


def test_the_recorded_report_is_of_a_whole_run_of_the_code_as_it_is():
    """Run ``make bench`` after changing a scenario: a shortened run is for trying, not for keeping."""
    recorded = json.loads((REPORTS / "report.json").read_text(encoding="utf-8"))
    fields = {name: list(section) for name, section in json.loads(as_json(RUN))["sections"].items()}

    assert list(SECTIONS) == list(SCENARIOS)
    assert {name: list(section) for name, section in recorded["sections"].items()} == fields
    assert (recorded["rounds"], recorded["seconds"]) == (ROUNDS, TURN_S)
    assert recorded["command"] == "python -m stress_test.capacity"
    assert [target["what"] for target in recorded["targets"]] == [target.what for target in RUN.targets]


def test_the_recorded_page_has_every_heading_and_table():
    """The figures may differ, but not what they are figures of."""
    recorded = (REPORTS / "report.md").read_text(encoding="utf-8")

    assert outline(recorded) == outline(markdown(RUN, {}))


def test_the_same_figures_give_the_same_charts(tmp_path):
    """A report that is made again without new figures must not show up as a change."""
    for name in ("one", "two"):
        draw(THROUGHPUT, tmp_path / f"{name}.svg", tmp_path / f"{name}-latency.svg")

    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    assert (tmp_path / "one-latency.svg").read_bytes() == (tmp_path / "two-latency.svg").read_bytes()
    assert ET.fromstring((tmp_path / "one.svg").read_text()).tag.endswith("svg")  # noqa: S314 - our own file
