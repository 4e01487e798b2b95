"""The figures of a run as text."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from ml4t.backtest.feed.bars import nanoseconds
from ml4t.backtest.formats import is_short, span
from ml4t.backtest.metrics import years
from ml4t.backtest.run_tables import RunTables


def rows_of_summary(run: RunTables, found: Mapping[str, float]) -> list[tuple[str, str]]:
    """Return what there is to say of a run, in order: the name of a figure, and it as text.

    Parameters
    ----------
    run : RunTables
    found : mapping of str to float
        Its `BacktestResult.metrics`.
    """
    times = run.equity["timestamp"]
    # A run that was stopped in its first bar has none that is complete.
    period = f"{times[0]:%Y-%m-%d} to {times[-1]:%Y-%m-%d}, " if len(times) else ""

    def shown(name: str, form: str) -> str:
        # "z": what rounds to zero has no sign.
        return "n/a" if np.isnan(found[name]) else format(found[name], f"z{form}")

    spanned = years(nanoseconds(times))
    annual = shown("annual_return", ".2%")
    if is_short(spanned) and annual != "n/a":
        # Of a few days it says little: what it is made of stands beside it.
        annual += f" (of {span(spanned)})"
    bars = f"{run.equity.height:,} {'bar' if run.equity.height == 1 else 'bars'}"

    lines = [
        ("Period", f"{period}{bars}"),
        ("Initial cash", shown("initial_cash", ",.2f")),
        ("Final equity", shown("final_equity", ",.2f")),
        ("Total return", shown("total_return", ".2%")),
        ("Annual return", annual),
        ("Volatility a year", shown("volatility", ".2%")),
        ("Sharpe ratio", shown("sharpe_ratio", ".2f")),
        ("Max drawdown", shown("max_drawdown", ".2%")),
        ("Turnover a year", shown("annual_turnover", ".2%")),
        ("Commission", shown("commission", ",.2f")),
        ("Slippage", shown("slippage", ",.2f")),
        ("Orders, fills", f"{found['orders']:,.0f}, {found['fills']:,.0f}"),
        (
            "Rebalances",
            f"{found['rebalances_requested']:,.0f} requested, "
            f"{found['rebalances_executed']:,.0f} executed",
        ),
    ]
    asked = run.optimizations
    # A strategy may have a table of its own of this name.
    if asked.height and "status" in asked.columns:
        counts = asked.group_by("status").len().sort("status").iter_rows()
        lines.append(
            ("Provider asked", ", ".join(f"{count:,} {status}" for status, count in counts))
        )
    if run.ends.height:
        held = run.ends.filter(pl.col("quantity") != 0.0)
        lines.append(
            (
                "Assets that ended",
                f"{run.ends.height:,}, {held.height:,} of them held, worth "
                f"{held['market_value'].sum():,.2f} (delisting={run.config.delisting!r})",
            )
        )
    return lines
