"""A plan as a notebook shows it: a table with the reasons in words."""

from __future__ import annotations

import polars as pl

from ml4t.backtest.enums import Reason
from ml4t.backtest.formats import counted, money, percent, quantity
from ml4t.backtest.html_tables import html_table
from ml4t.backtest.records import Record
from ml4t.backtest.words import adjustment_in_words, reason_in_words

#: Rows that are shown.
MOST_ROWS = 60
_HEADS = ("asset", "current", "target", "planned", "shares", "value", "why")


def plan_table(rows: pl.DataFrame, n_orders: int, n_cancels: int, totals: Record) -> str:
    """Return a plan as HTML: what is ordered first, then what is not, and why.

    Parameters
    ----------
    rows : polars.DataFrame
        ``RebalancePlan.to_frame()``.
    n_orders, n_cancels : int
    totals : record of `PLAN_TOTALS`
    """
    is_ordered = pl.col("reason") == str(Reason.ORDERED)
    shown = rows.sort(is_ordered, descending=True, maintain_order=True).head(MOST_ROWS)
    caption = (
        f"Plan: {counted(n_orders, 'order')}, {counted(n_cancels, 'cancel')}, turnover "
        f"{percent(float(totals['turnover']))} of {money(float(totals['equity']))}, cash after it "
        f"{money(float(totals['cash_after']))}, estimated cost "
        f"{money(float(totals['estimated_cost']))}"
    )
    if rows.height > shown.height:
        caption += f"; {shown.height} of {rows.height:,} rows, all of them are in to_frame()"
    cells = []
    for row in shown.iter_rows(named=True):
        adjustments = filter(None, row["adjustments"].split(","))
        why = [reason_in_words(row["reason"]), *map(adjustment_in_words, adjustments)]
        weights = (percent(row[f"{kind}_weight"], 2) for kind in ("current", "target", "planned"))
        traded = ("", "")
        if row["quantity"]:
            traded = (quantity(row["quantity"], sign=True), money(row["value"], sign=True))
        cells.append((row["asset"], *weights, *traded, "; ".join(why)))
    beside = frozenset(shown.select((~is_ordered).arg_true()).to_series())
    return html_table(_HEADS, cells, caption, frozenset(_HEADS[1:-1]), beside)
