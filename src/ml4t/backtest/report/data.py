"""What is to be known of the data of a run: ends, gaps and late starts."""

from __future__ import annotations

import numpy as np
import polars as pl

from ml4t.backtest.feed.bars import Bars
from ml4t.backtest.formats import counted, day, listed_words, money
from ml4t.backtest.result import BacktestResult

_MOST_NAMES = 8


def data_remarks(result: BacktestResult, bars: Bars | None) -> list[str]:
    """Return remarks on the data, a sentence each.

    Parameters
    ----------
    result : BacktestResult
    bars : Bars or None
        None: they are not known any more, so that only what the result holds is told.
    """
    remarks = [*_ends(result)]
    if bars is None:
        remarks.append(
            "The prices of the run are not here: gaps and late starts cannot be told. Pass them as "
            "prices= to see them."
        )
        return remarks
    if not bars.times.size:
        return remarks
    has_bar = np.isfinite(bars.close)
    first, last = bars.first_bars, bars.last_bars
    n_within = np.where(first >= 0, last - first + 1, 0)
    n_missing = n_within - has_bar.sum(axis=0)
    return [*remarks, *_gaps(bars, n_missing), *_late(bars)]


def _ends(result: BacktestResult) -> list[str]:
    ends = result.ends
    if not ends.height:
        return []
    held = ends.filter(pl.col("quantity") != 0.0)
    names = [f"{row['asset']} ({day(row['last_bar'])})" for row in ends.iter_rows(named=True)]
    return [
        f"{counted(ends.height, 'asset')} ended before the data did: {_named(names)}. That is "
        f"inferred from the whole of the data: no trader could have known. {held.height:,} of them "
        f"were held, worth {money(float(held['market_value'].sum()))} at the last mark "
        f"(delisting = {result.config.delisting})."
    ]


def _gaps(bars: Bars, n_missing: np.ndarray) -> list[str]:
    some = np.flatnonzero(n_missing > 0)
    if not some.size:
        return []
    order = some[np.argsort(-n_missing[some], kind="stable")]
    names = [f"{bars.assets[i]} ({n_missing[i]:,})" for i in order]
    return [
        f"{counted(some.size, 'asset')} lack bars between their first and their last, "
        f"{int(n_missing.sum()):,} in all: {_named(names)}. Orders rested there, and positions "
        "kept their last mark."
    ]


def _late(bars: Bars) -> list[str]:
    late = np.flatnonzero(bars.first_bars > 0)
    never = np.flatnonzero(bars.first_bars < 0)
    remarks = []
    if late.size:
        order = late[np.argsort(-bars.first_bars[late], kind="stable")]
        names = [f"{bars.assets[i]} ({day(bars.timestamps[bars.first_bars[i]])})" for i in order]
        remarks.append(f"{counted(late.size, 'asset')} begin later than the data: {_named(names)}.")
    if never.size:
        names = [bars.assets[i] for i in never]
        remarks.append(f"{counted(never.size, 'asset')} never have a bar: {_named(names)}.")
    return remarks


def _named(names: list[str]) -> str:
    if len(names) <= _MOST_NAMES:
        return listed_words(names)
    return f"{', '.join(names[:_MOST_NAMES])} and {len(names) - _MOST_NAMES:,} more"
