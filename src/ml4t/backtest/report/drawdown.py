"""How far the account stands below its highest close, and its deepest falls."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from ml4t.backtest.formats import counted, day, fine_percent, percent
from ml4t.backtest.metrics import drawdown
from ml4t.backtest.records import Floats
from ml4t.backtest.report import style
from ml4t.backtest.report.libraries import go
from ml4t.backtest.report.sections import StaticTable
from ml4t.backtest.report.thin import kept_points, thinning_note

_TITLE = "Drawdown"
_NEVER_A_BAR = "The run has no complete bar, so there is no drawdown."


def drawdown_figure(
    equity: pl.DataFrame,
    initial_cash: float,
    benchmark: pl.DataFrame | None = None,
    benchmark_name: str = "benchmark",
) -> Any:
    """Draw how far equity stands below its highest value so far, the initial cash included.

    Parameters
    ----------
    equity, benchmark : polars.DataFrame
        ``timestamp`` and ``equity`` each.
    initial_cash : float
    benchmark_name : str

    Returns
    -------
    plotly.graph_objects.Figure
    """
    if not equity.height:
        return style.nothing_to_draw(_TITLE, _NEVER_A_BAR)
    depth = _depths(equity, initial_cash)
    kept = kept_points([depth])
    figure = style.new_figure(
        _TITLE,
        height=300,
        note=thinning_note(kept.size, equity.height),
        showlegend=benchmark is not None,
    )
    figure.add_trace(
        go.Scatter(
            x=style.wall_times(equity["timestamp"])[kept],
            y=depth[kept],
            name="account",
            mode="lines" if equity.height > 1 else "markers",
            line={"color": style.BLUE, "width": 1.2},
            fill="tozeroy",
            hovertemplate="%{y:.1%}",
        )
    )
    if benchmark is not None:
        below = drawdown(benchmark["equity"].to_numpy())
        kept = kept_points([below])
        figure.add_trace(
            go.Scatter(
                x=style.wall_times(benchmark["timestamp"])[kept],
                y=below[kept],
                name=style.label(benchmark_name),
                mode="lines",
                line=style.BENCHMARK_LINE,
                hovertemplate="%{y:.1%}",
            )
        )
    figure.update_xaxes(**style.time_axis(equity["timestamp"]))
    figure.update_yaxes(title_text="below the highest close", tickformat="~%")
    if not (depth < 0.0).any():
        figure.update_yaxes(range=[-0.01, 0.001])
    return figure


def drawdown_sentence(equity: pl.DataFrame, initial_cash: float) -> str:
    """Say what the figure of drawdowns shows."""
    if not equity.height:
        return _NEVER_A_BAR
    depth = _depths(equity, initial_cash)
    if not (depth < 0.0).any():
        return "The account never closed below an earlier close."
    worst = int(np.nanargmin(depth))
    below = float(np.mean(depth < -0.1))
    text = (
        f"The deepest fall from a high was {fine_percent(depth[worst])}, on "
        f"{day(equity['timestamp'][worst])}"
    )
    if below > 0.0:
        text += f"; at {percent(below, 0)} of the closes the account stood more than 10 % below"
    now = float(depth[-1])
    place = "at its high" if now == 0.0 else f"{fine_percent(-now)} below its high"
    return f"{text}. It ended {place}."


def drawdown_rows(drawdowns: pl.DataFrame) -> StaticTable | None:
    """Return ``result.drawdowns()`` as a table; None where there is none."""
    if not drawdowns.height:
        return None
    rows = [
        (
            "the start" if row["peak"] is None else day(row["peak"]),
            day(row["valley"]),
            "not yet" if row["recovery"] is None else day(row["recovery"]),
            fine_percent(row["depth"]),
            counted(row["bars_down"], "bar"),
            "" if row["bars_up"] is None else counted(row["bars_up"], "bar"),
        )
        for row in drawdowns.iter_rows(named=True)
    ]
    return StaticTable(
        caption="The deepest falls from a high",
        heads=("high", "low", "back at the high", "depth", "down in", "up again in"),
        rows=rows,
        numbers=frozenset({"depth", "down in", "up again in"}),
    )


def _depths(equity: pl.DataFrame, initial_cash: float) -> Floats:
    """Return the drawdown at every close, (n_bars,)."""
    return drawdown(_with_cash(equity, initial_cash))[1:]


def _with_cash(equity: pl.DataFrame, initial_cash: float) -> Floats:
    return np.concatenate([[initial_cash], equity["equity"].to_numpy()])
