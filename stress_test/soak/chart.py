"""The report's chart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from stress_test.soak.trend import Samples

COLUMNS = 2


def draw(series: Mapping[str, Samples], warm_up_s: float, path: Path) -> None:
    """Write every series over time as SVG, a small chart for each; the warm-up is grey."""
    with mpl.rc_context({"svg.hashsalt": "soak", "font.size": 8}):
        rows = -(-len(series) // COLUMNS)
        figure = Figure(figsize=(9, 1.8 * rows), layout="constrained")
        charts = figure.subplots(rows, COLUMNS, squeeze=False).flat
        for axes, (name, samples) in zip(charts, series.items(), strict=False):
            axes.plot([seconds / 60 for seconds, _ in samples], [value for _, value in samples])
            axes.axvspan(0, warm_up_s / 60, color="grey", alpha=0.2)
            axes.set_title(name)
            axes.set_xlabel("minutes")
            axes.set_ylim(bottom=0)
            axes.grid(visible=True, alpha=0.3)
        figure.savefig(path, format="svg", metadata={"Date": None})
