"""What becomes of an asset whose bars end before the feed does."""

from __future__ import annotations

import polars as pl
import pytest

from helpers import bars_of, buy, day, feed_of, run_script, sell
from ml4t.backtest import BacktestConfig, Broker, Engine, Strategy
from ml4t.backtest.costs import FixedCommission, PercentSlippage

# D has its last bar on day 2; the feed goes on to day 4.
PRICES = {"A": [10.0] * 5, "D": [20.0, 21.0, 22.0, None, None]}


def config(policy: str) -> BacktestConfig:
    return BacktestConfig(
        initial_cash=1_000.0,
        delisting=policy,
        commission=FixedCommission(1.0),
        slippage=PercentSlippage(0.1),
    )


@pytest.mark.parametrize(
    ("policy", "cash", "equity"),
    [
        # Bought 10 at 21 * 1.1 = 23.1 for 231 and a fee of 1: 768 is left.
        ("hold", 768.0, 768.0 + 220.0),
        ("liquidate", 768.0 + 220.0, 768.0 + 220.0),  # 10 * 22, free of costs
        ("write_off", 768.0, 768.0),
    ],
)
def test_what_is_held(policy: str, cash: float, equity: float) -> None:
    result = run_script({0: buy("D", 10)}, PRICES, config(policy))
    assert result.equity["cash"][2] == pytest.approx(768.0)
    assert result.equity["cash"][3:].to_list() == pytest.approx([cash, cash])
    assert result.equity["equity"][3:].to_list() == pytest.approx([equity, equity])
    assert result.ends.rows(named=True) == [
        {
            "timestamp": day(3),
            "asset": "D",
            "last_bar": day(2),
            "quantity": 10.0,
            "market_value": 220.0,
        }
    ]
    assert result.metrics["ends_inferred"] == 1.0
    assert "1, 1 of them held, worth 220.00" in result.summary()
    settled = result.orders.filter(pl.col("reason") == "delisted")
    assert settled.height == (0 if policy == "hold" else 1)
    if settled.height:
        assert settled.select("side", "quantity", "status", "created_at", "finished_at").row(0) == (
            "sell", 10.0, "filled", day(3), day(3),
        )  # fmt: skip
        price = 22.0 if policy == "liquidate" else 0.0
        assert result.fills.row(-1, named=True)["price"] == price
        assert result.fills["commission"][-1] == result.fills["slippage"][-1] == 0.0


def test_its_orders_are_cancelled_before_it_is_settled() -> None:
    # Bought at day 1, a sale at day 2 would fill at day 3, when the asset is gone.
    script = {0: buy("D", 10), 2: sell("D", 4), 3: buy("D", 1)}
    result = run_script(script, PRICES, config("liquidate"))
    ended = result.orders.select("quantity", "status", "reason", "finished_at").rows()
    assert ended == [
        (10.0, "filled", None, day(1)),
        (4.0, "cancelled", "delisted", day(3)),
        (10.0, "filled", "delisted", day(3)),
        (1.0, "cancelled", "delisted", day(4)),
    ]


def test_its_money_pays_for_the_purchases_of_that_bar() -> None:
    prices = {"A": [10.0] * 5, "D": [10.0, 10.0, 10.0, None, None]}
    account = BacktestConfig(initial_cash=1_000.0, delisting="liquidate")
    result = run_script({0: buy("D", 100), 2: buy("A", 100)}, prices, account)
    assert result.orders["status"].to_list() == ["filled", "filled", "filled"]
    assert result.positions.filter(pl.col("timestamp") == day(4)).select(
        "asset", "quantity"
    ).rows() == [("A", 100.0)]


def test_gaps_late_starts_and_assets_without_bars_are_no_ends() -> None:
    prices = {
        "A": [10.0] * 4,
        "GAP": [10.0, None, None, 10.0],
        "LATE": [None, None, None, 10.0],
    }
    result = run_script({0: buy("GAP", 1)}, prices, BacktestConfig(delisting="write_off"))
    assert result.ends.height == 0
    assert result.metrics["ends_inferred"] == 0.0
    assert "ended" not in result.summary()
    assert result.orders["finished_at"].to_list() == [day(3)]


@pytest.mark.parametrize(("n_bars_of_it", "n_ends"), [(2, 1), (3, 0)])
def test_a_stopped_run_knows_only_the_ends_it_has_met(n_bars_of_it: int, n_ends: int) -> None:
    class Stops(Strategy):
        def on_data(self, timestamp: object, data: object, context: object, broker: Broker) -> None:
            if timestamp == day(3):
                raise RuntimeError("enough")

    prices = {"A": [10.0] * 6, "D": [10.0] * n_bars_of_it + [None] * (6 - n_bars_of_it)}
    engine = Engine(feed_of(prices), Stops())
    with pytest.raises(RuntimeError):
        engine.run()
    assert engine.result.ends.height == n_ends


def test_a_broker_alone_knows_of_no_ends() -> None:
    broker = Broker(BacktestConfig(delisting="write_off"))
    broker.step(day(0), bars_of(A=10.0, D=10.0))
    broker.submit_order("D", 1)
    broker.step(day(1), bars_of(A=10.0, D=10.0))
    broker.step(day(2), bars_of(A=10.0))
    assert broker.get_position("D") is not None
    assert broker.submit_order("D", 1).status == "pending"
    broker.step(day(3), bars_of(A=10.0))
    assert len(broker.pending_orders) == 1
