"""The weights of a run as wide frames: what was asked for, and what became of it."""

from __future__ import annotations

import numpy as np
import polars as pl

from ml4t.backtest.enums import ExecutionMode
from ml4t.backtest.errors import InputError, listed, shown
from ml4t.backtest.execution.schedule import wide_frame
from ml4t.backtest.feed.bars import nanoseconds
from ml4t.backtest.frames import RunFrames, codes_of
from ml4t.backtest.records import Bools, Floats, Ints

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
    rows = PlanRows(frames)
    if kind in _OF_PLANS:
        name, absent = _OF_PLANS[kind]
        found = rows.column(name, absent)
    else:
        if kind == "filled":
            found = held_at(rows.bars + (mode is ExecutionMode.NEXT_BAR), frames, rows.assets)
        else:
            found = _before_the_next(frames, rows)
    return wide_frame(rows.times, rows.assets, found)


class PlanRows:
    """The rows of the rebalances, to be laid out as plans by assets.

    Attributes
    ----------
    times : polars.Series, (n_plans,)
        Of the decisions, in the order in which the plans were made.
    bars, plan_idx : (n_plans,) int64
        The numbers of their bars and of the plans.
    plan : (n_rows,) int64
        The place of the plan of each row among these.
    assets : tuple of str
        All that occur in a plan or a position, by name.
    has_equity : (n_plans,) bool
        Whether there was equity to be weighed.
    """

    def __init__(self, frames: RunFrames) -> None:
        rows = self._rows = frames.rebalances
        # The rows of a plan stand together, the plans in the order in which they were made.
        number = rows["plan_idx"].to_numpy()
        begins = np.flatnonzero(np.diff(number, prepend=-1))
        self.plan_idx: Ints = number[begins].astype(np.int64)
        self.times = rows["timestamp"].gather(pl.Series(begins, dtype=pl.Int64))
        self.bars: Ints = np.searchsorted(
            nanoseconds(frames.equity["timestamp"]), nanoseconds(self.times)
        )
        self.plan: Ints = np.repeat(np.arange(begins.size), np.diff(begins, append=number.size))
        names = pl.concat([rows["asset"], frames.positions["asset"]]).unique().sort()
        self.assets = tuple(names.to_list())
        self.has_equity: Bools = np.ones(begins.size, dtype=bool)
        # What is not held weighs 0, so that it is no number only where nothing has a weight.
        self.has_equity[self.plan[np.isnan(rows["current_weight"].to_numpy())]] = False

    def column(self, name: str, absent: float) -> Floats:
        """Return a column of weights as (n_plans, n_assets); NaN in a plan without equity."""
        found = np.full((len(self.times), len(self.assets)), absent)
        found[self.plan, codes_of(self._rows["asset"], self.assets)] = self._rows[name].to_numpy()
        if name != "requested_weight":
            found[~self.has_equity] = np.nan
        return found


def held_at(bars: Ints, frames: RunFrames, assets: tuple[str, ...]) -> Floats:
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
    columns = codes_of(positions["asset"], assets)[is_wanted]
    held[row_of_bar[at[is_wanted]], columns] = positions["weight"].to_numpy()[is_wanted]
    held[~(equity["equity"].to_numpy()[wanted] > 0.0)] = np.nan
    found = np.full((bars.size, len(assets)), np.nan)
    found[exists] = held[row]
    return found


def _before_the_next(frames: RunFrames, rows: PlanRows) -> Floats:
    """Return what was held when the next plan of a later bar was made, else at the last close."""
    bars = rows.bars
    following = np.searchsorted(bars, bars, side="right")
    has_next = following < bars.size
    last = np.full(np.count_nonzero(~has_next), frames.equity.height - 1, dtype=np.int64)
    found = np.empty((bars.size, len(rows.assets)))
    found[has_next] = rows.column("current_weight", 0.0)[following[has_next]]
    found[~has_next] = held_at(last, frames, rows.assets)
    return found
