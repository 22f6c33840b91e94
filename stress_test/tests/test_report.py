from __future__ import annotations

import re
from datetime import date
from xml.etree import ElementTree as ET

import pytest

from stress_test.__main__ import GREAT_CROWD as GREAT_CROWD_USERS
from stress_test.__main__ import REPORT
from stress_test.chart import draw
from stress_test.machine import Machine
from stress_test.measurement import Measurement
from stress_test.report import Figures, render
from tests.support.outline import outline

MACHINE = Machine("A Processor", 2, 0.04, {"Python": "3.11.7", "locust": "2.47.0"})


def measured(users: int, predictions: int, **changed: object) -> Measurement:
    fields = {
        "users": users,
        "seconds": 20.0,
        "pages": predictions // 3,
        "predictions": predictions,
        "known": 0,
        "refused": 0,
        "failures": {},
        "p50_ms": 24,
        "p95_ms": 31,
        "p99_ms": 45,
        "known_p50_ms": 0,
        "known_p99_ms": 0,
        "generator_cpu_s": 1.0,
    }
    return Measurement(**{**fields, **changed})  # type: ignore[arg-type]


GREAT_CROWD = measured(
    GREAT_CROWD_USERS, 4200, seconds=60.0, known=4500, pages=3000, refused=900,
    p99_ms=15000, known_p50_ms=7, known_p99_ms=150,
    failures={"GET /: status 500": 3},
)  # fmt: skip


def figures(
    one: tuple[Measurement, ...], two: tuple[Measurement, ...], great_crowd: Measurement = GREAT_CROWD
) -> Figures:
    return Figures(
        day=date(2026, 11, 21),
        machine=MACHINE,
        model="resnet50-int8",
        warm_up_s=4.0,
        seconds=20.0,
        series={1: one, 2: two},
        great_crowd=great_crowd,
    )


@pytest.fixture
def report() -> str:
    return render(
        figures(
            (measured(4, 60), measured(256, 900, p50_ms=4100, p99_ms=6000, refused=7)),
            (measured(4, 63), measured(256, 1350, failures={"POST /predict: status 504": 2}, generator_cpu_s=5.0)),
        ),
        "report/chart.svg",
    )


def test_each_crowd_has_a_row_for_one_and_for_two_workers(report):
    assert re.findall(r"^\| \d+ \| [12] \|.*$", report, re.MULTILINE) == [
        "| 4 | 1 | 4.0 | 3.0 | 24 | 31 | 45 | 0 | 0 | 5% |",
        "| 4 | 2 | 4.2 | 3.1 | 24 | 31 | 45 | 0 | 0 | 5% |",
        "| 256 | 1 | 60.0 | 45.0 | 4100 | 31 | 6000 | 0 | 7 | 5% |",
        "| 256 | 2 | 90.0 | 67.5 | 24 | 31 | 45 | 2 | 0 | 25% |",
    ]


def test_the_ratio_is_that_of_the_predictions_per_second(report):
    assert "| 4 | 3.0 | 3.1 | 1.05 |\n| 256 | 45.0 | 67.5 | 1.50 |\n" in report


def test_the_great_crowd_has_its_rates_and_times_by_kind_of_picture(report):
    """A known picture is only looked up: one time for both kinds would describe neither."""
    assert "\n| 50.0 | 70.0 | 75.0 | 15.0 | 24 / 15000 | 7 / 150 | 3 | 2% |\n" in report


def test_every_failure_is_shown_with_its_reason(report):
    """A figure without its failures would be misleading."""
    assert (
        "## Failures\n\n- 256 users, 2 worker(s): 2 times POST /predict: status 504\n"
        "- 1000 users, 2 worker(s): 3 times GET /: status 500\n"
    ) in report


def test_a_run_without_failures_says_so():
    calm = figures((measured(4, 60),), (measured(4, 63),), great_crowd=measured(1000, 4000))

    assert "## Failures\n\nNone.\n" in render(calm, "chart.svg")


def test_a_service_that_answered_nothing_has_no_ratio():
    """The report of a bad run must be written too."""
    assert "| 4 | 0.0 | 3.1 | - |" in render(figures((measured(4, 0),), (measured(4, 63),)), "chart.svg")


def test_it_says_where_and_how_the_figures_were_measured(report):
    """Figures of another machine can't be compared without it."""
    assert "2026-11-21, `make stress`" in report
    assert "A Processor, 2 cores; load average before the start 0.0 " in report
    assert "Python 3.11.7, locust 2.47.0; model `resnet50-int8`" in report
    assert "20 s for each row, after 4 s" in report
    assert "](report/chart.svg)" in report
    assert "$" not in report


def test_the_recorded_report_has_every_heading_and_table(report):
    """Run ``make stress`` after changing the template."""
    assert outline(REPORT.read_text()) == outline(report)


def test_the_chart_is_a_small_drawing_that_the_same_figures_make_again(tmp_path):
    """It is committed beside the report, so it may change only with the figures."""
    series = {1: (measured(4, 60), measured(16, 0, p99_ms=0)), 2: (measured(4, 63), measured(16, 240))}
    first, second = tmp_path / "first.svg", tmp_path / "second.svg"
    draw(series, first)
    draw(series, second)

    assert ET.parse(first).getroot().tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314  # our own file
    assert first.read_bytes() == second.read_bytes()
    assert first.stat().st_size < 100_000
