"""What-if curves of frictions: of the size of the account, and of the threshold."""

from __future__ import annotations

from typing import Any

import polars as pl

from ml4t.backtest.report import style
from ml4t.backtest.report.libraries import go, make_subplots


def account_size_figure(curve: pl.DataFrame) -> Any:
    """Draw what frictions take from accounts of several sizes.

    Parameters
    ----------
    curve : polars.DataFrame
        What `account_size_curve` returns.

    Returns
    -------
    plotly.graph_objects.Figure
        Above the return that is lost against the portfolio without friction, and what of it is
        commission and slippage; below the tracking error.
    """
    figure = _curve_figure(curve, "initial_cash", "What frictions take, by size of the account")
    figure.update_xaxes(type="log", tickformat=",", dtick=1)
    figure.update_xaxes(title_text="initial cash, currency", row=2, col=1)
    return figure


def threshold_figure(curve: pl.DataFrame) -> Any:
    """Draw what frictions take under several thresholds for the change of a weight.

    Parameters
    ----------
    curve : polars.DataFrame
        What `threshold_curve` returns.

    Returns
    -------
    plotly.graph_objects.Figure
        As `account_size_figure`.
    """
    figure = _curve_figure(curve, "min_weight_change", "What frictions take, by threshold")
    figure.update_xaxes(tickformat="~%")
    figure.update_xaxes(title_text="min_weight_change, of equity", row=2, col=1)
    return figure


def _curve_figure(curve: pl.DataFrame, setting: str, title: str) -> Any:
    figure = make_subplots(
        rows=2,
        cols=1,
        shared_xaxes=True,
        vertical_spacing=0.08,
        figure=style.new_figure(title, height=480, **style.LEGEND_BELOW),
    )
    at = curve[setting].to_numpy()
    lines = (
        ("lost a year", -curve["gap_bps"], style.BLUE, "solid", 1, "%{y:,.1f} bps"),
        ("commission and slippage", curve["cost_bps"], style.ORANGE, "dash", 1, "%{y:,.1f} bps"),
        ("tracking error", curve["tracking_error"], style.GREEN, "solid", 2, "%{y:.2%}"),
    )
    for name, values, color, dash, row, hover in lines:
        figure.add_trace(
            go.Scatter(
                x=at,
                y=values.to_numpy(),
                name=name,
                mode="lines+markers",
                line={"color": color, "dash": dash, "width": 1.8},
                hovertemplate=hover,
            ),
            row=row,
            col=1,
        )
    figure.update_layout(margin={"b": 90})
    figure.update_yaxes(title_text="bps a year", tickformat=",", row=1, col=1)
    figure.update_yaxes(title_text="tracking error", tickformat="~%", row=2, col=1)
    return figure
