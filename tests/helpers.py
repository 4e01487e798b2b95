"""What the tests share: frames, scripted strategies, diaries, and brokers of another make."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from ml4t.backtest import BacktestConfig, BacktestResult, Broker, DataFeed, Engine, Strategy
from ml4t.backtest.feed.bars import Bars
from ml4t.backtest.frames import LedgerFrames
from ml4t.backtest.records import EQUITY

START = datetime(2024, 1, 1)
#: By asset, a value a day; None: no row that day.
Values = dict[str, Sequence[float | None]]
Action = Callable[[Any, Broker], object]


def day(number: int) -> datetime:
    """The time of bar `number` of the frames below."""
    return START + timedelta(days=number)


def long_frame(close: Values, **fields: Values) -> pl.DataFrame:
    """A long frame of daily bars; an asset has a row where it has a close."""
    rows = [
        {
            "timestamp": day(t),
            "asset": asset,
            "close": value,
            **{name: values[asset][t] for name, values in fields.items()},
        }
        for asset, closes in close.items()
        for t, value in enumerate(closes)
        if value is not None
    ]
    numbers = ["close", *fields]
    return pl.DataFrame(rows, infer_schema_length=None).with_columns(pl.col(numbers).cast(float))


def feed_of(close: Values, **fields: Values) -> DataFeed:
    return DataFeed(long_frame(close, **fields))


def real_panel() -> Path:
    """The panel of real prices; a test without it is skipped."""
    for folder in Path(__file__).resolve().parents:
        found = sorted((folder / "shared" / "data").glob("sp500_40_*.parquet"))
        if found:
            return found[0]
    pytest.skip("the panel of real prices is not here")


def bars_of(volume: float = 1e6, **closes: float) -> dict[str, dict[str, float]]:
    """Flat bars for `Broker.step`, and what an executor takes as `data`."""
    return {
        asset: {"open": price, "high": price, "low": price, "close": price, "volume": volume}
        for asset, price in closes.items()
    }


class Script(Strategy):
    """Does at bar t what `actions[t]` says: a function of data and broker."""

    def __init__(self, actions: dict[int, Action] | None = None) -> None:
        self.actions = actions or {}
        self.bar = -1

    def on_start(self, broker: Broker) -> None:
        self.bar = -1

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        self.bar += 1
        if self.bar in self.actions:
            self.actions[self.bar](data, broker)


def run_script(
    actions: dict[int, Action],
    close: Values,
    config: BacktestConfig | None = None,
    **fields: Values,
) -> BacktestResult:
    return Engine(feed_of(close, **fields), Script(actions), config).run()


def buy(asset: str, quantity: float) -> Action:
    return lambda data, broker: broker.submit_order(asset, quantity, "buy")


def sell(asset: str, quantity: float) -> Action:
    return lambda data, broker: broker.submit_order(asset, quantity, "sell")


def assert_promises(feed: DataFeed, checks: str = "raise") -> None:
    """Hold a feed to what it promises whatever it was made of."""
    bars = feed.bars
    assert (np.diff(bars.times) > 0).all()
    assert list(bars.assets) == sorted(set(bars.assets))
    for matrix in (bars.open, bars.high, bars.low, bars.close, bars.mark):
        assert matrix.flags.c_contiguous
        assert matrix.dtype == np.float64
        assert not np.isinf(matrix).any()
    if bars.volume is not None:
        assert (bars.volume >= 0.0).all()
        assert np.isfinite(bars.volume).all()
    if checks == "raise":
        assert not (bars.close <= 0.0).any()
        assert bars.vwap is None or not (bars.vwap <= 0.0).any()
    assert repr(feed)
    assert set(feed.ends_inferred) <= set(feed.assets)


def attempt(call: Callable[[], Any], *errors: type[Exception]) -> tuple[Any, str]:
    """What a call returns and an empty string, or None and the message of one of the errors."""
    try:
        return call(), ""
    except errors as error:
        return None, str(error) or "an error without a message"


def state_of(broker: Broker) -> tuple[object, ...]:
    """All that an account is, to be compared before and after."""
    ledger = broker.ledger
    return (
        broker.cash,
        dict(broker.positions),
        [repr(order) for order in broker.orders],
        [repr(order) for order in broker.pending_orders],
        broker.fills,
        len(ledger.plans),
        len(ledger.plan_rows),
        ledger.assets,
    )


class Diary:
    """What a broker that is stepped by hand says of itself at every close.

    Such a broker keeps no history of closes. A bar is over when the next one comes, or the test
    ends.
    """

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.closes: dict[datetime, tuple[float, float, dict[str, float]]] = {}

    def note(self) -> None:
        """Write down the account as it is; a later note in the same bar replaces this one."""
        broker = self.broker
        if broker.ledger.timestamps:
            marks = {n: p.market_price for n, p in broker.positions.items()}
            now = broker.ledger.timestamps[-1]
            self.closes[now] = (broker.get_account_value(), broker.cash, marks)

    def result(self) -> BacktestResult:
        """Return what an engine would have returned of these bars."""
        ledger = self.broker.ledger
        equity = np.zeros(len(self.closes), EQUITY)
        marks = np.full((len(self.closes), len(ledger.assets)), np.nan)
        times = []
        for k, (time, (value, cash, prices)) in enumerate(self.closes.items()):
            equity[k]["equity"], equity[k]["cash"] = value, cash
            for asset, price in prices.items():
                marks[k, ledger.index[asset]] = price
            moment = time if time.tzinfo else time.replace(tzinfo=UTC)
            times.append((moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1))
        ledger.equity = equity
        nanoseconds = np.array(times, np.int64) * 1000
        bars = Bars.from_fields(ledger.assets, nanoseconds, None, {"close": marks}, {})
        return BacktestResult(self.broker.config, LedgerFrames(bars, ledger))


@dataclass
class StubOrder:
    """A working order of `StubBroker`."""

    order_id: str
    asset: str
    side: str
    quantity: float
    status: str = "pending"

    @property
    def signed(self) -> float:
        return self.quantity if self.side == "buy" else -self.quantity


class StubBroker:
    """A `BrokerLike` that is not ours; `on_cancel` says by asset what becomes of a cancel.

    "done" (where nothing is said): the order is gone. "late": it stays as pending_cancel.
    "refused": it stays as it is. "filled": it has filled meanwhile.
    """

    def __init__(self, equity: float, **held: float | SimpleNamespace) -> None:
        self.equity = equity
        self.positions: dict[str, Any] = {}
        for asset, position in held.items():
            is_plain = not isinstance(position, SimpleNamespace)
            self.positions[asset] = (
                SimpleNamespace(quantity=position, entry_price=10.0) if is_plain else position
            )
        self.pending_orders: list[StubOrder] = []
        self.on_cancel: dict[str, str] = {}
        self.cancelled: list[str] = []
        self._n_orders = 0

    def get_account_value(self) -> float:
        return self.equity

    def get_position(self, asset: str) -> Any:
        return self.positions.get(asset)

    def submit_order(self, asset: str, quantity: float, side: str) -> StubOrder:
        order = StubOrder(f"S{self._n_orders}", asset, str(side), quantity)
        self._n_orders += 1
        self.pending_orders.append(order)
        return order

    def cancel_order(self, order_id: str) -> None:
        self.cancelled.append(order_id)
        order = next(order for order in self.pending_orders if order.order_id == order_id)
        outcome = self.on_cancel.get(order.asset, "done")
        if outcome == "late":
            order.status = "pending_cancel"
        elif outcome == "filled":
            self.positions[order.asset].quantity += order.signed
        if outcome in ("done", "filled"):
            self.pending_orders.remove(order)

    def close_position(self, asset: str) -> None:
        raise NotImplementedError


class OtherMake:
    """One of our accounts behind the members of `BrokerLike` alone."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.get_account_value = broker.get_account_value
        self.get_position = broker.get_position
        self.submit_order = broker.submit_order
        self.cancel_order = broker.cancel_order
        self.close_position = broker.close_position

    @property
    def positions(self) -> Any:
        return self._broker.positions

    @property
    def pending_orders(self) -> Any:
        return self._broker.pending_orders
