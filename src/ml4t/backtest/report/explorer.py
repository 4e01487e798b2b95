"""The data of the rebalance explorer: every row of every plan, and what became of its order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from ml4t.backtest.formats import counted, day, money
from ml4t.backtest.records import Ints
from ml4t.backtest.report import style
from ml4t.backtest.report.pack import Packer
from ml4t.backtest.result import BacktestResult
from ml4t.backtest.words import adjustment_in_words, reason_in_words, status_in_words

#: Rows of plans that a page holds: about what a browser reads in a second.
MOST_ROWS = 100_000
# Weights are shown with two decimals of a percent, and drawn finer.
_WEIGHT_DIGITS = 6


@dataclass(frozen=True)
class ExplorerRows:
    """The rows that a page shows, and what is left out of it.

    `table` has the columns of the rebalances and ``filled_weight``, ``filled_quantity``,
    ``average_fill_price``, ``status``, ``order_reason``, ``plan`` (the number of the plan among
    those shown). `times` are those of the plans shown, `hidden` counts of each the assets that
    nobody wanted or held, which have no row.
    """

    table: pl.DataFrame
    times: pl.Series
    hidden: Ints
    n_plans: int

    @property
    def note(self) -> str:
        """What is left out, in words; empty if nothing is."""
        texts = []
        if len(self.times) < self.n_plans:
            texts.append(
                f"{len(self.times):,} of {self.n_plans:,} rebalances are in this page, evenly "
                "spread, the first and the last among them: all are in result.rebalances."
            )
        if self.hidden.any():
            texts.append(
                "Assets that were neither wanted nor held at a rebalance have no row in it."
            )
        return " ".join(texts)


def explorer_rows(result: BacktestResult, most: int = MOST_ROWS) -> ExplorerRows:
    """Return the rows of the plans of a run, at most about `most`."""
    rows = result.rebalances
    number = rows["plan_idx"].to_numpy()
    begins = np.flatnonzero(np.diff(number, prepend=-1))
    plan = np.repeat(np.arange(begins.size), np.diff(begins, append=number.size))
    times = rows["timestamp"].gather(pl.Series(begins, dtype=pl.Int64))
    rows = rows.with_columns(
        plan=pl.Series(plan, dtype=pl.Int64), filled_weight=_filled(result, rows, plan)
    )
    is_idle = _is_idle()
    table = rows.filter(~is_idle)
    keep = _spread(table, begins.size, most)
    hidden = np.bincount(plan[rows.select(is_idle).to_series().to_numpy()], minlength=begins.size)
    renumbered = pl.DataFrame({"plan": keep, "shown_plan": np.arange(keep.size)})
    table = table.join(renumbered, on="plan", maintain_order="left", how="inner")
    table = table.with_columns(plan=pl.col("shown_plan")).drop("shown_plan")
    orders = result.orders.filter(pl.col("plan_idx") >= 0).select(
        "plan_idx",
        "asset",
        "filled_quantity",
        "average_fill_price",
        "status",
        order_reason="reason",
    )
    # A plan sends no more than one order for an asset.
    table = table.join(orders, on=["plan_idx", "asset"], how="left", maintain_order="left")
    return ExplorerRows(table, times.gather(pl.Series(keep)), hidden[keep], begins.size)


def explorer_data(shown: ExplorerRows, packer: Packer) -> dict[str, Any]:
    """Return what ``templates/explorer.js`` reads."""
    table = shown.table
    n_plans = len(shown.times)
    counts = np.bincount(table["plan"].to_numpy(), minlength=n_plans)
    start = np.concatenate([[0], np.cumsum(counts)])

    def weights(name: str) -> Any:
        return packer.array(np.round(table[name].to_numpy(), _WEIGHT_DIGITS))

    asset = packer.texts(table["asset"])
    requested, filled = weights("requested_weight"), weights("filled_weight")
    is_ordered = pl.col("quantity") != 0.0
    signed = table.select(pl.when(is_ordered).then(pl.col("quantity"))).to_series()
    ordered = packer.array(signed.fill_null(np.nan).to_numpy())
    columns = [
        {"label": "Asset", "kind": "text", **_text(asset)},
        _percent("Requested", requested, "as the weights asked for it"),
        _percent("Target", weights("target_weight"), "after short, cap and exposure rules"),
        _percent("Before", weights("current_weight"), "held when the rebalance was decided"),
        _percent("Planned", weights("planned_weight"), "if every order fills whole"),
        _percent("Filled", filled, "held at the first close after the orders could fill"),
        {
            "label": "Order, shares",
            "kind": "quantity",
            "sign": True,
            "values": ordered,
        },
        {
            "label": "Filled, shares",
            "kind": "quantity",
            "values": packer.array(table["filled_quantity"].fill_null(np.nan).to_numpy()),
        },
        {
            "label": "Fill price",
            "kind": "number",
            "digits": 2,
            "values": packer.array(table["average_fill_price"].fill_null(np.nan).to_numpy()),
        },
        {"label": "What and why", "kind": "text", "wide": True, **_text(packer.texts(_why(table)))},
    ]
    return {
        "plans": {
            "time": packer.array(style.wall_times(shown.times)),
            "label": [day(time) for time in shown.times],
            "start": packer.array(start),
            "sentence": _sentences(shown),
        },
        "asset": asset,
        "requested": requested,
        "filled": filled,
        "ordered": ordered,
        "columns": columns,
        "colors": {"account": style.BLUE, "paper": style.VERMILLION},
    }


def _filled(result: BacktestResult, rows: pl.DataFrame, plan: Ints) -> pl.Series:
    """Return the filled weight of each row of the rebalances."""
    wide = result.weights("filled").drop("timestamp")
    column = rows["asset"].cast(pl.Enum(wide.columns)).to_physical().to_numpy()
    matrix = wide.to_numpy().astype(float)
    return pl.Series("filled_weight", matrix[plan, column])


def _is_idle() -> pl.Expr:
    """Whether a row says nothing: the asset is not wanted, not held, not traded."""
    is_idle = pl.col("quantity") == 0.0
    for name in ("requested_weight", "target_weight", "current_weight", "effective_weight"):
        # NaN, which is not equal to 0, is nothing too where nobody asked for the asset.
        is_zero = pl.col(name) == 0.0
        is_idle &= is_zero | pl.col(name).is_nan() if name == "requested_weight" else is_zero
    return is_idle


def _spread(table: pl.DataFrame, n_plans: int, most: int) -> Ints:
    """Return which plans are shown: all, or evenly spread ones with about `most` rows."""
    share = most / max(table.height, 1)
    n_kept = n_plans if share >= 1.0 else max(int(n_plans * share), min(2, n_plans))
    return np.unique(np.linspace(0, max(n_plans - 1, 0), n_kept).astype(np.int64))


def _percent(label: str, values: Any, note: str) -> dict[str, Any]:
    return {"label": label, "kind": "percent", "values": values, "note": note}


def _text(packed: dict[str, Any]) -> dict[str, Any]:
    return {"values": packed["codes"], "names": packed["names"]}


def _why(table: pl.DataFrame) -> list[str]:
    """Return of each row what was done and why, in words."""
    columns = ("reason", "adjustments", "status", "order_reason")
    told: dict[tuple[Any, ...], str] = {}
    return [
        told[key] if key in told else told.setdefault(key, _told(*key))
        for key in table.select(columns).iter_rows()
    ]


def _told(reason: str, adjustments: str, status: str | None, order_reason: str | None) -> str:
    if status is None:
        texts = [reason_in_words(reason)]
    else:  # an order was sent, which its fate says too
        why = "" if order_reason is None else f" ({reason_in_words(order_reason)})"
        texts = [status_in_words(status) + why]
    texts += [adjustment_in_words(name) for name in adjustments.split(",") if name]
    text = "; ".join(texts)
    return text[:1].upper() + text[1:]


def _sentences(shown: ExplorerRows) -> list[str]:
    """Return what each rebalance came to, in words."""
    is_ordered = pl.col("quantity") != 0.0
    totals = shown.table.group_by("plan").agg(
        pl.len().alias("rows"),
        is_ordered.sum().alias("orders"),
        pl.col("value").abs().sum(),
    )
    found = {row["plan"]: row for row in totals.iter_rows(named=True)}
    skipped: dict[int, list[str]] = {}
    reasons = shown.table.filter(~is_ordered).group_by("plan", "reason").len()
    for plan, reason, count in reasons.sort(
        "plan", "len", "reason", descending=[False, True, False]
    ).iter_rows():
        skipped.setdefault(plan, []).append(f"{count:,} {reason.replace('_', ' ')}")
    texts = []
    for plan, hidden in enumerate(shown.hidden.tolist()):
        row = found.get(plan)
        if row is None:
            texts.append("Nothing was wanted and nothing was held.")
            continue
        text = f"{counted(row['rows'], 'asset')}, {counted(row['orders'], 'order')}"
        if row["orders"]:
            text += f" worth {money(row['value'])} at the prices of the plan"
        if plan in skipped:
            text += f"; no order: {', '.join(skipped[plan])}"
        if hidden:
            text += f"; {hidden:,} more neither wanted nor held"
        texts.append(text + ".")
    return texts
