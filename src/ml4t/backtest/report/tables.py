"""The tables of a page: trades, what each asset earned, the optimizer log, the data."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from ml4t.backtest.formats import counted, money, percent
from ml4t.backtest.report import style
from ml4t.backtest.report.pack import Packer

#: Rows of one table that a page holds.
MOST_ROWS = 20_000
HOW_COUNTED = (
    "A round trip goes from flat to flat: all that was bought and sold of an asset in between, at "
    "average prices. What is still held at the end is counted at its last mark. The figures of "
    "trades (their number, hit rate, profit factor, holding time) count closed ones only."
)


def trades_grid(trips: pl.DataFrame, packer: Packer, positions: pl.DataFrame) -> dict[str, Any]:
    """Return the table of round trips as ``templates/grid.js`` reads it.

    Parameters
    ----------
    trips : polars.DataFrame
        ``result.round_trips()``; the last `MOST_ROWS` are shown.
    packer : Packer
    positions : polars.DataFrame
        Those of the result: what is still held of the round trips that are open.
    """
    shown = trips.tail(MOST_ROWS).with_columns(costs=pl.col("commission") + pl.col("slippage"))
    last = positions.filter(pl.col("timestamp") == pl.col("timestamp").max())
    # An asset has no more than one open trip at average prices.
    shown = shown.join(
        last.select("asset", pl.col("quantity").alias("held")),
        on="asset",
        how="left",
        maintain_order="left",
    ).with_columns(pl.when("is_open").then("held").alias("held"))

    def number(label: str, name: str, kind: str = "number", **more: Any) -> dict[str, Any]:
        values = shown[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
        return {"label": label, "kind": kind, "values": packer.array(values), **more}

    columns = [
        _texts("Asset", shown["asset"], packer),
        _texts("Side", shown["side"], packer),
        _times("Entry", shown["entry_time"], packer),
        {**_times("Exit", shown["exit_time"], packer), "blank": "open"},
        number("Shares in all", "quantity", "quantity", note="all that the entries came to"),
        number("Held at the end", "held", "quantity"),
        number("Average entry", "entry_price", digits=2),
        number(
            "Average exit or last mark",
            "exit_price",
            digits=2,
            note="of what was sold, and of what is still held at its last mark",
        ),
        number("P&L", "pnl", digits=0, sign=True),
        number("Return", "return", "percent", digits=1, sign=True),
        number("Costs", "costs", digits=0),
        number("Bars", "n_bars"),
        number(
            "Worst",
            "mae",
            "percent",
            digits=1,
            sign=True,
            note="lowest while held, against its cost",
        ),
        number(
            "Best",
            "mfe",
            "percent",
            digits=1,
            sign=True,
            note="highest while held, against its cost",
        ),
    ]
    return {"columns": columns, "one": "round trip", "several": "round trips"}


def log_grid(asked: pl.DataFrame, packer: Packer) -> dict[str, Any]:
    """Return the optimizer log as ``templates/grid.js`` reads it, the last `MOST_ROWS` of it."""
    shown = asked.tail(MOST_ROWS)
    columns = [
        _times("Time", shown["timestamp"], packer),
        _texts("Provider", shown["provider"], packer),
        _texts("Status", shown["status"].str.replace_all("_", " "), packer),
        {
            "label": "Seconds",
            "kind": "number",
            "digits": 3,
            "values": packer.array(shown["seconds"].to_numpy()),
        },
        *(
            _texts(name.capitalize(), shown[name], packer, wide=name != "fallback")
            for name in ("fallback", "message", "warnings")
            if shown[name].null_count() < shown.height
        ),
    ]
    return {"columns": columns, "one": "answer", "several": "answers"}


def trades_sentence(trips: pl.DataFrame) -> str:
    """Say what the round trips came to."""
    if not trips.height:
        return "Nothing was bought or sold, so there are no trades."
    closed = trips.filter(~pl.col("is_open"))
    text = (
        f"{counted(trips.height, 'round trip')}, {trips.height - closed.height:,} of them still "
        f"open at the end and counted at the last mark"
    )
    gained = trips.filter(pl.col("pnl") > 0.0).height
    text += f"; {gained:,} gained after costs ({percent(gained / trips.height, 0)})"
    best, worst = trips["pnl"].arg_max(), trips["pnl"].arg_min()
    if trips.height > 1 and best is not None and worst is not None:
        text += (
            f". The best was {trips['asset'][best]} with {money(trips['pnl'][best], sign=True)}, "
            f"the worst {trips['asset'][worst]} with {money(trips['pnl'][worst], sign=True)}"
        )
    if trips.height > MOST_ROWS:
        text += f". The table has the last {MOST_ROWS:,}"
    return text + "."


def log_sentence(asked: pl.DataFrame) -> str:
    """Say how often a weight provider was asked, and how that went."""
    counts = asked.group_by("status").len().sort("len", "status", descending=[True, False])
    outcomes = ", ".join(f"{n:,} {status.replace('_', ' ')}" for status, n in counts.iter_rows())
    text = (
        f"The optimizer was asked {counted(asked.height, 'time')}: {outcomes}; it took "
        f"{asked['seconds'].sum():,.1f} seconds in all"
    )
    n_fallback = asked["fallback"].drop_nulls().len()
    if n_fallback:
        text += f", and a fallback answered {counted(n_fallback, 'time')}"
    if asked.height > MOST_ROWS:
        text += f". The table has the last {MOST_ROWS:,}"
    return text + "."


def is_optimizer_log(asked: pl.DataFrame) -> bool:
    """Whether a table is that of a weight provider: a strategy may have one of the same name."""
    columns = {"timestamp", "provider", "status", "seconds", "message", "fallback", "warnings"}
    return asked.height > 0 and columns <= set(asked.columns)


def _texts(label: str, values: pl.Series, packer: Packer, **more: Any) -> dict[str, Any]:
    packed = packer.texts(values)
    return {
        "label": label,
        "kind": "text",
        "values": packed["codes"],
        "names": packed["names"],
        **more,
    }


def _times(label: str, values: pl.Series, packer: Packer) -> dict[str, Any]:
    return {"label": label, "kind": "time", "values": packer.array(style.wall_times(values))}
