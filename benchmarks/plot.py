"""Time against assets x bars. Needs matplotlib, from the extra ``peers``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.ours import OURS
from benchmarks.timing import Measured

MARKERS = "osv^Dp*Xhd"
#: Beyond the colours there are, lines are broken.
STYLES = ("-", "--")


def write_plot(measured: Sequence[Measured], path: Path) -> None:
    """Draw a panel for each frequency of rebalancing, and a line for each program."""
    kinds = sorted({m.scenario.every for m in measured}, reverse=True)
    names = list(dict.fromkeys(m.contender.name for m in measured))
    ours = {contender.name for contender in OURS}
    # Nothing in the file may change from one writing to the next but the numbers.
    with mpl.rc_context({"svg.hashsalt": "speed", "svg.fonttype": "none"}):
        figure = Figure(figsize=(5.0 * len(kinds), 5.2), layout="constrained")
        panels = figure.subplots(1, len(kinds), sharex=True, sharey=True, squeeze=False)[0]
        for panel, every in zip(panels, kinds, strict=True):
            for k, name in enumerate(names):
                points = sorted(
                    (m.scenario.n_assets * m.scenario.n_bars, m.median)
                    for m in measured
                    if m.contender.name == name and m.scenario.every == every
                )
                panel.plot(
                    [size for size, _ in points],
                    [seconds for _, seconds in points],
                    color=f"C{k}",
                    marker=MARKERS[k % len(MARKERS)],
                    linestyle=STYLES[k // len(MARKERS)],
                    linewidth=2.5 if name in ours else 1.0,
                    label=name,
                )
            panel.set(xscale="log", yscale="log", xlabel="assets x bars")
            panel.set_title("every bar" if every == 1 else f"every {every} bars")
            panel.grid(alpha=0.3, which="both")
        panels[0].set_ylabel("seconds")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
        figure.savefig(path, metadata={"Date": None})
