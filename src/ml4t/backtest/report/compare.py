"""One page for several runs beside each other."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ml4t.backtest.errors import InputError, listed, shown
from ml4t.backtest.formats import bps, counted, day, listed_words, money, number, percent
from ml4t.backtest.metrics import drawdown
from ml4t.backtest.report import style
from ml4t.backtest.report.bridge import label
from ml4t.backtest.report.libraries import go
from ml4t.backtest.report.pack import Packer
from ml4t.backtest.report.page import checked_target, render, write_whole
from ml4t.backtest.report.sections import Figures, Section, StaticTable
from ml4t.backtest.report.sources import Sources
from ml4t.backtest.report.statistics import statistics_table
from ml4t.backtest.report.thin import kept_points, thinning_note
from ml4t.backtest.result import BacktestResult
from ml4t.backtest.version import __version__

# A line is told from the others by colour and dash together.
_DASHES = ("solid", "dash", "dot", "dashdot")


def compare_report(
    results: Sequence[BacktestResult],
    path: str | os.PathLike[str],
    names: Sequence[str] | None = None,
    title: str | None = None,
) -> Path:
    """Write a page that shows several runs beside each other.

    Parameters
    ----------
    results : sequence of BacktestResult
        At least two. They may have other times, assets and settings. A loaded one has no bridge.
    path : str or path
        The file; its folder exists. A file that is there is replaced.
    names : sequence of str, optional
        One for each, no two the same; "run 1", "run 2" and so on if they are left out.
    title : str, optional

    Returns
    -------
    Path
        Of the file.

    Raises
    ------
    ValueError
        For fewer than two results, for names that do not fit, and for a path that cannot be
        written to.

    Examples
    --------
    >>> compare_report([cheap, dear], "costs.html", names=["1 bp", "10 bps"])  # doctest: +SKIP
    """
    target = checked_target(path)
    runs = _named(results, names)
    write_whole(target, _page(runs, "Runs compared" if title is None else str(title)))
    return Path(path)


def growth_figure(runs: dict[str, pl.DataFrame], of_cash: dict[str, float]) -> Any:
    """Draw the equity of runs as multiples of the cash that each began with.

    Parameters
    ----------
    runs : dict of name to polars.DataFrame
        ``timestamp`` and ``equity``.
    of_cash : dict of name to float
        The initial cash.
    """
    lines = {name: frame["equity"].to_numpy() / of_cash[name] for name, frame in runs.items()}
    figure = _lines_figure("Growth of 1", 420, runs, lines, "%{y:.3f}")
    figure.update_yaxes(title_text="multiple of the initial cash", tickformat=",~f")
    return figure


def drawdowns_figure(runs: dict[str, pl.DataFrame], of_cash: dict[str, float]) -> Any:
    """Draw how far runs stand below their highest values so far; as `growth_figure`."""
    lines = {
        name: drawdown(np.concatenate([[of_cash[name]], frame["equity"].to_numpy()]))[1:]
        for name, frame in runs.items()
    }
    figure = _lines_figure("Drawdown", 320, runs, lines, "%{y:.1%}")
    figure.update_yaxes(title_text="below the highest close", tickformat="~%")
    return figure


def _lines_figure(
    title: str, height: int, runs: dict[str, pl.DataFrame], lines: dict[str, Any], hover: str
) -> Any:
    longest = max(lines.values(), key=len)
    note = thinning_note(kept_points([longest]).size, longest.size)
    figure = style.new_figure(title, height=height, note=note)
    colors = (*style.SERIES[:5], style.GREY)
    for k, (name, values) in enumerate(lines.items()):
        kept = kept_points([values])
        figure.add_trace(
            go.Scatter(
                x=style.wall_times(runs[name]["timestamp"])[kept],
                y=values[kept],
                name=style.label(name),
                mode="lines" if values.size > 1 else "markers",
                line={
                    "color": colors[k % len(colors)],
                    "dash": _DASHES[(k + k // len(colors)) % len(_DASHES)],
                    "width": 1.6,
                },
                hovertemplate=hover,
            )
        )
    figure.update_xaxes(type="date")
    return figure


def _named(results: object, names: object) -> dict[str, Sources]:
    """Return the runs by name; raises for what is none."""
    if not isinstance(results, Iterable):
        raise InputError(f"results={shown(results)} is not a sequence of results; pass a list")
    runs = list(results)
    for k, run in enumerate(runs):
        if not isinstance(run, BacktestResult):
            raise InputError(f"results[{k}]: a {type(run).__name__} is not a BacktestResult")
    if len(runs) < 2:
        raise InputError(f"results: {len(runs)} of them; compare_report needs two or more")
    if names is None:
        chosen = [f"run {k + 1}" for k in range(len(runs))]
    elif isinstance(names, str) or not isinstance(names, Iterable):
        raise InputError(f"names={shown(names)} is not a sequence of names; pass a list")
    else:
        chosen = [str(name) for name in names]
    if len(chosen) != len(runs):
        raise InputError(f"names: {len(chosen)} of them for {len(runs)} results; pass one for each")
    twice = sorted({name for name in chosen if chosen.count(name) > 1})
    if twice:
        raise InputError(f"names: {listed(twice)} more than once; give each result its own")
    return {name: Sources(run) for name, run in zip(chosen, runs, strict=True)}


def _page(runs: dict[str, Sources], title: str) -> str:
    packer = Packer()
    figures = Figures(packer)
    drawn = {name: run.result.equity for name, run in runs.items() if run.result.equity.height}
    cash = {name: run.initial_cash for name, run in runs.items()}
    parts = [
        Section(
            "overview",
            "Overview",
            "Overview",
            lead=[_best(runs)],
            tables=[
                statistics_table(
                    {name: run.statistics for name, run in runs.items()}, "Figures of the runs"
                )
            ],
        )
    ]
    if drawn:
        growth = figures.chart("growth", growth_figure(drawn, cash), _growth(drawn, cash))
        falls = figures.chart("drawdown", drawdowns_figure(drawn, cash), _falls(runs))
        parts.append(Section("growth", "Growth", "Growth", charts=[growth]))
        parts.append(Section("drawdown", "Drawdown", "Drawdown", charts=[falls]))
    parts += [_frictions(runs), _settings(runs)]
    context = {
        "title": title,
        "about": f"{counted(len(runs), 'run')}: {listed_words(list(runs))}.",
        "sections": parts,
        "version": __version__,
        "footer": f"Made with ml4t-backtest {__version__}. One file: nothing is loaded from "
        "anywhere.",
    }
    return render("page.html", context, {"figures": figures.packed}, packer)


def _best(runs: dict[str, Sources]) -> str:
    known = {
        name: run.statistics
        for name, run in runs.items()
        if np.isfinite(run.statistics["annual_return"])
    }
    if len(known) < 2:
        return "Fewer than two of the runs have a return that is defined."
    by_return = max(known, key=lambda name: known[name]["annual_return"])
    by_sharpe = max(known, key=lambda name: np.nan_to_num(known[name]["sharpe_ratio"], nan=-np.inf))
    cheapest = min(known, key=lambda name: np.nan_to_num(known[name]["cost_bps"], nan=np.inf))
    return (
        f"{by_return} returned most, {percent(known[by_return]['annual_return'], 2)} a year; "
        f"{by_sharpe} has the highest Sharpe ratio, {number(known[by_sharpe]['sharpe_ratio'], 2)}; "
        f"{cheapest} paid least, {bps(known[cheapest]['cost_bps'])} of equity a year."
    )


def _growth(drawn: dict[str, pl.DataFrame], cash: dict[str, float]) -> str:
    ends = [f"{name} {number(f['equity'][-1] / cash[name], 2)}" for name, f in drawn.items()]
    times = [(frame["timestamp"][0], frame["timestamp"][-1]) for frame in drawn.values()]
    text = f"Of 1 in cash became: {', '.join(ends)}."
    if len(set(times)) > 1:
        text += " The runs are not over the same time."
    else:
        text += f" All from {day(times[0][0])} to {day(times[0][1])}."
    return text


def _falls(runs: dict[str, Sources]) -> str:
    depths = [f"{name} {percent(run.statistics['max_drawdown'])}" for name, run in runs.items()]
    return f"The deepest falls from a high: {', '.join(depths)}."


def _frictions(runs: dict[str, Sources]) -> Section:
    """Return the bridges of the runs beside each other."""
    bridges = {name: run.bridge for name, run in runs.items()}
    there = [bridge for bridge in bridges.values() if bridge is not None]
    reasons = [f"{name}: {run.no_bridge}" for name, run in runs.items() if run.no_bridge]
    tables = []
    if there:
        items = ("paper", *there[0].terms, "account", "difference")
        rows = [
            (
                label(item),
                *(
                    ""
                    if bridge is None
                    else f"{bps(bridge.bps_per_year[item])} ({money(bridge.total[item])})"
                    for bridge in bridges.values()
                ),
            )
            for item in items
        ]
        tables.append(
            StaticTable(
                caption="From paper to account: basis points of return a year (currency)",
                heads=("item", *bridges),
                rows=rows,
                numbers=frozenset(bridges),
            )
        )
    return Section(
        "frictions", "What trading took", "Frictions", reason=" ".join(reasons), tables=tables
    )


def _settings(runs: dict[str, Sources]) -> Section:
    """Return the settings that are not the same in all runs, and the fingerprints."""
    flat = {name: _flat(run.result.config.to_table()) for name, run in runs.items()}
    keys = list(dict.fromkeys(key for table in flat.values() for key in table))
    differing = [key for key in keys if len({table.get(key) for table in flat.values()}) > 1]
    rows = [(key, *(table.get(key, "") for table in flat.values())) for key in differing]
    prints = [run.result.fingerprint for run in runs.values()]
    rows.append(("fingerprint of the input", *(text[:12] for text in prints)))
    lead = (
        "The runs have the same settings."
        if not differing
        else f"The runs differ in {counted(len(differing), 'setting')}."
    )
    lead += " They traded the same input." if len(set(prints)) == 1 else " Their input differs."
    return Section(
        "settings",
        "Settings that differ",
        "Settings",
        lead=[lead],
        tables=[StaticTable("Settings that differ", ("setting", *runs), rows)],
    )


def _flat(table: dict[str, Any], before: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{before}{key}.")
        else:
            found[before + key] = str(value)
    return found
