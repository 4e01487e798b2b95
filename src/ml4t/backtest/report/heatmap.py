"""Returns by month and year."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from ml4t.backtest.formats import counted, fine_percent, percent
from ml4t.backtest.records import Floats
from ml4t.backtest.report import style
from ml4t.backtest.report.libraries import go

_TITLE = "Returns by month"
_NEVER_A_BAR = "The run has no complete bar, so there are no returns."
_MONTHS = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)
_ROW, _AROUND = 22, 74


def monthly_figure(monthly: pl.DataFrame) -> Any:
    """Draw the return of every month, and of every year in the last column.

    Parameters
    ----------
    monthly : polars.DataFrame
        ``result.monthly_returns()``.

    Returns
    -------
    plotly.graph_objects.Figure
    """
    if not monthly.height:
        return style.nothing_to_draw(_TITLE, _NEVER_A_BAR)
    months, totals = _values(monthly)
    # A month alone sets the scale: a year is a sum of them, and only its sign and text matter.
    known = np.abs(months[np.isfinite(months)])
    scale = max(float(np.quantile(known, 0.98)) if known.size else 0.01, 1e-4)
    figure = style.new_figure(
        _TITLE,
        height=_ROW * monthly.height + _AROUND + style.NOTE_HEIGHT,
        note=f"Orange is a loss, blue a gain, darkest from {fine_percent(scale)} on.",
        hovermode="closest",
        showlegend=False,
    )
    # Between the months and the year.
    nothing = np.full(monthly.height, np.nan)
    figure.add_trace(
        go.Heatmap(
            x=[*_MONTHS, "", "year"],
            y=[str(year) for year in monthly["year"]],
            z=np.round(np.column_stack([months, nothing, totals]), 5),
            zmin=-scale,
            zmax=scale,
            colorscale=[[0.5 * k, color] for k, color in enumerate(style.SCALE)],
            texttemplate="%{z:.1%}",
            textfont={"size": 11},
            hovertemplate="%{x} %{y}: %{z:.2%}<extra></extra>",
            hoverongaps=False,
            xgap=1,
            ygap=1,
            showscale=False,
        )
    )
    figure.update_layout(margin={"b": 12})
    figure.update_xaxes(side="top", showgrid=False, type="category", ticks="")
    figure.update_yaxes(autorange="reversed", showgrid=False, type="category", ticks="")
    return figure


def monthly_sentence(monthly: pl.DataFrame, begin: datetime | None = None) -> str:
    """Say what the heat map shows, counted from the month of `begin` on."""
    if not monthly.height:
        return _NEVER_A_BAR
    months, totals = _values(monthly)
    left_out = 0
    if begin is not None:
        year = monthly["year"].to_numpy()
        is_before = 12 * year[:, None] + np.arange(12) < 12 * begin.year + begin.month - 1
        left_out = int(np.count_nonzero(np.isfinite(months) & is_before))
        months = np.where(is_before, np.nan, months)
        totals = np.where(year < begin.year, np.nan, totals)
    known = months[np.isfinite(months)]
    if not known.size:
        return "No month has a return that is defined."
    if not known.any():
        return f"Nothing was gained or lost in {counted(known.size, 'month')}."
    text = f"{int(np.count_nonzero(known > 0.0)):,} of {counted(known.size, 'month')}"
    if begin is not None and left_out:
        text += f" from {_MONTHS[begin.month - 1]} {begin.year}, the month of the first decision,"
    text += " gained"
    if known.size > 1:
        worst, best = (
            np.unravel_index(find(months), months.shape) for find in (np.nanargmin, np.nanargmax)
        )
        text += (
            f"; the worst was {_MONTHS[worst[1]]} {monthly['year'][int(worst[0])]} with "
            f"{percent(float(months[worst]), sign=True)}, the best {_MONTHS[best[1]]} "
            f"{monthly['year'][int(best[0])]} with {percent(float(months[best]), sign=True)}"
        )
    years = totals[np.isfinite(totals)]
    if years.size > 1:
        n_lost = int((years < 0.0).sum())
        text += f". {n_lost or 'None'} of {years.size} calendar years lost"
    return text + "."


def _values(monthly: pl.DataFrame) -> tuple[Floats, Floats]:
    """Return the returns of months, (n_years, 12), and of years; NaN where there is none."""
    matrix = monthly.drop("year").to_numpy().astype(float)
    return matrix[:, :12], matrix[:, 12]
