"""Turnover of each year: what the weights asked for, and what was traded."""

from __future__ import annotations

from typing import Any

import polars as pl

from ml4t.backtest.analysis.tracking import Tracking
from ml4t.backtest.formats import counted, percent
from ml4t.backtest.report import style
from ml4t.backtest.report.libraries import go

_TITLE = "Turnover a year"
_NO_PLAN = "There was no rebalance, so nothing was asked for."
_KINDS = (("requested", style.ORANGE), ("executed", style.BLUE))


def turnover_figure(tracking: Tracking) -> Any:
    """Draw the turnover of each calendar year, requested beside executed.

    Turnover is half the traded value over the equity at the decision, added up over the
    rebalances of the year.

    Parameters
    ----------
    tracking : Tracking
        ``result.tracking()``.

    Returns
    -------
    plotly.graph_objects.Figure
    """
    if not tracking.by_rebalance.height:
        return style.nothing_to_draw(_TITLE, _NO_PLAN)
    years = _by_year(tracking)
    figure = style.new_figure(_TITLE, height=300, hovermode="x", barmode="group")
    for kind, color in _KINDS:
        figure.add_trace(
            go.Bar(
                x=years["year"].to_numpy(),
                y=years[f"turnover_{kind}"].to_numpy(),
                name=kind,
                marker={"color": color},
                hovertemplate="%{y:.1%}",
            )
        )
    figure.update_yaxes(
        title_text="half of bought and sold,<br>of equity", tickformat="~%", rangemode="tozero"
    )
    figure.update_xaxes(**style.years_axis(years["year"]))
    return figure


def turnover_sentence(tracking: Tracking) -> str:
    """Say what the figure of turnover shows."""
    plans = tracking.by_rebalance
    if not plans.height:
        return _NO_PLAN
    found = tracking.summary
    requested, executed = found["turnover_requested"], found["turnover_executed"]
    years = _by_year(tracking)
    text = (
        f"{counted(plans.height, 'rebalance')} asked for a turnover of "
        f"{percent(requested / years.height, 0)} of equity in a calendar year on average, and "
        f"{percent(executed / years.height, 0)} was traded, each as half of purchases and sales"
    )
    if requested > 0.0:
        text += f" ({percent(executed / requested, 0)} of what was asked)"
    if years.height > 1:
        most = int(years["turnover_executed"].arg_max() or 0)
        text += (
            f"; the most in {years['year'][most]}, {percent(years['turnover_executed'][most], 0)}"
        )
    return text + "."


def _by_year(tracking: Tracking) -> pl.DataFrame:
    return (
        tracking.by_rebalance.group_by(pl.col("timestamp").dt.year().alias("year"))
        .agg(pl.col("turnover_requested", "turnover_executed").sum())
        .sort("year")
    )
