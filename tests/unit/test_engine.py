"""The bar loop with a strategy."""

from __future__ import annotations

import math
import sys
from datetime import datetime
from typing import Any

import polars as pl
import pytest

from helpers import Script, buy, day, feed_of, long_frame, run_script, sell
from ml4t.backtest import BacktestConfig, Broker, Engine, Strategy, run_backtest
from ml4t.backtest.feed.view import BarData

CLOSE = {"A": [10.0, 12.0, 11.0], "B": [None, 20.0, 21.0]}


class Diary:
    """An object with an `on_data`, and no base class."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def on_data(self, timestamp: datetime, data: BarData, context: Any, broker: Broker) -> None:
        self.seen.append((timestamp, list(data), dict(context), broker.get_account_value()))


def test_a_strategy_is_any_object_with_on_data() -> None:
    diary = Diary()
    result = Engine(feed_of(CLOSE), diary).run()  # type: ignore[arg-type]
    assert diary.seen == [
        (day(0), ["A"], {}, 100_000.0),
        (day(1), ["A", "B"], {}, 100_000.0),
        (day(2), ["A", "B"], {}, 100_000.0),
    ]
    assert result.equity.height == 3


@pytest.mark.parametrize("strategy", [Strategy, Diary, object(), None, lambda *args: None])
def test_what_is_no_strategy(strategy: Any) -> None:
    with pytest.raises(ValueError, match=r"is not an object with an on_data method.*instance"):
        Engine(feed_of(CLOSE), strategy)


def test_a_feed_is_a_feed() -> None:
    with pytest.raises(ValueError, match=r"a DataFrame is not a DataFeed.*run_backtest"):
        Engine(long_frame(CLOSE), Strategy())  # type: ignore[arg-type]


def test_start_and_end_are_called_once() -> None:
    calls: list[tuple[str, float]] = []

    class Both(Strategy):
        def on_start(self, broker: Broker) -> None:
            calls.append(("start", broker.cash))
            broker.submit_order("A", 100)  # fills in the first bar

        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Broker) -> None:
            calls.append(("data", broker.cash))

        def on_end(self, broker: Broker) -> None:
            calls.append(("end", broker.get_account_value()))
            broker.submit_order("A", 1)  # is not matched any more

    result = Engine(feed_of(CLOSE), Both(), BacktestConfig(initial_cash=1_000.0)).run()
    # 100 A at 10, and 11 at the end
    assert calls == [
        ("start", 1_000.0),
        ("data", 0.0),
        ("data", 0.0),
        ("data", 0.0),
        ("end", 1_100.0),
    ]
    assert result.orders["status"].to_list() == ["filled", "pending"]
    assert result.equity["equity"].to_list() == [1_000.0, 1_200.0, 1_100.0]
    assert result.fills["timestamp"].to_list() == [day(0)]


@pytest.mark.filterwarnings("error")
def test_one_bar_and_no_trade() -> None:
    result = Engine(feed_of({"A": [10.0]}), Strategy()).run()
    assert result.equity["equity"].to_list() == [100_000.0]
    for name in ("orders", "fills", "trades", "positions", "rebalances"):
        assert getattr(result, name).height == 0
    metrics = result.metrics
    for name in ("annual_return", "volatility", "sharpe_ratio", "annual_turnover"):
        assert math.isnan(metrics[name])
    for name in ("total_return", "max_drawdown", "turnover", "commission", "orders", "fills"):
        assert metrics[name] == 0.0
    assert "1 bar\n" in result.summary()
    assert repr(result) == "BacktestResult(bars=1, final_equity=100,000.00, total_return=0.00%)"


@pytest.mark.filterwarnings("error")
def test_a_strategy_that_never_trades() -> None:
    result = run_script({}, {"A": [10.0, 11.0, 12.0, 13.0]})
    assert result.equity["equity"].to_list() == [100_000.0] * 4
    assert result.equity["net_exposure"].to_list() == [0.0] * 4
    metrics = result.metrics
    assert (metrics["volatility"], metrics["annual_return"], metrics["max_drawdown"]) == (0, 0, 0)
    assert math.isnan(metrics["sharpe_ratio"])
    assert "n/a" in result.summary()


def test_next_bar_and_same_bar() -> None:
    opens = {"A": [9.0, 11.5, 10.5], "B": [None, 19.0, 20.0]}
    actions = {0: buy("A", 10), 1: sell("A", 10)}
    at_open = run_script(actions, CLOSE, open=opens)
    assert at_open.fills["price"].to_list() == [11.5, 10.5]
    assert at_open.fills["timestamp"].to_list() == [day(1), day(2)]
    config = BacktestConfig(execution_mode="same_bar")
    at_close = run_script(actions, CLOSE, config, open=opens)
    assert at_close.fills["price"].to_list() == [10.0, 12.0]
    assert at_close.fills["timestamp"].to_list() == [day(0), day(1)]
    # the second fills are those of the day on which the account is written: 10 * (12 - 10)
    assert at_close.equity["cash"].to_list() == [99_900.0, 100_020.0, 100_020.0]
    assert at_open.equity["cash"].to_list() == [100_000.0, 99_885.0, 99_990.0]


def test_quiet_bars_are_written_with_what_was_held_then() -> None:
    """Bars without orders are written later, all at once: with the account of their time."""
    closes = [10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0]
    result = run_script({1: buy("A", 10), 4: sell("A", 10)}, {"A": closes})
    # bought at 12 in bar 2, sold at 15 in bar 5
    assert result.equity["cash"].to_list() == [1e5] * 2 + [99_880.0] * 3 + [100_030.0] * 2
    equity = [1e5, 1e5, 1e5, 100_010.0, 100_020.0, 100_030.0, 100_030.0]
    assert result.equity["equity"].to_list() == equity


def test_running_twice_gives_the_same() -> None:
    engine = Engine(feed_of(CLOSE), Script({0: buy("A", 10), 1: buy("B", 3)}))
    first, second = engine.run(), engine.run()
    for name in ("equity", "orders", "fills", "trades", "positions", "rebalances"):
        assert getattr(first, name).equals(getattr(second, name))
    assert first.fills.height == 2


def test_progress_is_shown_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    engine = Engine(feed_of(CLOSE), Script({0: buy("A", 10)}))
    shown, plain = engine.run(progress=True), engine.run()
    assert shown.equity.equals(plain.equity)
    captured = capsys.readouterr()
    assert "backtest" in captured.err
    assert captured.out == ""


def test_progress_without_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    with pytest.raises(ImportError, match=r"pip install .ml4t-backtest\[cli\]"):
        Engine(feed_of(CLOSE), Strategy()).run(progress=True)


def test_run_backtest() -> None:
    signals = pl.DataFrame({"timestamp": [day(1)], "asset": ["A"], "score": [0.7]})
    seen: list[Any] = []
    script = Script({1: lambda data, broker: seen.append(data["A"]["signals"])})
    config = BacktestConfig(initial_cash=500.0)
    result = run_backtest(long_frame(CLOSE), script, signals, config)
    assert seen == [{"score": 0.7}]
    assert result.config is config
    assert run_backtest(feed_of(CLOSE), Script()).equity.height == 3
    with pytest.raises(ValueError, match="pass the signals to DataFeed"):
        run_backtest(feed_of(CLOSE), script, signals)


def test_an_error_in_a_strategy_comes_through() -> None:
    def fail(data: Any, broker: Any) -> None:
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        run_script({1: fail}, CLOSE)


def test_an_aware_feed_gives_aware_times() -> None:
    frame = long_frame(CLOSE).with_columns(
        pl.col("timestamp").dt.replace_time_zone("America/New_York")
    )
    seen: list[Any] = []

    def look(data: Any, broker: Any) -> None:
        seen.append((data.timestamp, broker.submit_order("A", 1).created_at))

    result = run_backtest(frame, Script({0: look}))
    assert seen[0][0] == seen[0][1] == frame["timestamp"][0]
    assert seen[0][0].utcoffset().total_seconds() == -5 * 3600
    zoned = pl.Datetime("ns", "America/New_York")
    assert result.equity.schema["timestamp"] == zoned
    assert result.fills.schema["timestamp"] == zoned
    assert result.equity["timestamp"].to_list() == frame["timestamp"].unique().sort().to_list()
