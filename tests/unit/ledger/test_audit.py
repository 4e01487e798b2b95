"""The audit is silent on a run in order, and each check finds what it is there for."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from helpers import buy, day, run_script, sell
from ml4t.backtest import (
    BacktestConfig,
    BacktestResult,
    ExecutionMode,
    RebalanceConfig,
    TargetWeightExecutor,
)
from ml4t.backtest.costs import PercentCommission, PercentSlippage
from ml4t.backtest.ledger.audit import CHECKS, Books, audit_books

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


@pytest.fixture(scope="module")
def books() -> Books:
    result = result_of()
    return Books(
        config=result.config,
        equity=result.equity,
        orders=result.orders,
        fills=result.fills,
        positions=result.positions,
        holdings={
            row["asset"]: row["quantity"]
            for row in result.positions.filter(pl.col("timestamp") == day(3)).to_dicts()
        },
    )


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
    ("fills", "fills", 0, {"quantity": 0.0}, (0.0, "> 0"), ("A", 0, day(1))),
    ("fills", "fills", 0, {"price": float("nan")}, None, ("A", 0, day(1))),
    ("fills", "fills", 0, {"commission": -1.0}, (-1.0, ">= 0"), ("A", 0, day(1))),
    ("fills", "fills", 0, {"slippage": -1.0}, (-1.0, ">= 0"), ("A", 0, day(1))),
    ("fill_times", "fills", 0, {"timestamp": day(1) + timedelta(hours=1)}, None, ("A", 0, None)),
    ("fill_times", "fills", 0, {"timestamp": day(0)}, (day(0), day(0)), ("A", 0, day(0))),
    ("fill_times", "fills", 0, {"timestamp": day(2)}, (day(2), day(1)), ("A", 0, day(2))),
]


@pytest.mark.parametrize(("check", "table", "row", "values", "numbers", "where"), TAMPERED)
def test_what_a_check_finds(
    books: Books, check: str, table: str, row: int, values: Any, numbers: Any, where: Any
) -> None:
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
    assert names == {case[0] for case in TAMPERED} | {"holdings"}
