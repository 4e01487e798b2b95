"""The frames and figures of a run."""

from __future__ import annotations

import math
from typing import Any

import polars as pl
import pytest

from helpers import buy, day, run_script, sell
from ml4t.backtest import BacktestConfig, BacktestResult, RebalanceConfig, TargetWeightExecutor
from ml4t.backtest.costs import FixedSlippage, PercentCommission, PercentSlippage

TIME, TEXT, NUMBER = pl.Datetime("ns"), pl.String(), pl.Float64()
SCHEMAS: dict[str, dict[str, Any]] = {
    "equity": {
        "timestamp": TIME,
        "equity": NUMBER,
        "cash": NUMBER,
        "gross_exposure": NUMBER,
        "net_exposure": NUMBER,
    },
    "orders": {
        "order_id": pl.Int64(),
        "plan_idx": pl.Int32(),
        "asset": TEXT,
        "side": TEXT,
        "quantity": NUMBER,
        "filled_quantity": NUMBER,
        "order_type": TEXT,
        "limit_price": NUMBER,
        "stop_price": NUMBER,
        "status": TEXT,
        "reason": TEXT,
        "created_at": TIME,
        "finished_at": TIME,
        "average_fill_price": NUMBER,
    },
    "fills": {
        "timestamp": TIME,
        "order_id": pl.Int64(),
        "plan_idx": pl.Int32(),
        "asset": TEXT,
        "side": TEXT,
        "quantity": NUMBER,
        "price": NUMBER,
        "commission": NUMBER,
        "slippage": NUMBER,
    },
    "trades": {
        "asset": TEXT,
        "quantity": NUMBER,
        "entry_time": TIME,
        "exit_time": TIME,
        "entry_price": NUMBER,
        "exit_price": NUMBER,
        "pnl": NUMBER,
        "commission": NUMBER,
        "slippage": NUMBER,
        "n_fills": pl.Int32(),
    },
    "positions": {
        "timestamp": TIME,
        "asset": TEXT,
        "quantity": NUMBER,
        "market_value": NUMBER,
        "weight": NUMBER,
    },
    "rebalances": {
        "timestamp": TIME,
        "plan_idx": pl.Int32(),
        "asset": TEXT,
        "requested_weight": NUMBER,
        "target_weight": NUMBER,
        "current_weight": NUMBER,
        "effective_weight": NUMBER,
        "planned_weight": NUMBER,
        "price": NUMBER,
        "target_quantity": NUMBER,
        "quantity": NUMBER,
        "value": NUMBER,
        "estimated_cost": NUMBER,
        "reason": TEXT,
        "adjustments": TEXT,
    },
}
CONFIG = BacktestConfig(initial_cash=1_000.0)
CLOSE = {"A": [10.0, 12.0, 11.0, 14.0], "B": [20.0, 20.0, 25.0, 20.0]}


@pytest.fixture(scope="module")
def traded() -> BacktestResult:
    """Buy 10 A; a bar later sell 4 of them and buy 2 B; a sale of B that is not held."""
    actions = {
        0: buy("A", 10),
        1: lambda data, broker: [
            broker.submit_order("A", 4, "sell"),
            broker.submit_order("B", 2, "buy"),
        ],
        3: sell("B", 1),
    }
    return run_script(actions, CLOSE, CONFIG)


@pytest.fixture(scope="module")
def rebalanced() -> BacktestResult:
    """Half A, half B at bar 0; A alone at bar 1, at costs of 1 % and 2 %."""
    executor = TargetWeightExecutor(RebalanceConfig(min_trade_value=0))
    targets: list[dict[str, float]] = [{"A": 0.5, "B": 0.4}, {"A": 1.5, "B": -0.5}]
    config = BacktestConfig(
        initial_cash=1_000.0, commission=PercentCommission(0.01), slippage=PercentSlippage(0.02)
    )
    return run_script(
        {
            t: lambda data, broker, wanted=wanted: executor.execute(wanted, data, broker)
            for t, wanted in enumerate(targets)
        },
        CLOSE,
        config,
    )


@pytest.mark.parametrize("name", SCHEMAS)
def test_schemas(name: str, traded: BacktestResult, rebalanced: BacktestResult) -> None:
    empty = run_script({}, {"A": [10.0]})
    for result in (traded, rebalanced, empty):
        frame = getattr(result, name)
        assert list(frame.schema.items()) == list(SCHEMAS[name].items())
        assert getattr(result, name) is frame  # made once
    assert getattr(empty, name).height == (name == "equity")


def test_equity(traded: BacktestResult) -> None:
    # bar 1: 1 000 - 120 = 880, worth 120 more; bar 2: + 4 * 11 - 2 * 25 = 874, + 66 + 50
    # bar 3: 874 + 6 * 14 + 2 * 20
    equity = traded.equity
    assert equity["timestamp"].to_list() == [day(t) for t in range(4)]
    assert equity["cash"].to_list() == [1_000.0, 880.0, 874.0, 874.0]
    assert equity["equity"].to_list() == [1_000.0, 1_000.0, 990.0, 998.0]
    exposure = [0.0, 0.12, 116 / 990, 124 / 998]
    assert equity["net_exposure"].to_list() == pytest.approx(exposure)
    assert equity["gross_exposure"].to_list() == pytest.approx(exposure)


def test_positions(traded: BacktestResult) -> None:
    assert traded.positions.rows() == [
        (day(1), "A", 10.0, 120.0, 0.12),
        (day(2), "A", 6.0, 66.0, 66 / 990),
        (day(2), "B", 2.0, 50.0, 50 / 990),
        (day(3), "A", 6.0, 84.0, 84 / 998),
        (day(3), "B", 2.0, 40.0, 40 / 998),
    ]


def test_orders(traded: BacktestResult) -> None:
    orders = traded.orders
    assert orders["order_id"].to_list() == [0, 1, 2, 3]
    assert orders["plan_idx"].to_list() == [-1] * 4
    assert orders["asset"].to_list() == ["A", "A", "B", "B"]
    assert orders["side"].to_list() == ["buy", "sell", "buy", "sell"]
    assert orders["quantity"].to_list() == [10.0, 4.0, 2.0, 1.0]
    assert orders["filled_quantity"].to_list() == [10.0, 4.0, 2.0, 0.0]
    assert orders["order_type"].to_list() == ["market"] * 4
    assert orders["limit_price"].null_count() == orders["stop_price"].null_count() == 4
    assert orders["status"].to_list() == ["filled"] * 3 + ["pending"]
    assert orders["reason"].to_list() == [None] * 4
    assert orders["created_at"].to_list() == [day(0), day(1), day(1), day(3)]
    assert orders["finished_at"].to_list() == [day(1), day(2), day(2), None]
    assert orders["average_fill_price"].to_list() == [12.0, 11.0, 25.0, None]


def test_fills(traded: BacktestResult) -> None:
    assert traded.fills.rows() == [
        (day(1), 0, -1, "A", "buy", 10.0, 12.0, 0.0, 0.0),
        (day(2), 1, -1, "A", "sell", 4.0, 11.0, 0.0, 0.0),
        (day(2), 2, -1, "B", "buy", 2.0, 25.0, 0.0, 0.0),
    ]


def test_trades(traded: BacktestResult) -> None:
    # A is open: 4 of 10 were sold, 4 * (11 - 12); of B nothing
    assert traded.trades.rows() == [
        ("A", 10.0, day(1), None, 12.0, 11.0, -4.0, 0.0, 0.0, 2),
        ("B", 2.0, day(2), None, 25.0, None, 0.0, 0.0, 0.0, 1),
    ]


def test_a_closed_trade() -> None:
    result = run_script({0: buy("A", 10), 1: sell("A", 10)}, CLOSE, CONFIG)
    # 10 * (11 - 12)
    assert result.trades.rows() == [("A", 10.0, day(1), day(2), 12.0, 11.0, -10.0, 0.0, 0.0, 2)]
    assert result.positions["timestamp"].to_list() == [day(1)]


def test_an_order_that_cash_cut() -> None:
    result = run_script({0: buy("A", 100), 1: sell("B", 1)}, CLOSE, CONFIG)
    # 1 000 / 12 = 83
    cut, refused = result.orders.iter_rows(named=True)
    assert (cut["status"], cut["reason"], cut["filled_quantity"]) == (
        "cancelled",
        "insufficient_cash",
        83.0,
    )
    assert (refused["status"], refused["reason"]) == ("rejected", "short_not_allowed")
    assert refused["average_fill_price"] is None
    assert refused["finished_at"] == day(2)


def test_rebalances(rebalanced: BacktestResult) -> None:
    frame = rebalanced.rebalances
    assert frame["timestamp"].to_list() == [day(0)] * 2 + [day(1)] * 2
    assert frame["plan_idx"].to_list() == [0, 0, 1, 1]
    assert frame["asset"].to_list() == ["A", "B"] * 2
    # bar 0: 0.5 * 1 000 / 10 = 50, 0.4 * 1 000 / 20 = 20
    assert frame["quantity"].to_list()[:2] == [50.0, 20.0]
    # estimated: 50 * 0.2 + 50 * 10.2 * 0.01 = 15.1; 20 * 0.4 + 20 * 20.4 * 0.01 = 12.08
    assert frame["estimated_cost"].to_list()[:2] == pytest.approx([15.1, 12.08])
    # B's weight of -0.5 is 0 then, A's 1.5 is capped at 1
    assert frame["requested_weight"].to_list() == [0.5, 0.4, 1.5, -0.5]
    assert frame["target_weight"].to_list() == [0.5, 0.4, 1.0, 0.0]
    assert frame["adjustments"].to_list() == ["", "", "capped", "short_not_allowed"]
    assert frame["reason"].to_list() == ["ordered"] * 4


def test_costs_and_counts(rebalanced: BacktestResult) -> None:
    # bar 1, at 12 and 20, with 2 %: A 12.24, B 20.40. 50 and 20 cost (612 + 408) * 1.01 = 1 030.2;
    # f = 1 000 / 1 030.2 = 0.97069: A 48.53 -> 48 for 587.52, B 19.41 -> 19 for 387.60
    first = rebalanced.fills.filter(pl.col("timestamp") == day(1))
    assert first["quantity"].to_list() == [48.0, 19.0]
    assert first["price"].to_list() == pytest.approx([12.24, 20.4])
    assert first["commission"].to_list() == pytest.approx([5.8752, 3.876])
    assert first["slippage"].to_list() == pytest.approx([48 * 0.24, 19 * 0.4])
    # 1 000 - 975.12 * 1.01
    assert rebalanced.equity["cash"][1] == pytest.approx(15.1288)
    assert rebalanced.fills["plan_idx"].to_list() == [0, 0, 1, 1]
    metrics = rebalanced.metrics
    assert metrics["rebalances_requested"] == metrics["rebalances_executed"] == 2.0
    assert (metrics["orders"], metrics["fills"]) == (4.0, 4.0)
    assert metrics["commission"] == pytest.approx(rebalanced.fills["commission"].sum())
    assert metrics["slippage"] == pytest.approx(rebalanced.fills["slippage"].sum())


def test_metrics(traded: BacktestResult) -> None:
    metrics = traded.metrics
    assert (metrics["initial_cash"], metrics["final_equity"]) == (1_000.0, 998.0)
    assert metrics["total_return"] == pytest.approx(-0.002)
    assert metrics["annual_return"] == pytest.approx(0.998 ** (365.25 / 3) - 1)
    # 990 under 1 000
    assert metrics["max_drawdown"] == pytest.approx(-0.01)
    # returns 0, -0.01, 8 / 990
    mean = (8 / 990 - 0.01) / 3
    squares = mean**2 + (-0.01 - mean) ** 2 + (8 / 990 - mean) ** 2
    deviation = math.sqrt(squares / 2)
    assert metrics["volatility"] == pytest.approx(deviation * math.sqrt(365.25))
    assert metrics["sharpe_ratio"] == pytest.approx(mean / deviation * math.sqrt(365.25))
    # half of 120 over 1 000, and of 44 + 50 over 990
    turnover = 60 / 1_000 + 47 / 990
    assert metrics["turnover"] == pytest.approx(turnover)
    assert metrics["annual_turnover"] == pytest.approx(turnover * 365.25 / 3)
    assert (metrics["orders"], metrics["fills"]) == (4.0, 3.0)
    assert metrics["rebalances_requested"] == metrics["rebalances_executed"] == 0.0
    assert {type(value) for value in metrics.values()} == {float}


def test_a_rebalance_that_sends_nothing_is_requested_but_not_executed() -> None:
    executor = TargetWeightExecutor()
    actions = {t: lambda data, broker: executor.execute({"A": 0.5}, data, broker) for t in range(3)}
    result = run_script(actions, {"A": [10.0] * 4}, CONFIG)
    assert result.metrics["rebalances_requested"] == 3.0
    assert result.metrics["rebalances_executed"] == 1.0


def test_closing_a_position_is_no_rebalance() -> None:
    actions = {0: buy("A", 10), 2: lambda data, broker: broker.close_position("A")}
    result = run_script(actions, CLOSE, CONFIG)
    assert result.metrics["rebalances_requested"] == 0.0
    assert result.rebalances.height == 0


def test_summary_is_a_table(traded: BacktestResult) -> None:
    lines = traded.summary().splitlines()
    assert lines[0] == "Period             2024-01-01 to 2024-01-04, 4 bars"
    assert lines[1:4] == [
        "Initial cash       1,000.00",
        "Final equity       998.00",
        "Total return       -0.20%",
    ]
    assert {line[17:19] for line in lines} == {"  "}  # one column of names, one of figures
    assert "Orders, fills      4, 3" in lines
    assert "Rebalances         0 requested, 0 executed" in lines


def test_to_pandas(traded: BacktestResult) -> None:
    for name, schema in SCHEMAS.items():
        frame = traded.to_pandas(name)
        assert list(frame.columns) == list(schema)
        assert len(frame) == getattr(traded, name).height
    assert traded.to_pandas("equity")["equity"].tolist() == [1_000.0, 1_000.0, 990.0, 998.0]
    with pytest.raises(ValueError, match="no frame 'metrics'; there are 'equity', 'orders'"):
        traded.to_pandas("metrics")


NAN = math.nan
ALL_IN = BacktestConfig(initial_cash=1_000.0, delisting="write_off")
# By name: the run, the figures that are not 0, and lines of the summary.
ODD: dict[str, tuple[Any, dict[str, float], list[str]]] = {
    "one bar": (
        lambda: run_script({}, {"A": [10.0]}),
        {
            "initial_cash": 100_000.0,
            "final_equity": 100_000.0,
            "annual_return": NAN,
            "volatility": NAN,
            "sharpe_ratio": NAN,
            "annual_turnover": NAN,
        },
        ["Period             2024-01-01 to 2024-01-01, 1 bar", "Annual return      n/a"],
    ),
    # 5 bought at 11 at the close of 10: 5 are lost, of 100,000; half of 55 was traded.
    "one bar that trades": (
        lambda: run_script(
            {0: buy("A", 5)},
            {"A": [10.0]},
            BacktestConfig(execution_mode="same_bar", slippage=PercentSlippage(0.1)),
        ),
        {
            "initial_cash": 100_000.0,
            "final_equity": 99_995.0,
            "total_return": -0.00005,
            "annual_return": NAN,
            "volatility": NAN,
            "sharpe_ratio": NAN,
            "max_drawdown": -0.00005,
            "turnover": 27.5 / 99_995.0,
            "annual_turnover": NAN,
            "slippage": 5.0,
            "orders": 1.0,
            "fills": 1.0,
        },
        ["Total return       0.00%", "Max drawdown       0.00%", "Turnover a year    n/a"],
    ),
    "two bars": (
        lambda: run_script({}, {"A": [10.0, 11.0]}),
        {
            "initial_cash": 100_000.0,
            "final_equity": 100_000.0,
            "volatility": NAN,
            "sharpe_ratio": NAN,
        },
        ["Volatility a year  n/a", "Annual return      0.00% (of 1 day)"],
    ),
    "all cash": (
        lambda: run_script({}, {"A": [10.0, 11.0, 12.0, 9.0]}),
        {"initial_cash": 100_000.0, "final_equity": 100_000.0, "sharpe_ratio": NAN},
        ["Volatility a year  0.00%", "Sharpe ratio       n/a", "Orders, fills      0, 0"],
    ),
    "orders that never fill": (
        lambda: run_script({0: sell("A", 1)}, {"A": [10.0, 11.0, 12.0]}),
        {"initial_cash": 100_000.0, "final_equity": 100_000.0, "sharpe_ratio": NAN, "orders": 1.0},
        ["Orders, fills      1, 0"],
    ),
    # 100 D bought for all there is, on day 1; written off on day 2. Half of 1000 was traded in
    # three days; the return of the last day is not defined.
    "zero equity": (
        lambda: run_script(
            {0: buy("D", 100)}, {"A": [10.0] * 4, "D": [10.0, 10.0, None, None]}, ALL_IN
        ),
        {
            "initial_cash": 1_000.0,
            "total_return": -1.0,
            "annual_return": -1.0,
            "volatility": NAN,
            "sharpe_ratio": NAN,
            "max_drawdown": -1.0,
            "turnover": 0.5,
            "annual_turnover": 0.5 * 365.25 / 3.0,
            "orders": 2.0,
            "fills": 2.0,
            "ends_inferred": 1.0,
        },
        ["Final equity       0.00", "Total return       -100.00%", "Volatility a year  n/a"],
    ),
    # The sale of day 2 brings nothing: the slippage is the whole price. It trades no value.
    "zero equity by a sale": (
        lambda: run_script(
            {0: buy("A", 10), 1: sell("A", 10)},
            {"A": [10.0, 10.0, 5.0]},
            BacktestConfig(initial_cash=200.0, slippage=FixedSlippage(10.0)),
        ),
        {
            "initial_cash": 200.0,
            "total_return": -1.0,
            "annual_return": -1.0,
            # 200, 100, 0: returns of -1/2 and -1, 1/4 from their mean: root of 2/16 and of 365.25
            "volatility": math.sqrt(365.25 / 8.0),
            "sharpe_ratio": -0.75 / math.sqrt(1.0 / 8.0) * math.sqrt(365.25),
            "max_drawdown": -1.0,
            "turnover": 1.0,  # half of 200, over an equity of 100
            "annual_turnover": 365.25 / 2.0,
            "slippage": 150.0,  # 10 * 10 and 10 * 5
            "orders": 2.0,
            "fills": 2.0,
        },
        ["Final equity       0.00"],
    ),
}


@pytest.mark.parametrize("kind", ODD)
def test_the_figures_of_odd_runs(kind: str) -> None:
    make, expected, lines = ODD[kind]
    result = make()
    found = result.metrics
    assert found == pytest.approx(dict.fromkeys(found, 0.0) | expected, nan_ok=True)
    summary = result.summary()
    assert set(lines) <= set(summary.splitlines())
    assert "nan" not in summary + repr(result)
    assert "-0.00" not in summary + repr(result)
