"""The weights of a run as wide frames: what was asked for, and what became of it."""

from __future__ import annotations

import numpy as np
import polars as pl

from ml4t.backtest.enums import ExecutionMode
from ml4t.backtest.errors import InputError, listed, shown
from ml4t.backtest.execution.schedule import wide_frame
from ml4t.backtest.feed.bars import nanoseconds
from ml4t.backtest.frames import RunFrames
from ml4t.backtest.records import Floats, Ints

#: The kinds of weights that there are of a rebalance, in the order in which they come about.
KINDS = ("requested", "target", "planned", "filled", "drifted")
# The column of the rebalances, and what an asset that is in no row of a plan has instead.
_OF_PLANS = {
    "requested": ("requested_weight", np.nan),
    "target": ("target_weight", 0.0),
    "planned": ("planned_weight", 0.0),
}


def weights_frame(frames: RunFrames, mode: ExecutionMode, kind: str) -> pl.DataFrame:
    """Return the weights of every rebalance, times by assets; see `BacktestResult.weights`.

    Parameters
    ----------
    frames : RunFrames
    mode : ExecutionMode
        Of the run: it says at which bar the orders of a plan could first fill.
    kind : str
        One of `KINDS`.
    """
    if kind not in KINDS:
        raise InputError(f"weights: there is no kind {shown(kind)}; use one of {listed(KINDS, 9)}")
    rows = _PlanRows(frames)
    if kind in _OF_PLANS:
        name, absent = _OF_PLANS[kind]
        found = rows.column(name, absent)
    else:
        bars = np.searchsorted(nanoseconds(frames.equity["timestamp"]), nanoseconds(rows.times))
        if kind == "filled":
            found = _held_at(bars + (mode is ExecutionMode.NEXT_BAR), frames, rows.assets)
        else:
            found = _before_the_next(bars, frames, rows)
    return wide_frame(rows.times, rows.assets, found)


class _PlanRows:
    """The rows of the rebalances, to be laid out as plans by assets.

    `times` are those of the plans, `assets` all that occur in a plan or a position, by name.
    """

    def __init__(self, frames: RunFrames) -> None:
        rows = self._rows = frames.rebalances
        # The rows of a plan stand together, the plans in the order in which they were made.
        number = rows["plan_idx"].to_numpy()
        begins = np.flatnonzero(np.diff(number, prepend=-1))
        self.times = rows["timestamp"].gather(pl.Series(begins, dtype=pl.Int64))
        self._plan = np.repeat(np.arange(begins.size), np.diff(begins, append=number.size))
        names = pl.concat([rows["asset"], frames.positions["asset"]]).unique().sort()
        self.assets = tuple(names.to_list())

    def column(self, name: str, absent: float) -> Floats:
        """Return a column of weights as (n_plans, n_assets); NaN in a plan without equity."""
        found = np.full((len(self.times), len(self.assets)), absent)
        found[self._plan, _codes(self._rows["asset"], self.assets)] = self._rows[name].to_numpy()
        has_equity = np.ones(len(self.times), dtype=bool)
        # What is not held weighs 0, so that it is no number only where nothing has a weight.
        has_equity[self._plan[np.isnan(self._rows["current_weight"].to_numpy())]] = False
        if name != "requested_weight":
            found[~has_equity] = np.nan
        return found


def _held_at(bars: Ints, frames: RunFrames, assets: tuple[str, ...]) -> Floats:
    """Return what was held at the close of bars, (len(bars), n_assets).

    NaN where there is no such bar, and where there was no equity.
    """
    equity, positions = frames.equity, frames.positions
    exists = bars < equity.height
    wanted, row = np.unique(bars[exists], return_inverse=True)
    at = np.searchsorted(nanoseconds(equity["timestamp"]), nanoseconds(positions["timestamp"]))
    row_of_bar = np.full(equity.height, -1, dtype=np.int64)
    row_of_bar[wanted] = np.arange(wanted.size)
    is_wanted = row_of_bar[at] >= 0
    held = np.zeros((wanted.size, len(assets)))
    columns = _codes(positions["asset"], assets)[is_wanted]
    held[row_of_bar[at[is_wanted]], columns] = positions["weight"].to_numpy()[is_wanted]
    held[~(equity["equity"].to_numpy()[wanted] > 0.0)] = np.nan
    found = np.full((bars.size, len(assets)), np.nan)
    found[exists] = held[row]
    return found


def _before_the_next(bars: Ints, frames: RunFrames, rows: _PlanRows) -> Floats:
    """Return what was held when the next plan of a later bar was made, else at the last close."""
    following = np.searchsorted(bars, bars, side="right")
    has_next = following < bars.size
    last = np.full(np.count_nonzero(~has_next), frames.equity.height - 1, dtype=np.int64)
    found = np.empty((bars.size, len(rows.assets)))
    found[has_next] = rows.column("current_weight", 0.0)[following[has_next]]
    found[~has_next] = _held_at(last, frames, rows.assets)
    return found


def _codes(names: pl.Series, assets: tuple[str, ...]) -> Ints:
    """Return the places of names among the assets."""
    return names.cast(pl.Enum(assets)).to_physical().to_numpy().astype(np.int64)
