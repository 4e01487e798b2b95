"""What each asset earned and lost."""

from __future__ import annotations

from typing import Any

import polars as pl

from ml4t.backtest.formats import counted, money, percent
from ml4t.backtest.report import style
from ml4t.backtest.report.libraries import go

_TITLE = "What each asset earned"
_NO_TRADE = "Nothing was traded, so no asset earned or lost anything."
#: Of more assets the best and the worst are drawn.
_MOST = 30


def contributions_figure(contributions: pl.DataFrame) -> Any:
    """Draw the profit and loss of each asset after costs, the largest first.

    Parameters
    ----------
    contributions : polars.DataFrame
        ``result.contributions()``.

    Returns
    -------
    plotly.graph_objects.Figure
    """
    if not contributions.height:
        return style.nothing_to_draw(_TITLE, _NO_TRADE)
    ranked = contributions.sort("pnl", "asset", descending=[True, False])
    note = ""
    if ranked.height > _MOST:
        note = f"The {_MOST // 2} best and the {_MOST // 2} worst of {ranked.height:,} assets."
        ranked = pl.concat([ranked.head(_MOST // 2), ranked.tail(_MOST // 2)])
    figure = style.new_figure(
        _TITLE, height=110 + 20 * ranked.height, note=note, hovermode="closest", showlegend=False
    )
    pnl = ranked["pnl"].to_numpy()
    figure.add_trace(
        go.Bar(
            x=pnl,
            # Numbered, as two long names may be cut to the same one.
            y=list(range(ranked.height)),
            orientation="h",
            marker={"color": [style.GAIN if value >= 0.0 else style.LOSS for value in pnl]},
            text=[
                f"{money(value, sign=True)} ({percent(share, 1, sign=True)})"
                for value, share in ranked.select("pnl", "contribution").iter_rows()
            ],
            textposition="outside",
            cliponaxis=False,
            hoverinfo="text",
            hovertext=[style.label(name, most=60) for name in ranked["asset"]],
        )
    )
    span = max(float(max(pnl.max(), 0.0) - min(pnl.min(), 0.0)), 1e-9)
    room = [min(float(pnl.min()), 0.0), max(float(pnl.max()), 0.0) + 0.25 * span]
    if room[0] < 0.0:
        room[0] -= 0.25 * span
    figure.update_xaxes(title_text="currency, after costs", tickformat=",", range=room)
    figure.update_yaxes(
        tickmode="array",
        tickvals=list(range(ranked.height)),
        ticktext=[style.label(name, most=24) for name in ranked["asset"]],
        autorange="reversed",
        showgrid=False,
    )
    return figure


def contributions_sentence(contributions: pl.DataFrame) -> str:
    """Say what the figure of contributions shows."""
    if not contributions.height:
        return _NO_TRADE
    ranked = contributions.sort("pnl", "asset", descending=[True, False])
    gained = ranked.filter(pl.col("pnl") > 0.0)
    text = f"{gained.height:,} of {counted(ranked.height, 'asset')} earned money after costs"
    if ranked.height > 1:
        best, worst = ranked.row(0, named=True), ranked.row(-1, named=True)
        text += (
            f". {best['asset']} added most, {money(best['pnl'], sign=True)} "
            f"({percent(best['contribution'], 1, sign=True)} of the initial cash), "
            f"{worst['asset']} least, {money(worst['pnl'], sign=True)}"
        )
    return text + "."
