"""Runs of the recorded weights of a result under other rules, and what came of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

from ml4t.backtest.attribution.frictions import Rules
from ml4t.backtest.broker import Broker
from ml4t.backtest.config import BacktestConfig
from ml4t.backtest.execution.alignment import AlignedSchedule
from ml4t.backtest.execution.rebalancer import TargetWeightExecutor
from ml4t.backtest.feed.bars import Bars, nanoseconds
from ml4t.backtest.frames import RunFrames
from ml4t.backtest.ledger.ledger import Ledger
from ml4t.backtest.records import Floats, Ints
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


class _Fills(NamedTuple):
    """Fills as arrays; `decided` is the bar of the plan that sent the order, -1 for none."""

    bar: Ints
    asset: Ints
    quantity: Floats
    price: Floats
    commission: Floats
    decided: Ints


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
    columns = _columns(rows["asset"], bars)
    weights[row[counts], columns[counts]] = rows["requested_weight"].to_numpy()[counts]
    return Recorded(AlignedSchedule(row_of_bar, weights), decision_bars, last_plan, bar_of_plan)


def outcome_of_account(
    frames: RunFrames, bars: Bars, decisions: Recorded, initial_cash: float
) -> Outcome:
    """Return what came of the run itself."""
    fills = frames.fills
    sign = np.where((fills["side"] == "sell").to_numpy(), -1.0, 1.0)
    found = _Fills(
        bar=np.searchsorted(bars.times, nanoseconds(fills["timestamp"])),
        asset=_columns(fills["asset"], bars),
        quantity=sign * fills["quantity"].to_numpy(),
        price=fills["price"].to_numpy(),
        commission=fills["commission"].to_numpy(),
        decided=_decided(fills["plan_idx"].to_numpy(), decisions.bar_of_plan),
    )
    return _outcome(frames.equity["equity"].to_numpy(), found, bars, decisions, initial_cash)


def outcome_under(rules: Rules, bars: Bars, decisions: Recorded, initial_cash: float) -> Outcome:
    """Run the recorded weights under rules and return what came of it."""
    if not bars.times.size:  # of a run that was stopped in its first bar
        return _nothing(bars, decisions, initial_cash)
    if isinstance(rules, BacktestConfig):
        ledger = _by_event(bars, decisions.schedule, rules)
    else:
        ledger = replay(bars, decisions.schedule, rules)
    fills = ledger.fills.records()
    bar_of_plan = ledger.plans.records()["bar"].astype(np.int64)
    found = _Fills(
        bar=fills["bar"].astype(np.int64),
        asset=fills["asset"].astype(np.int64),
        quantity=fills["quantity"],
        price=fills["price"],
        commission=fills["commission"],
        decided=_decided(fills["plan_idx"], bar_of_plan),
    )
    equity = np.ascontiguousarray(ledger.equity["equity"])
    return _outcome(equity, found, bars, decisions, initial_cash)


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
    equity: Floats, fills: _Fills, bars: Bars, decisions: Recorded, initial_cash: float
) -> Outcome:
    if not bars.times.size:
        return _nothing(bars, decisions, initial_cash)
    n_assets = len(bars.assets)
    before = np.full(decisions.bars.size + 1, initial_cash)
    spent = fills.quantity * fills.price + fills.commission
    pnl = -_summed(fills.asset, spent, n_assets)
    held = _summed(fills.asset, fills.quantity, n_assets)
    is_held = held != 0.0  # an asset without a mark is not
    pnl[is_held] += held[is_held] * bars.mark[-1, is_held]

    before[1:-1] = equity[decisions.bars[1:]]
    before[-1] = equity[-1]
    # What a decision trades at its own close is already in the equity of that bar.
    at_once = fills.decided == fills.bar
    bar, asset = fills.bar[at_once], fills.asset[at_once]
    worth = fills.quantity[at_once] * bars.mark[bar, asset]
    row = np.searchsorted(decisions.bars, bar)
    before[1:-1] += _summed(row, spent[at_once] - worth, before.size)[1:-1]
    return Outcome(equity, pnl, before)


def _nothing(bars: Bars, decisions: Recorded, initial_cash: float) -> Outcome:
    """Return what came of a run without a bar."""
    before = np.full(decisions.bars.size + 1, initial_cash)
    return Outcome(np.zeros(0), np.zeros(len(bars.assets)), before)


def _summed(places: Ints, values: Floats, n: int) -> Floats:
    """Add values up by place, (n,)."""
    return np.bincount(places, values, n).astype(np.float64)  # of no values it makes integers


def _decided(plan_idx: Ints, bar_of_plan: Ints) -> Ints:
    """Return the bars of plans by number, -1 where there was no plan."""
    if not bar_of_plan.size:
        return np.full(plan_idx.size, -1, np.int64)
    return np.where(plan_idx >= 0, bar_of_plan[np.maximum(plan_idx, 0)], -1)


def _columns(names: pl.Series, bars: Bars) -> Ints:
    """Return the places of names among the assets."""
    return names.cast(pl.Enum(bars.assets)).to_physical().to_numpy().astype(np.int64)
