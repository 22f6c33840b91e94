"""The report's chart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from stress_test.measurement import Measurement


def draw(series: Mapping[int, tuple[Measurement, ...]], path: Path) -> None:
    """Write the chart as SVG: predictions per second, and p99, over users; a line for each number of workers."""
    with mpl.rc_context({"svg.hashsalt": "stress test", "font.size": 9}):  # the same figures give the same bytes
        figure = Figure(figsize=(9, 3.4), layout="constrained")
        throughput, slowest = figure.subplots(1, 2)
        for workers, measurements in sorted(series.items()):
            users = [seen.users for seen in measurements]
            label = "1 worker" if workers == 1 else f"{workers} workers"
            throughput.plot(users, [seen.predictions_per_s for seen in measurements], marker="o", label=label)
            slowest.plot(users, [seen.p99_ms for seen in measurements], marker="o", label=label)
        throughput.set_title("Predictions per second")
        throughput.set_ylim(bottom=0)
        slowest.set_title("Response time, p99, ms")
        slowest.set_yscale("log")
        for axes in (throughput, slowest):
            axes.set_xscale("log", base=2)
            axes.set_xlabel("users")
            axes.set_xticks(users, [str(number) for number in users])
            axes.xaxis.set_minor_locator(NullLocator())
            axes.grid(visible=True, alpha=0.3)
            axes.legend()
        figure.savefig(path, format="svg", metadata={"Date": None})
