"""Measurements as markdown."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from importlib.metadata import version

from benchmarks.contender import Contender
from benchmarks.scenarios import Scenario
from benchmarks.timing import Measured


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def machine() -> str:
    """Say what it ran on, without names."""
    return (
        f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} cores"
    )


def workloads(scenarios: Sequence[Scenario]) -> str:
    """Return the sizes."""
    rows = [
        (name, f"{n_assets:,} x {n_bars:,}", str(every), f"{n_assets * -(-n_bars // every):,}")
        for name, n_assets, n_bars, every in scenarios
    ]
    return markdown(("", "assets x bars", "every", "orders"), rows)


def times(measured: Sequence[Measured]) -> str:
    """Return the medians, in milliseconds: a row per program, a column per scenario."""
    scenarios = _scenarios(measured)
    cells = {(m.contender.name, m.scenario): f"{m.median * 1e3:,.3g}" for m in measured}
    rows = []
    for one in _contenders(measured):
        apart = [m.difference for m in measured if m.contender is one and m.difference is not None]
        shown = f"{max(apart, key=abs):.0e}" if any(apart) else ""
        row = [cells.get((one.name, scenario), "") for scenario in scenarios]
        rows.append([one.name, f"{one.package} {version(one.package)}", *row, shown])
    head = ["ms", "version", *(scenario.name for scenario in scenarios), "equity apart"]
    return markdown(head, rows)


def ratios(measured: Sequence[Measured], base: Contender) -> str:
    """Return every time over that of one program in the same scenario."""
    scenarios = _scenarios(measured)
    below = {m.scenario: m.median for m in measured if m.contender is base}
    cells = {
        (m.contender.name, m.scenario): f"{m.median / below[m.scenario]:,.3g}"
        for m in measured
        if m.scenario in below
    }
    rows = [
        [one.name, *(cells.get((one.name, scenario), "") for scenario in scenarios)]
        for one in _contenders(measured)
    ]
    return markdown([f"time / {base.name}", *(scenario.name for scenario in scenarios)], rows)


def _scenarios(measured: Sequence[Measured]) -> list[Scenario]:
    return list(dict.fromkeys(m.scenario for m in measured))


def _contenders(measured: Sequence[Measured]) -> list[Contender]:
    return list(dict.fromkeys(m.contender for m in measured))
