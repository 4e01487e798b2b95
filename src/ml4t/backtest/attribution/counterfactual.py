"""Runs of the recorded weights of a result under other rules, and what came of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ml4t.backtest.attribution.frictions import Rules
from ml4t.backtest.broker import Broker
from ml4t.backtest.config import BacktestConfig
from ml4t.backtest.execution.alignment import AlignedSchedule
from ml4t.backtest.execution.rebalancer import TargetWeightExecutor
from ml4t.backtest.feed.bars import Bars, nanoseconds
from ml4t.backtest.fill_records import fill_records
from ml4t.backtest.frames import RunFrames, codes_of
from ml4t.backtest.kernel.outcome import gather_outcome
from ml4t.backtest.ledger.ledger import Ledger
from ml4t.backtest.records import FILL, Floats, Ints, Records
from ml4t.backtest.replay import replay


class Recorded(NamedTuple):
    """The decisions of a run.

    Attributes
    ----------
    schedule : AlignedSchedule
        The requested weights, on the bars of the run. Of several plans at one bar the last.
    bars, plan_idx : (n_decisions,) int64
        The bar of each row of the schedule, and its plan.
    bar_of_plan : (n_plans,) int64
        The bar of every plan by its number; -1 for one without rows.
    """

    schedule: AlignedSchedule
    bars: Ints
    plan_idx: Ints
    bar_of_plan: Ints


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
    """

    equity: Floats
    pnl: Floats
    before: Floats


def recorded_decisions(frames: RunFrames, bars: Bars) -> Recorded:
    """Return the weights that were requested in a run, from its rebalances."""
    rows = frames.rebalances
    at = np.searchsorted(bars.times, nanoseconds(rows["timestamp"]))
    plan_idx = rows["plan_idx"].to_numpy().astype(np.int64)
    bar_of_plan = np.full(frames.n_plans, -1, np.int64)
    bar_of_plan[plan_idx] = at
    row_of_bar = np.full(bars.times.size, -1, np.int64)
    decision_bars, row = np.unique(at, return_inverse=True)
    row_of_bar[decision_bars] = np.arange(decision_bars.size)
    last_plan = np.full(decision_bars.size, -1, np.int64)
    np.maximum.at(last_plan, row, plan_idx)
    counts = plan_idx == last_plan[row]
    weights = np.full((decision_bars.size, len(bars.assets)), np.nan)
    columns = codes_of(rows["asset"], bars.assets)
    weights[row[counts], columns[counts]] = rows["requested_weight"].to_numpy()[counts]
    return Recorded(AlignedSchedule(row_of_bar, weights), decision_bars, last_plan, bar_of_plan)


def outcome_of_account(
    frames: RunFrames, bars: Bars, decisions: Recorded, initial_cash: float
) -> Outcome:
    """Return what came of the run itself."""
    fills, _ = fill_records(frames, bars.assets)
    equity = frames.equity["equity"].to_numpy()
    return _outcome(equity, fills, decisions.bar_of_plan, bars, decisions, initial_cash)


def outcome_under(rules: Rules, bars: Bars, decisions: Recorded, initial_cash: float) -> Outcome:
    """Run the recorded weights under rules and return what came of it."""
    if not bars.times.size:  # of a run that was stopped in its first bar
        nothing = np.zeros(0, FILL)
        return _outcome(np.zeros(0), nothing, decisions.bars, bars, decisions, initial_cash)
    if isinstance(rules, BacktestConfig):
        ledger = _by_event(bars, decisions.schedule, rules)
    else:
        ledger = replay(bars, decisions.schedule, rules)
    fills = ledger.fills.records()
    bar_of_plan = ledger.plans.records()["bar"].astype(np.int64)
    equity = np.ascontiguousarray(ledger.equity["equity"])
    return _outcome(equity, fills, bar_of_plan, bars, decisions, initial_cash)


def _by_event(bars: Bars, schedule: AlignedSchedule, config: BacktestConfig) -> Ledger:
    """Run a schedule bar by bar, which a cost model that is written in Python needs."""
    broker = Broker(config, bars=bars)
    executor = TargetWeightExecutor()
    for bar, row in enumerate(schedule.row_of_bar.tolist()):
        broker.advance(bar)
        if row >= 0:
            asked = dict(zip(bars.assets, schedule.weights[row].tolist(), strict=True))
            weights = {asset: weight for asset, weight in asked.items() if weight == weight}
            broker.submit_plan(executor.plan(weights, broker.data, broker))
        broker.end_bar(bar)
    broker.finish()
    return broker.ledger


def _outcome(
    equity: Floats,
    fills: Records,
    bar_of_plan: Ints,
    bars: Bars,
    decisions: Recorded,
    initial_cash: float,
) -> Outcome:
    pnl = np.zeros(len(bars.assets))
    before = np.full(decisions.bars.size + 1, initial_cash)
    if equity.size:
        moved = np.zeros(decisions.bars.size)
        row_of_bar = decisions.schedule.row_of_bar
        gather_outcome(fills, bar_of_plan, row_of_bar, bars.mark, pnl, moved)
        # What a decision trades at its own close is already in the equity of that bar.
        before[1:-1] = equity[decisions.bars[1:]] + moved[1:]
        before[-1] = equity[-1]
    return Outcome(equity, pnl, before)
