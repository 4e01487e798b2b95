"""Decision times and assets of a schedule, laid over the bars of a feed."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np

from ml4t.backtest.errors import DataWarning, WeightsError
from ml4t.backtest.execution.schedule_input import Clock
from ml4t.backtest.execution.weight_readers import WHAT
from ml4t.backtest.feed.bars import Bars
from ml4t.backtest.feed.checks import time_text
from ml4t.backtest.feed.signals import bar_numbers, check_zone
from ml4t.backtest.records import Floats, Ints

_ALIGNS = ("exact", "next")


class AlignedSchedule(NamedTuple):
    """A schedule laid out over the bars of a feed; both arrays are read-only.

    Attributes
    ----------
    row_of_bar : (n_bars,) int64
        The row of `weights` that is decided at the close of each bar; -1: no rebalance.
    weights : (n_decisions, n_assets) float64, C-contiguous
        A column for each asset of the feed, in its order. NaN: not in the targets.
    """

    row_of_bar: Ints
    weights: Floats


def bars_of(decisions: Clock, bars: Bars, align: str) -> Ints:
    """Return the bar of each decision; see `WeightSchedule.aligned`.

    With "next", several may have the same bar; the last of them counts.
    """
    if align not in _ALIGNS:
        raise WeightsError(f'align: {align!r} is unknown; use "exact" or "next"')
    check_zone(decisions.time_zone, bars.time_zone, WHAT)
    last = decisions.times.size - 1
    if decisions.times[last] < bars.times[0]:
        raise WeightsError(
            f"{WHAT}: the last decision, {time_text(decisions, last)}, is before the first bar, "
            f"{time_text(bars, 0)}; pass prices of its time"
        )
    if align == "exact":
        remedy = 'keep only rows whose time has a bar, or move them on with align="next"'
        return bar_numbers(*decisions, bars, WHAT, remedy)
    at = np.searchsorted(bars.times, decisions.times)
    beyond = np.flatnonzero(at == bars.times.size)
    if beyond.size:
        raise WeightsError(
            f"{WHAT}: {beyond.size} decision times are after the last bar, "
            f"{time_text(bars, bars.times.size - 1)}, the first: "
            f"{time_text(decisions, int(beyond[0]))}; drop them or add prices"
        )
    replaced = np.flatnonzero(np.diff(at) == 0)
    if replaced.size:
        first = int(replaced[0])
        warnings.warn(
            f"{WHAT}: {replaced.size} rows are not used, since a later one moves to the same bar, "
            f"the first: {time_text(decisions, first)}, replaced by "
            f"{time_text(decisions, first + 1)} at the bar {time_text(bars, int(at[first]))}",
            DataWarning,
            stacklevel=4,
        )
    return at


def on_columns(matrix: Floats, assets: tuple[str, ...], wanted: tuple[str, ...]) -> Floats:
    """Return a matrix with the columns `wanted`, among which `assets` are; the rest is NaN.

    The matrix itself where they are the same.
    """
    if assets == wanted:
        return matrix
    index = {name: i for i, name in enumerate(wanted)}
    columns = np.array([index[name] for name in assets])
    laid_out = np.full((matrix.shape[0], len(wanted)), np.nan)
    for row, weights in zip(laid_out, matrix, strict=True):  # a third of the time of all at once
        row[columns] = weights
    laid_out.flags.writeable = False
    return laid_out
