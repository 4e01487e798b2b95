"""What is left of a run that an exception or Ctrl-C has stopped."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from typing import Any

import numpy as np
import polars as pl
import pytest

from helpers import Script, Values, day, feed_of, run_script
from ml4t.backtest import (
    BacktestConfig,
    BacktestResult,
    Broker,
    DataFeed,
    Engine,
    Strategy,
    TargetWeightExecutor,
    engine,
)
from ml4t.backtest.costs import PercentCommission, PercentSlippage
from ml4t.backtest.errors import StateError
from ml4t.backtest.ledger.cut import ledger_until
from ml4t.backtest.ledger.ledger import Ledger
from ml4t.backtest.records import ORDER

FRAMES = ("equity", "orders", "fills", "trades", "positions", "rebalances")
N_BARS, N_ASSETS = 30, 4


def market(n_bars: int = N_BARS) -> DataFeed:
    """The first bars of a random market, thin in volume."""
    rng = np.random.default_rng(5)
    close = 50.0 * np.exp(np.cumsum(rng.normal(0.0, 0.03, (N_BARS, N_ASSETS)), axis=0))
    opens = close * (1.0 + rng.normal(0.0, 0.01, close.shape))
    volume = rng.uniform(500.0, 4_000.0, close.shape)

    def values(matrix: Any) -> Values:
        return {name: matrix[:n_bars, i].tolist() for i, name in enumerate("ABCD")}

    return feed_of(values(close), open=values(opens), volume=values(volume))


def config_of(mode: str) -> BacktestConfig:
    return BacktestConfig(
        initial_cash=50_000.0,
        execution_mode=mode,
        commission=PercentCommission(0.001),
        slippage=PercentSlippage(0.0005),
        max_participation=0.25,
    )


class Busy(Strategy):
    """Rebalances, orders and cancels at random, the same in every run; stops at bar `stop`."""

    def __init__(self, stop: int | None = None, error: BaseException | None = None) -> None:
        self.stop, self.error = stop, error

    def on_start(self, broker: Broker) -> None:
        self.bar = -1
        self.rng = np.random.default_rng(9)
        self.broker = broker
        broker.submit_order("B", 40)

    def on_data(self, timestamp: datetime, data: Any, context: Any, broker: Broker) -> None:
        self.bar += 1
        chance = self.rng.uniform(size=3)
        if self.bar % 7 == 5:
            TargetWeightExecutor().execute({}, data, broker)
        elif chance[0] < 0.5:
            weights = dict(zip("ABCD", self.rng.dirichlet(np.ones(N_ASSETS)).tolist(), strict=True))
            TargetWeightExecutor().execute(weights, data, broker)
        if chance[1] < 0.3 and broker.pending_orders:
            broker.cancel_order(broker.pending_orders[0].order_id)
        if chance[2] < 0.5:
            broker.submit_order("ABCD"[self.bar % N_ASSETS], 300)
        if self.bar == self.stop and self.error is not None:
            raise self.error


def check_books(result: BacktestResult) -> None:
    """What holds in every result, whole or cut."""
    equity = result.equity
    held = result.positions.group_by("timestamp").agg(pl.col("market_value").sum())
    table = equity.join(held, on="timestamp", how="left").fill_null(0.0)
    worth = (table["cash"] + table["market_value"]).to_numpy()
    np.testing.assert_allclose(table["equity"].to_numpy(), worth, rtol=1e-12)
    last = equity["timestamp"].max()
    for name, column in (
        ("fills", "timestamp"),
        ("positions", "timestamp"),
        ("rebalances", "timestamp"),
        ("orders", "created_at"),
        ("orders", "finished_at"),
        ("trades", "exit_time"),
    ):
        times = getattr(result, name)[column].drop_nulls()
        assert times.is_empty() or (last is not None and times.max() <= last)
    sums = result.fills.group_by("order_id").agg(pl.col("quantity").sum())
    orders = result.orders.join(sums, on="order_id", how="left", suffix="_sum").fill_null(0.0)
    filled = orders["filled_quantity"].to_numpy()
    np.testing.assert_allclose(filled, orders["quantity_sum"].to_numpy(), rtol=1e-12)
    assert result.metrics["fills"] == result.fills.height
    assert result.metrics["orders"] == result.orders.height
    final = equity["equity"][-1] if equity.height else result.config.initial_cash
    assert result.metrics["final_equity"] == final


def stopped(run: Engine, kind: type[BaseException]) -> tuple[BacktestResult, BaseException]:
    with pytest.raises(kind) as caught:
        run.run()
    return run.result, caught.value


@pytest.mark.parametrize("mode", ["next_bar", "same_bar"])
@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt])
def test_a_stopped_run_is_a_run_over_the_bars_before(mode: str, kind: type[BaseException]) -> None:
    config = config_of(mode)
    for stop in range(1, N_BARS, 3):
        error = kind("mine")
        cut, raised = stopped(Engine(market(), Busy(stop, error), config), kind)
        assert raised is error
        short = Engine(market(stop), Busy(), config).run()
        for name in FRAMES:
            assert getattr(cut, name).equals(getattr(short, name)), (stop, name)
        assert cut.metrics == pytest.approx(short.metrics, rel=0.0, abs=0.0, nan_ok=True)
        assert cut.summary() == short.summary()
        check_books(cut)
    assert cut.fills.height > 20
    assert cut.trades["exit_time"].null_count() < cut.trades.height


@pytest.mark.parametrize("mode", ["next_bar", "same_bar"])
def test_the_cut_account_is_the_account_of_that_close(mode: str) -> None:
    config = config_of(mode)
    whole = Busy()
    Engine(market(), whole, config).run()
    for stop in range(1, N_BARS):
        short = Busy()
        Engine(market(stop), short, config).run()
        cut, expected = ledger_until(whole.broker.ledger, stop), short.broker.ledger
        assert cut.cash == expected.cash
        assert cut.timestamps == expected.timestamps
        for name in ("holdings", "working", "account"):
            got, wanted = getattr(cut, name), getattr(expected, name)
            for field in wanted.dtype.names:
                np.testing.assert_allclose(got[field], wanted[field], rtol=1e-12, err_msg=field)


def test_a_stop_that_triggered_later_has_not_triggered() -> None:
    # Stops at 9: bar 2 touches them without volume; they go as market orders of 4 a bar.
    close = {"A": [10.0, 10.0, 8.0, 9.5, 9.5, 9.5]}
    fields = dict.fromkeys(("open", "high", "low"), close)
    volume = {"A": [100.0, 100.0, 0.0, 40.0, 40.0, 40.0]}

    def stops(data: Any, broker: Broker) -> None:
        broker.submit_order("A", -6, order_type="stop", stop_price=9.0)
        broker.submit_order("A", -1, order_type="stop", stop_price=5.0)

    config = BacktestConfig(max_participation=0.1)
    script = {0: lambda data, broker: broker.submit_order("A", 10), 1: stops}

    def account(n_bars: int) -> Ledger:
        cut = {"A": close["A"][:n_bars]}
        feed = feed_of(cut, volume=volume, **fields)
        broker = Broker(config, bars=feed.bars)
        strategy = Script(script)
        for bar, timestamp in enumerate(feed.bars.timestamps):
            broker.advance(bar)
            strategy.on_data(timestamp, broker.data, {}, broker)
            broker.end_bar(bar)
        broker.finish()
        return broker.ledger

    whole = account(6)
    seen = []
    for stop in range(1, 6):
        cut, expected = ledger_until(whole, stop), account(stop)
        for name in ORDER.names or ():
            np.testing.assert_array_equal(cut.all_orders()[name], expected.all_orders()[name], name)
        seen.append((cut.all_orders()["triggered_in"] >= 0)[1:].tolist())
    assert seen == [[], [False, False], [True, False], [True, False], [True, False]]
    # the position of the cut account, by the same rule as that of the whole
    assert ledger_until(whole, 4).holdings["quantity"].tolist() == [6.0]


def test_an_exception_in_the_first_bar() -> None:
    error = RuntimeError("mine")
    result, raised = stopped(Engine(market(), Busy(0, error), config_of("next_bar")), RuntimeError)
    assert raised is error
    assert raised.__notes__ == [
        "ml4t.backtest: in on_data, bar 0 (counted from 0) at 2024-01-01 00:00:00; "
        "engine.result has what happened before"
    ]
    assert result.equity.height == 0
    assert result.positions.height == result.fills.height == result.rebalances.height == 0
    # submitted in on_start
    assert result.orders["status"].to_list() == ["pending"]
    assert result.metrics["final_equity"] == 50_000.0
    assert result.metrics["total_return"] == result.metrics["max_drawdown"] == 0.0
    assert "0 bars" in result.summary()
    assert repr(result) == "BacktestResult(bars=0, final_equity=50,000.00, total_return=0.00%)"
    check_books(result)


def test_an_exception_in_the_middle() -> None:
    close = {"A": [10.0, 12.0, 11.0, 13.0]}

    def fail(data: Any, broker: Broker) -> None:
        broker.submit_order("A", 5)
        raise RuntimeError("mine")

    script = Script({0: lambda data, broker: broker.submit_order("A", 10), 2: fail})
    result, raised = stopped(Engine(feed_of(close), script), RuntimeError)
    assert "in on_data, bar 2 (counted from 0) at 2024-01-03 00:00:00" in raised.__notes__[0]
    # 10 A at 12; the order of the bar that failed is not in it
    assert result.equity["timestamp"].to_list() == [day(0), day(1)]
    assert result.equity["cash"].to_list() == [100_000.0, 99_880.0]
    assert result.positions.rows() == [(day(1), "A", 10.0, 120.0, 120.0 / 100_000.0)]
    assert result.orders["status"].to_list() == ["filled"]


def test_fills_of_the_bar_that_failed_are_undone() -> None:
    def fail(data: Any, broker: Broker) -> None:
        raise RuntimeError("mine")

    script = Script({0: lambda data, broker: broker.submit_order("A", 10), 1: fail})
    result, _ = stopped(Engine(feed_of({"A": [10.0, 12.0, 11.0]}), script), RuntimeError)
    assert result.fills.height == result.trades.height == 0
    assert result.orders["status"].to_list() == ["pending"]
    assert result.orders["filled_quantity"].to_list() == [0.0]
    assert result.orders["average_fill_price"].to_list() == [None]
    assert result.equity["cash"].to_list() == [100_000.0]


def test_an_exception_in_on_start_and_on_end() -> None:
    class Fails(Strategy):
        def __init__(self, name: str) -> None:
            setattr(self, name, self.fail)

        def fail(self, broker: Broker) -> None:
            broker.submit_order("A", 1)
            raise RuntimeError("mine")

    feed = feed_of({"A": [10.0, 12.0]})
    result, raised = stopped(Engine(feed, Fails("on_start")), RuntimeError)
    assert "in on_start, before the first bar" in raised.__notes__[0]
    assert result.equity.height == 0
    result, raised = stopped(Engine(feed, Fails("on_end")), RuntimeError)
    assert "in on_end, after the last bar 1 (counted from 0)" in raised.__notes__[0]
    assert result.equity.height == 2
    assert result.orders["status"].to_list() == ["pending"]
    check_books(result)


def test_ctrl_c_between_two_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    """A real signal, raised when a bar is over: the bar counts."""
    end_bar = Broker.end_bar
    script = Script({0: lambda data, broker: broker.submit_order("A", 10)})

    def interrupted(broker: Broker, bar: int) -> None:
        end_bar(broker, bar)
        if script.bar == 1:
            signal.raise_signal(signal.SIGINT)

    feed = feed_of({"A": [10.0, 12.0, 11.0]})
    plain = Engine(feed, Script(script.actions)).run()
    monkeypatch.setattr(Broker, "end_bar", interrupted)
    result, raised = stopped(Engine(feed, script), KeyboardInterrupt)
    assert "engine.result has what happened before" in raised.__notes__[0]
    assert 1 <= result.equity.height <= 2
    assert result.equity.equals(plain.equity.head(result.equity.height))
    check_books(result)


def test_ctrl_c_while_the_next_bar_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    tracked = engine.tracked

    @contextmanager
    def interrupted(*arguments: Any) -> Any:
        def two() -> Any:
            with tracked(*arguments) as rest:
                yield from islice(rest, 2)
            raise KeyboardInterrupt

        yield two()

    monkeypatch.setattr(engine, "tracked", interrupted)
    script = Script({0: lambda data, broker: broker.submit_order("A", 10)})
    feed = feed_of({"A": [10.0, 12.0, 11.0]})
    result, _ = stopped(Engine(feed, script), KeyboardInterrupt)
    assert result.equity["cash"].to_list() == [100_000.0, 99_880.0]
    check_books(result)


def test_the_result_of_an_engine() -> None:
    run = Engine(market(), Busy(), config_of("next_bar"))
    with pytest.raises(StateError, match=r"no result before a run has ended; call run\(\)"):
        _ = run.result
    assert run.run() is run.result
    check_books(run.result)


def test_a_run_that_fails_replaces_the_result_before() -> None:
    seen: list[str] = []

    class Looks(Strategy):
        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Broker) -> None:
            with pytest.raises(StateError, match="no result before a run has ended"):
                _ = run.result
            seen.append("refused")
            if len(seen) > 2:
                raise RuntimeError("mine")

    run = Engine(feed_of({"A": [10.0, 12.0]}), Looks())
    assert run.run().equity.height == 2
    assert stopped(run, RuntimeError)[0].equity.height == 0


def test_a_stopped_run_takes_no_orders() -> None:
    strategy = Busy(3, RuntimeError("mine"))
    stopped(Engine(market(), strategy), RuntimeError)
    with pytest.raises(StateError, match="the run is over"):
        strategy.broker.submit_order("A", 1)


def test_progress_is_shown_again_after_a_stopped_run(capsys: pytest.CaptureFixture[str]) -> None:
    strategy = Busy(3, RuntimeError("mine"))
    run = Engine(market(), strategy)
    with pytest.raises(RuntimeError) as kept:
        run.run(progress=True)
    strategy.stop = None
    assert run.run(progress=True).equity.height == N_BARS
    assert kept.value.__traceback__ is not None
    capsys.readouterr()


@pytest.fixture
def records(caplog: pytest.LogCaptureFixture) -> Callable[[], list[tuple[str, str]]]:
    caplog.set_level(logging.DEBUG, logger="ml4t.backtest")
    return lambda: [(record.levelname, record.getMessage()) for record in caplog.records]


def test_what_a_run_logs(records: Callable[[], list[tuple[str, str]]]) -> None:
    run_script({0: lambda data, broker: broker.submit_order("A", 1)}, {"A": [10.0, 11.0]})
    (first, debug, last) = records()
    assert first == ("INFO", "run started: 1 assets, 2 bars")
    assert debug[0] == "DEBUG"
    assert "initial_cash=100000.0" in debug[1]
    assert last[0] == "INFO"
    assert last[1].startswith("run ended: 2 of 2 bars, 1 orders, 1 fills, ")
    assert last[1].endswith(" seconds")


def test_what_a_stopped_run_logs(records: Callable[[], list[tuple[str, str]]]) -> None:
    stopped(Engine(market(), Busy(2, ValueError("mine"))), ValueError)
    (_, _, warning, last) = records()
    assert warning[0] == "WARNING"
    assert warning[1].startswith("run stopped by ValueError: in on_data, bar 2 ")
    assert last[1].startswith("run ended: 2 of 30 bars, ")


def test_the_library_is_silent_where_logging_is_not_set_up() -> None:
    handlers = logging.getLogger("ml4t.backtest").handlers
    assert any(isinstance(handler, logging.NullHandler) for handler in handlers)
