"""The audit is silent on a run in order, and each check finds what it is there for."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from helpers import Diary, bars_of, buy, day, run_script, sell
from ml4t.backtest import (
    BacktestConfig,
    BacktestResult,
    Broker,
    ExecutionMode,
    RebalanceConfig,
    TargetWeightExecutor,
)
from ml4t.backtest.costs import PercentCommission, PercentSlippage
from ml4t.backtest.frames import FRAMES
from ml4t.backtest.ledger.audit import CHECKS, audit_books
from ml4t.backtest.ledger.books import Books

CLOSE = {"A": [10.0, 12.0, 11.0, 14.0], "B": [20.0, None, 25.0, 20.0]}
CONFIG = BacktestConfig(
    initial_cash=1_000.0, commission=PercentCommission(0.01), slippage=PercentSlippage(0.02)
)


def result_of(config: BacktestConfig = CONFIG) -> BacktestResult:
    """Orders 0 A filled, 1 A filled, 2 B cut by cash, 3 B rejected, 4 working."""
    actions = {
        0: buy("A", 10),
        1: lambda data, broker: [
            broker.submit_order("A", 4, "sell"),
            broker.submit_order("B", 100, "buy"),
        ],
        2: sell("A", 100),
        3: buy("A", 1),
    }
    return run_script(actions, CLOSE, config)


def planned() -> BacktestResult:
    """Plan 0 has capped, scaled and forbidden weights, plan 1 none; plan 2 holds A back."""
    limits = RebalanceConfig(max_single_weight=0.3, max_net_exposure=0.5, min_trade_value=0)
    held = limits.model_copy(update={"unmentioned": "hold"})
    plans = {
        # 0.3, 0.3, 0.2 and 0 are 0.8 in all, and 0.5 / 0.8 of each 0.1875, 0.1875, 0.125
        0: ({"A": 0.6, "B": 0.5, "C": 0.2, "D": -0.1}, limits),
        1: ({"A": 0.1, "B": 0.1}, limits),
        2: ({"B": 0.2, "D": 0.1}, held),
    }
    actions = {
        t: lambda data, broker, weights=weights, config=config: TargetWeightExecutor(
            config
        ).execute(weights, data, broker)
        for t, (weights, config) in plans.items()
    }
    close = {"A": [10.0] * 4, "B": [20.0] * 4, "C": [5.0] * 4, "D": [8.0, 8.0, None, 8.0]}
    return run_script(actions, close, BacktestConfig(initial_cash=10_000.0))


def ended(policy: str = "liquidate") -> BacktestResult:
    """10 D, bought at 21, end at 22 on day 3; orders 0 the purchase, 1 A, 2 the settlement."""
    close = {"A": [10.0] * 5, "D": [20.0, 21.0, 22.0, None, None]}
    actions = {0: buy("D", 10), 1: buy("A", 1)}
    return run_script(actions, close, CONFIG.model_copy(update={"delisting": policy}))


def books_of(result: BacktestResult) -> Books:
    last = result.positions.filter(pl.col("timestamp") == result.equity["timestamp"][-1])
    return Books(
        config=result.config,
        **{name: getattr(result, name) for name in FRAMES},
        holdings={row["asset"]: row["quantity"] for row in last.to_dicts()},
    )


@pytest.fixture(scope="module")
def books() -> Books:
    return books_of(result_of())


@pytest.fixture(scope="module")
def plan_books() -> Books:
    return books_of(planned())


@pytest.fixture(scope="module")
def end_books() -> Books:
    return books_of(ended())


def changed(frame: pl.DataFrame, row: int, **values: Any) -> pl.DataFrame:
    """A frame with other values in one row."""
    here = pl.int_range(pl.len()) == row
    return frame.with_columns(
        pl.when(here).then(pl.lit(value, frame.schema[name])).otherwise(pl.col(name)).alias(name)
        for name, value in values.items()
    )


@pytest.mark.parametrize("mode", list(ExecutionMode))
def test_runs_are_in_order(mode: ExecutionMode) -> None:
    config = CONFIG.model_copy(update={"execution_mode": mode})
    assert result_of(config).audit() == []
    assert run_script({}, {"A": [10.0]}, config).audit() == []
    executor = TargetWeightExecutor(RebalanceConfig(allow_fractional=True, min_trade_value=0))
    plans = {
        t: lambda data, broker, w=w: executor.execute({"A": w, "B": 1 - w}, data, broker)
        for t, w in enumerate([0.5, 0.1, 0.9])
    }
    assert run_script(plans, CLOSE, config).audit() == []


def test_a_loaded_result_is_audited(tmp_path: Path) -> None:
    result_of().save(tmp_path / "run")
    assert BacktestResult.load(tmp_path / "run").audit() == []


TAMPERED = [
    # check, table, row, new values, what is found and expected, where
    ("positions", "positions", 0, {"quantity": 9.0}, (9.0, 10.0), ("A", None, day(1))),
    ("positions", "positions", 0, None, (1, 2), ("A", None, None)),
    ("no_shorts", "positions", 0, {"quantity": -10.0}, (-10.0, "> 0"), ("A", None, day(1))),
    ("cash_flows", "equity", 0, {"cash": 999.0}, (999.0, 1_000.0), (None, None, day(0))),
    ("cash_flows", "equity", 0, {"cash": float("nan")}, None, (None, None, day(0))),
    ("cash", "equity", 2, {"cash": -0.01}, (-0.01, ">= -1e-06"), (None, None, day(2))),
    ("equity", "equity", 0, {"equity": 1_001.0}, (1_001.0, 1_000.0), (None, None, day(0))),
    ("equity", "positions", 0, {"market_value": float("nan")}, None, (None, None, day(1))),
    ("order_states", "orders", 0, {"order_id": 1}, (2, 1), (None, 1, None)),
    ("order_states", "orders", 0, {"status": "lost"}, ("lost", "an OrderStatus"), ("A", 0, None)),
    ("order_states", "orders", 0, {"reason": "rebalance"}, ("rebalance", None), ("A", 0, None)),
    ("order_states", "orders", 2, {"reason": None}, (None, "a reason"), ("B", 2, None)),
    ("order_states", "orders", 0, {"finished_at": None}, (None, "a time"), ("A", 0, None)),
    ("order_states", "orders", 0, {"status": "pending"}, (day(1), None), ("A", 0, None)),
    ("filled_quantities", "orders", 0, {"filled_quantity": 9.0}, (9.0, 10.0), ("A", 0, None)),
    ("filled_quantities", "orders", 0, {"quantity": 8.0}, (10.0, 8.0), ("A", 0, None)),
    ("filled_quantities", "orders", 2, {"status": "filled"}, None, ("B", 2, None)),
    ("fills", "fills", 0, {"order_id": 77}, (77, "an order"), ("A", 77, day(1))),
    ("fills", "fills", 0, {"asset": "B"}, ("B", "A"), ("B", 0, day(1))),
    ("fills", "fills", 0, {"side": "sell"}, ("sell", "buy"), ("A", 0, day(1))),
    ("fills", "fills", 0, {"plan_idx": 3}, (3, -1), ("A", 0, day(1))),
    ("fills", "fills", 0, {"quantity": 0.0}, (0.0, "> 0"), ("A", 0, day(1))),
    ("fills", "fills", 0, {"price": float("nan")}, None, ("A", 0, day(1))),
    ("fills", "fills", 0, {"commission": -1.0}, (-1.0, ">= 0"), ("A", 0, day(1))),
    ("fills", "fills", 0, {"slippage": -1.0}, (-1.0, ">= 0"), ("A", 0, day(1))),
    ("fill_times", "fills", 0, {"timestamp": day(1) + timedelta(hours=1)}, None, ("A", 0, None)),
    ("fill_times", "fills", 0, {"timestamp": day(0)}, (day(0), day(0)), ("A", 0, day(0))),
    ("fill_times", "fills", 0, {"timestamp": day(2)}, (day(2), day(1)), ("A", 0, day(2))),
    ("trades", "trades", 0, {"quantity": 9.0}, (9.0, 10.0), ("A", None, day(1))),
    ("trades", "trades", 0, {"quantity": -10.0}, (-10.0, 10.0), ("A", None, day(1))),
    ("trades", "trades", 0, {"entry_time": day(2)}, (day(2), day(1)), ("A", None, day(1))),
    ("trades", "trades", 0, {"exit_time": day(2)}, (day(2), day(3)), ("A", None, day(1))),
    ("trades", "trades", 0, {"exit_time": None}, (None, day(3)), ("A", None, day(1))),
    ("trades", "trades", 1, {"exit_time": day(3)}, (day(3), None), ("B", None, day(2))),
    ("trades", "trades", 0, {"entry_price": 12.0}, None, ("A", None, day(1))),
    ("trades", "trades", 0, {"entry_price": float("nan")}, None, ("A", None, day(1))),
    ("trades", "trades", 0, {"exit_price": 12.0}, None, ("A", None, day(1))),
    ("trades", "trades", 0, {"exit_price": None}, None, ("A", None, day(1))),
    ("trades", "trades", 1, {"exit_price": 12.0}, (12.0, None), ("B", None, day(2))),
    ("trades", "trades", 1, {"pnl": 0.0}, None, ("B", None, day(2))),
    ("trades", "trades", 0, {"commission": 2.0}, None, ("A", None, day(1))),
    ("trades", "trades", 0, {"slippage": 2.0}, None, ("A", None, day(1))),
    ("trades", "trades", 0, {"n_fills": 2}, (2, 3), ("A", None, day(1))),
    ("trades", "trades", 0, {"asset": "B"}, (0, 1), ("A", None, None)),
    ("trades", "trades", 0, None, (0, 1), ("A", None, None)),
]
# Rows 0 to 3 are A to D of plan 0, rows 4 to 6 A to C of plan 1, rows 7 to 9 A, B, D of plan 2.
TAMPERED_PLANS = [
    ("plan_orders", "orders", 0, {"plan_idx": 9}, (9, "a row: ordered"), ("A", 0, None)),
    ("plan_orders", "orders", 0, {"plan_idx": -1}, (187.0, "an order"), ("A", None, day(0))),
    ("plan_orders", "orders", 0, {"quantity": 186.0}, (186.0, 187.0), ("A", 0, day(0))),
    ("plan_orders", "orders", 0, {"side": "sell"}, (-187.0, 187.0), ("A", 0, day(0))),
    ("plan_orders", "orders", 0, {"created_at": day(1)}, (day(1), day(0)), ("A", 0, day(0))),
    ("plan_orders", "orders", 1, {"asset": "A"}, (2, 1), ("A", None, None)),
    ("plan_orders", "rebalances", 0, {"reason": "at_target"}, None, ("A", 0, None)),
    ("plan_orders", "rebalances", 3, {"reason": "ordered"}, (0.0, "an order"), ("D", None, day(0))),
    ("plan_rows", "rebalances", 1, {"asset": "A"}, (2, 1), ("A", None, None)),
    ("plan_rows", "rebalances", 0, {"reason": "filled"}, None, ("A", None, day(0))),
    ("plan_rows", "rebalances", 0, {"reason": ""}, None, ("A", None, day(0))),
    ("plan_rows", "rebalances", 0, {"quantity": 0.0}, (0.0, "a quantity"), ("A", None, day(0))),
    ("plan_rows", "rebalances", 3, {"quantity": 1.0}, (1.0, 0.0), ("D", None, day(0))),
    ("plan_rows", "rebalances", 3, {"value": 1.0}, (1.0, 0.0), ("D", None, day(0))),
    ("plan_rows", "rebalances", 0, {"value": 1_871.0}, (1_871.0, 1_870.0), ("A", None, day(0))),
    ("plan_rows", "rebalances", 0, {"price": float("nan")}, None, ("A", None, day(0))),
    ("plan_weights", "rebalances", 4, {"target_weight": 0.2}, (0.2, 0.1), ("A", None, day(1))),
    ("plan_weights", "rebalances", 4, {"target_weight": float("nan")}, None, ("A", None, day(1))),
    ("plan_weights", "rebalances", 8, {"requested_weight": 0.3}, (0.2, 0.3), ("B", None, day(2))),
    ("plan_weights", "rebalances", 3, {"target_weight": -0.1}, (-0.1, 0.0), ("D", None, day(0))),
    ("plan_weights", "rebalances", 3, {"requested_weight": 0.1}, None, ("D", None, day(0))),
    ("plan_weights", "rebalances", 0, {"target_weight": 0.7}, (0.7, 0.6), ("A", None, day(0))),
    ("plan_weights", "rebalances", 0, {"target_weight": -0.1}, (-0.1, 0.6), ("A", None, day(0))),
    ("plan_weights", "rebalances", 2, {"target_weight": 0.21}, (0.21, 0.2), ("C", None, day(0))),
    ("plan_weights", "rebalances", 2, {"adjustments": ""}, None, ("C", None, day(0))),
    ("plan_weights", "rebalances", 0, {"adjustments": "capped"}, None, ("A", None, day(0))),
    (
        "plan_weights",
        "rebalances",
        0,
        {"target_weight": 0.15},
        (0.1875, 0.15),
        (None, None, day(0)),
    ),
    ("plan_weights", "rebalances", 0, {"adjustments": "scaled"}, None, (None, None, day(0))),
]
TAMPERED_ENDS = [
    ("ends", "ends", 0, {"quantity": 9.0}, (9.0, 10.0), ("D", None, day(3))),
    ("ends", "ends", 0, {"market_value": 210.0}, (210.0, 220.0), ("D", None, day(3))),
    ("ends", "ends", 0, {"asset": "A"}, None, ("D", 2, day(3))),
    ("ends", "ends", 0, None, None, ("D", 2, day(3))),
    ("ends", "fills", 2, {"price": 21.0}, (210.0, 220.0), ("D", 2, day(3))),
    ("ends", "fills", 2, {"price": 0.0}, (0.0, 220.0), ("D", 2, day(3))),
    ("ends", "fills", 2, {"quantity": 9.0}, (9.0, 10.0), ("D", 2, day(3))),
    ("ends", "fills", 2, {"commission": 1.0}, (219.0, 220.0), ("D", 2, day(3))),
    ("ends", "fills", 2, {"slippage": 1.0}, (219.0, 220.0), ("D", 2, day(3))),
    ("ends", "fills", 2, {"side": "buy"}, ("buy", "sell"), ("D", 2, day(3))),
    ("ends", "fills", 2, {"plan_idx": 0}, None, ("D", 2, day(3))),
    ("ends", "orders", 2, {"status": "cancelled"}, (10.0, 0.0), ("D", None, day(3))),
    ("ends", "orders", 0, {"reason": "delisted"}, None, ("D", 0, day(1))),
    # only an order that settles fills in the bar in which it was made, and then in no other
    ("order_states", "orders", 2, {"reason": "rebalance"}, None, ("D", 2, None)),
    ("order_states", "orders", 2, {"status": "pending"}, None, ("D", 2, None)),
    ("fill_times", "orders", 2, {"reason": None}, (day(3), day(3)), ("D", 2, day(3))),
    ("fill_times", "fills", 2, {"timestamp": day(4)}, (day(4), day(3)), ("D", 2, day(4))),
    ("fill_times", "orders", 0, {"reason": "delisted"}, (day(1), day(0)), ("D", 0, day(1))),
]
ALL_TAMPERED = [
    (source, *case)
    for source, cases in (
        ("books", TAMPERED),
        ("plan_books", TAMPERED_PLANS),
        ("end_books", TAMPERED_ENDS),
    )
    for case in cases
]


@pytest.mark.parametrize(
    ("source", "check", "table", "row", "values", "numbers", "where"), ALL_TAMPERED
)
def test_what_a_check_finds(
    request: pytest.FixtureRequest,
    source: str,
    check: str,
    table: str,
    row: int,
    values: Any,
    numbers: Any,
    where: Any,
) -> None:
    books: Books = request.getfixturevalue(source)
    assert audit_books(books) == []
    frame = getattr(books, table)
    broken = frame.slice(1) if values is None else changed(frame, row, **values)
    found = audit_books(dataclasses.replace(books, **{table: broken}))
    mine = [violation for violation in found if violation.check == check]
    assert mine
    if numbers is not None:
        assert numbers in [(violation.found, violation.expected) for violation in mine]
    places = [(v.asset, v.order_id, v.timestamp) for v in mine]
    if where[2] is None:  # a time that is in the table is told as well
        places = [(asset, order_id, None) for asset, order_id, _ in places]
    assert where in places


def test_what_the_account_held_at_the_end(books: Books) -> None:
    assert books.holdings is not None
    assert audit_books(books) == []
    assert audit_books(dataclasses.replace(books, holdings=None)) == []
    for wrong in ({}, {**books.holdings, "A": 7.0}, {**books.holdings, "C": 1.0}):
        (*found,) = audit_books(dataclasses.replace(books, holdings=wrong))
        assert {violation.check for violation in found} == {"holdings"}


def test_a_position_that_is_there_twice(books: Books) -> None:
    twice = pl.concat([books.positions.head(1), books.positions])
    found = audit_books(dataclasses.replace(books, positions=twice))
    assert "a position is there more than once" in [violation.message for violation in found]


def test_every_check_is_tampered_with() -> None:
    names = {check.__name__.removeprefix("check_") for check in CHECKS}
    assert names == {case[1] for case in ALL_TAMPERED} | {"holdings"}


def test_the_gain_of_a_round_trip(books: Books) -> None:
    # 10 A at 12 * 1.02 are 122.4; 4 at 11 * 0.98 and 6 at 14 * 0.98 bring 43.12 and 82.32. One
    # percent of the three is 2.4784: 125.44 - 122.4 - 2.4784 = 0.5616.
    assert books.trades["pnl"][0] == pytest.approx(0.5616)
    broken = changed(books.trades, 0, pnl=0.5617)
    (found,) = audit_books(dataclasses.replace(books, trades=broken))
    assert found.message == "the pnl of a round trip is not that of its fills"
    assert found.expected == pytest.approx(0.5616)


def test_the_gain_of_a_trade_that_is_open() -> None:
    # 10 at 10 and 10 at 20 cost 15 each; 5 sold at 21 gain 30, 15 are left.
    actions = {0: buy("A", 10), 1: buy("A", 10), 2: sell("A", 5)}
    result = run_script(actions, {"A": [10.0, 10.0, 20.0, 21.0]})
    assert result.trades["pnl"].to_list() == pytest.approx([30.0])
    books = books_of(result)
    (found,) = audit_books(dataclasses.replace(books, trades=changed(books.trades, 0, pnl=31.0)))
    assert (found.found, found.expected) == (31.0, pytest.approx(30.0))


@pytest.mark.parametrize("policy", ["write_off", "hold"])
def test_a_settlement_that_the_config_does_not_know(policy: str) -> None:
    books = books_of(ended("liquidate"))
    assert books.fills["price"][2] == 22.0
    other = books.config.model_copy(update={"delisting": policy})
    found = audit_books(dataclasses.replace(books, config=other))
    assert {violation.check for violation in found} == {"ends"}
    assert audit_books(books_of(ended(policy))) == []


def test_a_sum_of_weights_is_not_judged_by_the_config_of_the_account() -> None:
    # The executor's limits are its own: 0.9 in all, where the account's say 0.5.
    own = TargetWeightExecutor(RebalanceConfig(min_trade_value=0))
    account = BacktestConfig(rebalance=RebalanceConfig(max_net_exposure=0.5))
    result = run_script(
        {0: lambda data, broker: own.execute({"A": 0.9}, data, broker)}, {"A": [10.0] * 2}, account
    )
    assert result.rebalances["target_weight"].to_list() == [0.9]
    assert result.audit() == []


def test_a_broker_that_is_stepped_by_hand_is_audited() -> None:
    # conftest.py does this at the end of every test; here the books are wrong for a moment.
    broker = Broker(initial_cash=1_000.0)
    diary = Diary(broker)
    broker.submit_order("A", 10)
    for t, price in enumerate([10.0, 11.0, 12.0]):
        broker.step(day(t), bars_of(A=price))
        diary.note()
    result = diary.result()
    assert result.equity["equity"].to_list() == [1_000.0, 1_010.0, 1_020.0]
    assert result.positions["market_value"].to_list() == [100.0, 110.0, 120.0]
    assert result.audit() == []
    broker.ledger.account["cash"] -= 1.0
    diary.note()
    assert {violation.check for violation in diary.result().audit()} == {"cash_flows"}
    broker.ledger.account["cash"] += 1.0
    broker.ledger.holdings["quantity"] -= 1.0
    diary.note()
    assert {violation.check for violation in diary.result().audit()} == {"equity", "holdings"}
    broker.ledger.holdings["quantity"] += 1.0
