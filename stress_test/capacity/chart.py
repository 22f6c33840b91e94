"""The report's charts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from stress_test.capacity import peer
from stress_test.capacity.figures import Spread

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

    from stress_test.capacity.scenarios.throughput import Throughput

SIZE_INCHES = (6.4, 3.6)


def draw(seen: Throughput, throughput: Path, latency: Path) -> None:
    """Write both charts as SVG; the same figures give the same bytes."""
    with mpl.rc_context({"svg.hashsalt": "capacity", "font.size": 9}):
        _draw_throughput(seen, throughput)
        _draw_latency(seen, latency)


def _draw_throughput(seen: Throughput, path: Path) -> None:
    figure, axes = _axes(list(seen.service), "Photos per second, every one different")
    spreads = [Spread.of(seen.service_per_s(number)) for number in seen.service]
    medians = [spread.median for spread in spreads]
    below = [spread.median - spread.low for spread in spreads]
    above = [spread.high - spread.median for spread in spreads]
    axes.errorbar(list(seen.service), medians, yerr=[below, above], marker="o", capsize=3, label="this service")
    for name, label, style in (("own", "our own loop", "--"), ("conventional", "conventional loop", ":")):
        median = Spread.of(run.per_s for run in seen.loops[name]).median
        axes.axhline(median, linestyle=style, color="grey", label=f"{label}, batch 8")
    if seen.peer:
        median = Spread.of(load.per_s for load in seen.peer).median
        axes.plot([seen.peer[0].concurrency], [median], marker="s", linestyle="none", label=peer.version())
    axes.set_ylim(bottom=0)
    axes.legend()
    _save(figure, path)


def _draw_latency(seen: Throughput, path: Path) -> None:
    figure, axes = _axes(list(seen.service), "Response time, ms")
    for name in ("p50_ms", "p90_ms", "p99_ms"):
        medians = [Spread.of(getattr(turn.load, name) for turn in turns).median for turns in seen.service.values()]
        axes.plot(list(seen.service), medians, marker="o", label=name.removesuffix("_ms"))
    single = Spread.of(run.p50_ms for run in seen.loops["own_single"]).median
    axes.axhline(single, linestyle="--", color="grey", label="our own loop, one photo")
    axes.set_yscale("log")
    axes.legend()
    _save(figure, path)


def _axes(concurrencies: list[int], title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=SIZE_INCHES, layout="constrained")
    axes = figure.subplots()
    axes.set_title(title)
    axes.set_xscale("log", base=2)
    axes.set_xlabel("requests at once")
    axes.set_xticks(concurrencies, [str(number) for number in concurrencies])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(visible=True, alpha=0.3)
    return figure, axes


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, format="svg", metadata={"Date": None})
