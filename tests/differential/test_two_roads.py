"""The same schedule through `Engine` and through `run_weights`: the same bits in every table."""

from __future__ import annotations

import dataclasses
import math
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings

from differential.markets import START, Market, NumpySource, market, run, tables
from ml4t.backtest import WeightSchedule, run_weights
from ml4t.backtest.ledger.ledger import Ledger
from ml4t.backtest.replay import replay_schedule
from property.strategies import markets

N_SEEDS = 30
N_MARKETS = 60

pytestmark = pytest.mark.filterwarnings("ignore::ml4t.backtest.errors.RebalanceWarning")


def with_schedule_alone(case: Market) -> Market:
    """The market without manual orders, and without decisions that a schedule cannot hold."""
    decisions = {t: wanted for t, wanted in case.decisions.items() if wanted}
    return dataclasses.replace(case, decisions=decisions, manual={})


def schedule_of(case: Market) -> WeightSchedule:
    names = sorted({name for wanted in case.decisions.values() for name in wanted})
    times = [START + timedelta(days=t) for t in sorted(case.decisions)]
    rows = [case.decisions[t] for t in sorted(case.decisions)]
    matrix = [[row.get(name, math.nan) for name in names] for row in rows]
    return WeightSchedule(times, names, np.array(matrix))


def both(case: Market) -> tuple[Ledger | str, Ledger | str]:
    """The ledgers of the two roads, or what they raised."""
    found: list[Ledger | str] = []
    try:
        found.append(run(case)[1].ledger)
    except ValueError as error:
        found.append(str(error).split(": ", 1)[1])
    try:
        feed, config = case.feed(), case.settings()
        found.append(replay_schedule(feed.bars, schedule_of(case).aligned(feed.bars), config))
    except ValueError as error:
        found.append(str(error).split(": ", 1)[1])
    return found[0], found[1]


def check(case: Market) -> bool:
    """Hold the two roads of a market together; whether anything was traded in it."""
    case = with_schedule_alone(case)
    if not case.decisions:
        return False
    stepped, compiled = both(case)
    if isinstance(stepped, str) or isinstance(compiled, str):
        assert stepped == compiled
        return False
    expected, found = tables(stepped), tables(compiled)
    for name, table in expected.items():
        assert table.tobytes() == found[name].tobytes(), name
    return len(stepped.fills) > 0


@pytest.mark.parametrize("seed", range(N_SEEDS))
def test_random_schedules(seed: int) -> None:
    n_traded = 0
    for number in range(N_MARKETS):
        case = market(NumpySource(2, seed, number))
        try:
            n_traded += check(case)
        except AssertionError as error:
            raise AssertionError(f"market 2, {seed}, {number}: {case}") from error
    assert n_traded > N_MARKETS // 6


@settings(deadline=None, derandomize=True, max_examples=80)
@given(case=markets)
def test_drawn_schedules(case: Market) -> None:
    check(case)


def test_tables_in_many_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small blocks: the loop returns for room again and again, and for Ctrl-C at every bar."""
    monkeypatch.setattr("ml4t.backtest.ledger.tables._BLOCK_ROWS", 1)
    monkeypatch.setattr("ml4t.backtest.ledger.tables._LARGEST_BLOCK_ROWS", 3)
    monkeypatch.setattr("ml4t.backtest.replay._LARGEST_RESERVE", 1)
    monkeypatch.setattr("ml4t.backtest.replay._CELLS_AT_ONCE", 9)
    assert sum(check(market(NumpySource(3, number))) for number in range(40)) > 10


def test_the_result_of_both_roads() -> None:
    case = with_schedule_alone(market(NumpySource(2, 0, 1)))
    stepped, broker = run(case)
    compiled = run_weights(case.feed(), schedule_of(case), case.settings())
    assert len(broker.fills) > 0
    assert compiled.audit() == []
    assert compiled.metrics == pytest.approx(stepped.metrics, nan_ok=True, rel=0.0, abs=0.0)
    for name in ("equity", "orders", "fills", "trades", "positions", "rebalances", "ends"):
        assert getattr(compiled, name).equals(getattr(stepped, name)), name
