"""How cost grows: assets and bars doubled, one at a time.

Run: ``python -m benchmarks.growth [repetitions]``. A step of 2.0 is linear.
"""

from __future__ import annotations

import sys

from benchmarks.floors import FLOORS
from benchmarks.ours import OURS
from benchmarks.scenarios import Scenario, make_workload
from benchmarks.tables import machine, markdown
from benchmarks.timing import measure

ASSETS, BARS = 125, 1260
DOUBLINGS = 3


def series(kind: str, every: int) -> list[Scenario]:
    """Return the sizes of one series."""
    sizes = [2**k for k in range(DOUBLINGS + 1)]
    if kind == "assets":
        return [Scenario(f"assets {k}x", ASSETS * k, BARS, every) for k in sizes]
    return [Scenario(f"bars {k}x", ASSETS, BARS * k, every) for k in sizes]


def main(repetitions: int = 5) -> None:
    """Print a table for every program: milliseconds, and the step from the row before."""
    contenders = [*[floor for floor in FLOORS if floor.final_equity], *OURS]
    print(f"{machine()}. Medians of {repetitions}; milliseconds (step from the row before).\n")
    rows = []
    for every in (21, 1):
        for kind in ("assets", "bars"):
            before: list[float] = []
            for scenario in series(kind, every):
                measured = measure(contenders, make_workload(scenario), repetitions)
                now = [one.median for one in measured]
                steps = [f" ({b / a:.1f})" for a, b in zip(before, now, strict=False)]
                cells = [
                    f"{seconds * 1e3:,.3g}{step}"
                    for seconds, step in zip(now, steps or [""] * len(now), strict=True)
                ]
                rows.append([f"{scenario.n_assets:,} x {scenario.n_bars:,}", str(every), *cells])
                before = now
    print(markdown(["assets x bars", "every", *(one.name for one in contenders)], rows))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
