"""What commission and slippage took, over time and in basis points a year."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from ml4t.backtest.formats import bps, counted, money
from ml4t.backtest.report import style
from ml4t.backtest.report.libraries import go, make_subplots

_TITLE = "Costs"
_NO_FILL = "Nothing was traded, so nothing was paid."
_FREE = "Neither commission nor slippage was charged."
_KINDS = (("commission", style.BLUE), ("slippage", style.ORANGE))


def costs_figure(fills: pl.DataFrame, equity: pl.DataFrame) -> Any:
    """Draw costs added up over time, and those of each year against the equity of the year.

    Parameters
    ----------
    fills, equity : polars.DataFrame
        Of the result.

    Returns
    -------
    plotly.graph_objects.Figure
    """
    if not fills.height or not equity.height:
        return style.nothing_to_draw(_TITLE, _NO_FILL)
    if not sum(_paid(fills)) > 0.0:
        return style.nothing_to_draw(_TITLE, _FREE)
    figure = make_subplots(
        rows=2,
        cols=1,
        vertical_spacing=0.14,
        figure=style.new_figure(
            _TITLE, height=480, hovermode="x", barmode="stack", **style.LEGEND_BELOW
        ),
    )
    paid = _by_time(fills, equity)
    of_years = costs_by_year(fills, equity)
    for name, color in _KINDS:
        common = {"name": name, "legendgroup": name}
        figure.add_trace(
            go.Scatter(
                x=style.wall_times(paid["timestamp"]),
                y=paid[name].to_numpy(),
                line={"color": color, "width": 0.8, "shape": "hv"},
                fillcolor=color,
                mode="lines",
                stackgroup="paid",
                hovertemplate="%{y:,.2f}",
                **common,
            ),
            row=1,
            col=1,
        )
        figure.add_trace(
            go.Bar(
                x=of_years["year"].to_numpy(),
                y=of_years[f"{name}_bps"].to_numpy(),
                marker={"color": color},
                showlegend=False,
                hovertemplate="%{y:.1f} bps",
                **common,
            ),
            row=2,
            col=1,
        )
    figure.update_layout(margin={"b": 70})
    figure.update_yaxes(
        title_text="added up, currency", tickformat=",", rangemode="tozero", row=1, col=1
    )
    figure.update_yaxes(title_text="of a year, bps of equity", tickformat=",", row=2, col=1)
    figure.update_xaxes(**style.time_axis(equity["timestamp"]), row=1, col=1)
    figure.update_xaxes(**style.years_axis(of_years["year"]), row=2, col=1)
    return figure


def costs_sentence(fills: pl.DataFrame, equity: pl.DataFrame) -> str:
    """Say what the figure of costs shows."""
    if not fills.height or not equity.height:
        return _NO_FILL
    commission, slippage = _paid(fills)
    traded = float((fills["quantity"] * fills["price"]).sum())
    paid = 1e4 * (commission + slippage) / traded if traded > 0.0 else float("nan")
    if not commission + slippage > 0.0:
        return f"{counted(fills.height, 'fill')} traded {money(traded)}. {_FREE}"
    text = (
        f"{counted(fills.height, 'fill')} traded {money(traded)} and paid {money(commission)} in "
        f"commission and {money(slippage)} in slippage: {bps(paid)} of purchases and sales"
    )
    years = costs_by_year(fills, equity).filter(
        pl.col("commission_bps").is_finite() & pl.col("slippage_bps").is_finite()
    )
    if years.height > 1:
        total = years["commission_bps"] + years["slippage_bps"]
        worst = int(total.arg_max())  # type: ignore[arg-type]
        text += (
            f". The dearest year was {years['year'][worst]} with {bps(total[worst])} of its mean "
            "equity"
        )
    return text + "."


def costs_by_year(fills: pl.DataFrame, equity: pl.DataFrame) -> pl.DataFrame:
    """Return what each calendar year cost.

    Returns
    -------
    polars.DataFrame
        ``year``; ``commission_bps`` and ``slippage_bps``: money over the mean equity at the closes
        of the year, in basis points; NaN where that is not positive.
    """
    of_year = pl.col("timestamp").dt.year().alias("year")
    means = equity.group_by(of_year).agg(pl.col("equity").mean()).sort("year")
    paid = fills.group_by(of_year).agg(pl.col("commission").sum(), pl.col("slippage").sum())
    joined = means.join(paid, on="year", how="left").with_columns(
        pl.col("commission", "slippage").fill_null(0.0)
    )
    is_positive = pl.col("equity") > 0.0
    return joined.select(
        "year",
        *(
            pl.when(is_positive)
            .then(1e4 * pl.col(name) / pl.col("equity"))
            .otherwise(pl.lit(np.nan))
            .alias(f"{name}_bps")
            for name, _ in _KINDS
        ),
    )


def _paid(fills: pl.DataFrame) -> tuple[float, float]:
    """Return commission and slippage of all fills."""
    return float(fills["commission"].sum()), float(fills["slippage"].sum())


def _by_time(fills: pl.DataFrame, equity: pl.DataFrame) -> pl.DataFrame:
    """Return costs added up at the times of fills, from 0 at the first bar to the last bar."""
    paid = (
        fills.group_by("timestamp")
        .agg(pl.col("commission").sum(), pl.col("slippage").sum())
        .sort("timestamp")
    )
    ends = equity["timestamp"].gather([0, equity.height - 1])
    nothing = pl.DataFrame({"timestamp": ends, "commission": [0.0] * 2, "slippage": [0.0] * 2})
    return pl.concat([nothing[:1], paid, nothing[1:]]).with_columns(
        pl.col("commission", "slippage").cum_sum()
    )
