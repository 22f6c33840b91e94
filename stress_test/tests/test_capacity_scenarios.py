"""A real but very short run of a scenario: everything that it reports can be measured."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from model.export import photos
from stress_test.capacity.bench import Bench
from stress_test.capacity.processes import ROLES
from stress_test.capacity.scenarios import control_plane
from stress_test.load import ROOT

pytestmark = pytest.mark.long


@pytest.mark.usefixtures("wrk")
def test_the_control_plane_has_a_cost_in_every_role(tmp_path, imagenet_sample):
    """In a process of its own, as ``make bench`` is: it counts the processes that it has started."""
    bench = Bench(
        model=Path(),  # the scenario's worker has none
        photos=photos.read(imagenet_sample),
        workers=1, rounds=1, seconds=1.0, scratch=tmp_path, cache=tmp_path,
    )  # fmt: skip
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as own_process:
        section = own_process.submit(control_plane.measure, bench).result()
    (cost,) = section.rounds

    assert cost.load.answered > 0
    assert cost.load.failed == 0
    assert all(cost.cpu_s[role] > 0 for role in ROLES)
    assert re.search(r"^\| [1-9]\d*( \| \d+\.\d\d){4} \| 0 \|$", section.markdown(), re.MULTILINE)


@pytest.mark.usefixtures("wrk")
@pytest.mark.parametrize("compared", [("two_trees", str(ROOT)), ("with_keys",)], ids=lambda words: words[0])
def test_two_ways_are_compared_in_turns(imagenet_sample, compared):
    """This checkout with itself, and with keys: whoever changes the hot path needs the commands to work."""
    module, *arguments = compared
    command = [sys.executable, "-m", f"stress_test.capacity.{module}", *arguments, "--rounds", "1", "--seconds", "1"]
    environment = {**os.environ, "IMAGENET_SAMPLE": str(imagenet_sample)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240, check=False)

    assert done.returncode == 0, done.stderr
    rows = re.findall(
        r"^\| (API|worker|API and worker|queue) \| (\S+) \| (\S+) \| (\S+) \|$", done.stdout, re.MULTILINE
    )
    assert [row[0] for row in rows] == ["API", "worker", "API and worker", "queue"]
    assert all(float(figure) > 0 for row in rows for figure in row[1:])
    assert "0 requests failed" in done.stdout
