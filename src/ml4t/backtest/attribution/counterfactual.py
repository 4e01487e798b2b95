"""Runs of the recorded weights of a result under other rules, and what came of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ml4t.backtest.analysis.fill_records import fill_records, filled_at_once
from ml4t.backtest.config import BacktestConfig
from ml4t.backtest.enums import Unmentioned
from ml4t.backtest.execution.alignment import AlignedSchedule
from ml4t.backtest.feed.bars import Bars, nanoseconds
from ml4t.backtest.frames import RunFrames, codes_of
from ml4t.backtest.kernel.outcome import gather_outcome
from ml4t.backtest.records import FILL, Bools, Floats, Ints, Records
from ml4t.backtest.replay import RunRules, replay


class Recorded(NamedTuple):
    """The decisions of a run.

    Attributes
    ----------
    schedule : AlignedSchedule
        The requested weights, on the bars of the run.
    bars, plan_idx : (n_decisions,) int64
        The bar of each row of the schedule, and its plan; of several at one bar the last.
    """

    schedule: AlignedSchedule
    bars: Ints
    plan_idx: Ints


class Outcome(NamedTuple):
    """What came of a run.

    Attributes
    ----------
    equity : (n_bars,) float64
        At every close.
    pnl : (n_assets,) float64
        Profit and loss of each asset, what is still held at its last mark.
    before : (n_decisions + 1,) float64
        What the account was worth when each decision was made, before anything of it traded; the
        first is the initial cash and the last the final equity, so that differences sum up.
    traded : (n_assets,) bool
        Whether an asset has a fill.
    first_fill : int
        The bar of the first fill; that after the last where there is none.
    """

    equity: Floats
    pnl: Floats
    before: Floats
    traded: Bools
    first_fill: int


def recorded_decisions(frames: RunFrames, bars: Bars, unmentioned: str) -> Recorded:
    """Return the weights that were requested in a run, from its rebalances.

    Several plans at one bar become one: the last, or, where assets that are not mentioned are left
    alone, for each asset the last that mentions it.
    """
    rows = frames.rebalances
    plan_idx = rows["plan_idx"].to_numpy().astype(np.int64)
    at = np.searchsorted(bars.times, nanoseconds(rows["timestamp"]))
    decision_bars, row = np.unique(at, return_inverse=True)
    last_plan = np.full(decision_bars.size, -1, np.int64)
    np.maximum.at(last_plan, row, plan_idx)
    requested = rows["requested_weight"].to_numpy()
    # The plans stand in the order in which they were made: a later one writes over an earlier.
    counts = plan_idx == last_plan[row]
    if unmentioned == Unmentioned.HOLD:
        counts = ~np.isnan(requested)
    weights = np.full((decision_bars.size, len(bars.assets)), np.nan)
    columns = codes_of(rows["asset"], bars.assets)
    weights[row[counts], columns[counts]] = requested[counts]
    row_of_bar = np.full(bars.times.size, -1, np.int64)
    row_of_bar[decision_bars] = np.arange(decision_bars.size)
    return Recorded(AlignedSchedule(row_of_bar, weights), decision_bars, last_plan)


def outcome_of_account(
    frames: RunFrames, bars: Bars, decisions: Recorded, config: BacktestConfig
) -> Outcome:
    """Return what came of the run itself."""
    fills, _ = fill_records(frames, bars.assets)
    at_once = filled_at_once(fills, frames, config)
    equity = frames.equity["equity"].to_numpy()
    return _outcome(equity, fills, at_once, bars, decisions, float(config.initial_cash))


def outcome_under(rules: RunRules, bars: Bars, decisions: Recorded) -> Outcome:
    """Run the recorded weights under rules and return what came of it."""
    cash = rules.initial_cash
    if not bars.times.size:  # of a run that was stopped in its first bar
        nothing = np.zeros(0, FILL)
        return _outcome(np.zeros(0), nothing, np.zeros(0, np.bool_), bars, decisions, cash)
    ledger = replay(bars, decisions.schedule, rules)
    fills = ledger.fills.records()
    plan = fills["plan_idx"]
    at_once = np.zeros(fills.size, np.bool_)
    if rules.run.is_same_bar and fills.size:
        made_at = np.append(ledger.plans.records()["bar"], -1)  # the last: by no plan, a settlement
        at_once = made_at[plan] == fills["bar"]
    equity = np.ascontiguousarray(ledger.equity["equity"])
    return _outcome(equity, fills, at_once, bars, decisions, cash)


def _outcome(
    equity: Floats,
    fills: Records,
    at_once: Bools,
    bars: Bars,
    decisions: Recorded,
    initial_cash: float,
) -> Outcome:
    pnl, traded = np.zeros(len(bars.assets)), np.zeros(len(bars.assets), np.bool_)
    before = np.full(decisions.bars.size + 1, initial_cash)
    if equity.size:
        moved = np.zeros(decisions.bars.size)
        row_of_bar = decisions.schedule.row_of_bar
        gather_outcome(fills, at_once, row_of_bar, bars.mark, pnl, moved, traded)
        # What a decision trades at its own close is already in the equity of that bar.
        before[1:-1] = equity[decisions.bars[1:]] + moved[1:]
        before[-1] = equity[-1]
    first_fill = int(fills["bar"][0]) if fills.size else equity.size
    return Outcome(equity, pnl, before, traded, first_fill)
