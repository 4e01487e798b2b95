"""Risk over time: the Sharpe ratio of every year-long window."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from ml4t.backtest.feed.bars import nanoseconds
from ml4t.backtest.formats import day, number, percent
from ml4t.backtest.metrics import periods_per_year, rolling_sharpe_ratio, simple_returns
from ml4t.backtest.records import Floats
from ml4t.backtest.report import style
from ml4t.backtest.report.libraries import go
from ml4t.backtest.report.thin import kept_points, thinning_note

_TITLE = "Sharpe ratio of the year before"
_TOO_SHORT = "The run is shorter than a year, so there is no window of a year in it."
_TOO_FEW = "The run has fewer than twelve bars a year: no window of a year says anything."
_NOT_DEFINED = (
    "The Sharpe ratio of no window of a year is defined: the returns in it do not vary, or are "
    "not defined themselves."
)
# Of fewer bars a year no window says anything.
_FEWEST_BARS = 12


def rolling_sharpe_figure(
    equity: pl.DataFrame,
    benchmark: pl.DataFrame | None = None,
    benchmark_name: str = "benchmark",
) -> Any:
    """Draw the Sharpe ratio of the year that ends at each close, without a risk-free rate.

    Parameters
    ----------
    equity, benchmark : polars.DataFrame
        ``timestamp`` and ``equity`` each.
    benchmark_name : str

    Returns
    -------
    plotly.graph_objects.Figure
    """
    ratio = _of_years(equity)
    if not np.isfinite(ratio).any():
        return style.nothing_to_draw(_TITLE, _why_none(equity))
    kept = kept_points([ratio])
    figure = style.new_figure(
        _TITLE,
        height=300,
        note=thinning_note(kept.size, ratio.size),
        showlegend=benchmark is not None,
    )
    lines = [("account", equity, style.ACCOUNT_LINE)]
    if benchmark is not None:
        lines.append((style.label(benchmark_name), benchmark, style.BENCHMARK_LINE))
    for name, frame, line in lines:
        values = _of_years(frame)
        points = kept_points([values])
        figure.add_trace(
            go.Scatter(
                x=style.wall_times(frame["timestamp"])[points],
                y=values[points],
                name=name,
                mode="lines",
                line=line,
                hovertemplate="%{y:.2f}",
            )
        )
    figure.add_hline(y=0.0, line={"color": style.GREY, "width": 1})
    figure.update_xaxes(**style.time_axis(equity["timestamp"]))
    figure.update_yaxes(title_text="Sharpe ratio", tickformat="~f")
    return figure


def rolling_sharpe_sentence(equity: pl.DataFrame) -> str:
    """Say what the figure of Sharpe ratios shows."""
    ratio = _of_years(equity)
    known = np.flatnonzero(np.isfinite(ratio))
    if not known.size:
        return _why_none(equity)
    values = ratio[known]
    times = equity["timestamp"]
    low, high = known[np.argmin(values)], known[np.argmax(values)]
    return (
        f"Over windows of a year the Sharpe ratio was between {number(ratio[low], 2)} (the year to "
        f"{day(times[int(low)])}) and {number(ratio[high], 2)} (to {day(times[int(high)])}), "
        f"{number(float(np.median(values)), 2)} in the median, and below zero in "
        f"{percent(float(np.mean(values < 0.0)), 0)} of them."
    )


def _why_none(equity: pl.DataFrame) -> str:
    """Say why no window of a year has a ratio."""
    n_bars, a_year = equity.height, periods_per_year(nanoseconds(equity["timestamp"]))
    if not np.isfinite(a_year) or n_bars <= round(a_year):
        return _TOO_SHORT
    return _TOO_FEW if round(a_year) < _FEWEST_BARS else _NOT_DEFINED


def _of_years(equity: pl.DataFrame) -> Floats:
    """Return the ratio of the year to each close, (n,); NaN before the first whole one."""
    times = nanoseconds(equity["timestamp"])
    a_year = periods_per_year(times)
    found = np.full(times.size, np.nan)
    if np.isfinite(a_year) and _FEWEST_BARS <= round(a_year) < times.size:
        returns = simple_returns(equity["equity"].to_numpy())
        found[1:] = rolling_sharpe_ratio(returns, round(a_year), a_year)
    return found
