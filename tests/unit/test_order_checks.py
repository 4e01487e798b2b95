"""Orders that are refused: with a message that names the trouble, and nothing has changed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from helpers import bars_of, day, state_of
from ml4t.backtest import Broker, OrderSide, OrderType
from ml4t.backtest.errors import OrderError

NAN, INF = float("nan"), float("inf")
MARKET = {"quantity": 5}
LIMIT = {"quantity": 5, "order_type": "limit"}
STOP = {"quantity": 5, "order_type": "stop"}
CLOSING = {"quantity": 5, "order_type": "market_on_close"}

BAD_QUANTITIES: list[tuple[Any, str]] = [
    (0, "finite and not 0"),
    (0.0, "finite and not 0"),
    (-0.0, "finite and not 0"),
    (1e-10, "finite and not 0"),
    (-1e-10, "finite and not 0"),
    (NAN, "finite and not 0"),
    (np.float64("nan"), "finite and not 0"),
    (INF, "finite and not 0"),
    (-INF, "finite and not 0"),
    (10**400, "finite and not 0"),
    (True, "not a number"),
    (np.bool_(True), "not a number"),
    ("5", "not a number"),
    (None, "not a number"),
    (5j, "not a number"),
    (Decimal(5), "not a number"),
    ([5], "not a number"),
    (np.array([5.0]), "not a number"),
]
BAD_PRICES: list[Any] = [
    None,
    NAN,
    np.float64("nan"),
    INF,
    -INF,
    0,
    0.0,
    -0.0,
    -10.0,
    10**400,
    True,
    False,
    np.bool_(True),
    "10",
    10j,
    Decimal(10),
    [10.0],
    np.array([10.0]),
]
#: What `submit_order` is given besides the asset, and a part of the message.
BAD_ORDERS: list[tuple[dict[str, Any], str]] = [
    ({"quantity": -5, "side": "buy"}, "negative and side='buy'"),
    ({"quantity": -5, "side": OrderSide.SELL}, "negative and side='sell'"),
    ({"quantity": 5, "side": "hold"}, "side='hold' is not 'buy' or 'sell'"),
    ({"quantity": 5, "side": "BUY"}, "side='BUY' is not"),
    ({"quantity": 5, "side": ""}, "side='' is not"),
    ({"quantity": 5, "side": 1}, "side=1 is not"),
    (LIMIT, "needs a limit_price"),
    (STOP, "needs a stop_price"),
    # prices that a type does not take
    (MARKET | {"limit_price": 10.0}, "market order takes no limit_price"),
    (MARKET | {"stop_price": 10.0}, "market order takes no stop_price"),
    (MARKET | {"limit_price": NAN}, "market order takes no limit_price"),
    (MARKET | {"stop_price": 0.0}, "market order takes no stop_price"),
    (CLOSING | {"limit_price": 10.0}, "market_on_close order takes no limit_price"),
    (CLOSING | {"stop_price": 10.0}, "market_on_close order takes no stop_price"),
    (LIMIT | {"stop_price": 10.0}, "limit"),
    (LIMIT | {"limit_price": 9.0, "stop_price": 10.0}, "limit order takes no stop_price"),
    (STOP | {"limit_price": 10.0}, "stop order takes no limit_price"),
    (STOP | {"limit_price": 9.0, "stop_price": 10.0}, "stop order takes no limit_price"),
    # types that are none, or not filled here
    (MARKET | {"order_type": "iceberg"}, "order_type='iceberg'"),
    (MARKET | {"order_type": "MARKET"}, "order_type='MARKET'"),
    (MARKET | {"order_type": ""}, "order_type=''"),
    (MARKET | {"order_type": None}, "order_type=None"),
    (MARKET | {"order_type": 0}, "order_type=0"),
    (MARKET | {"order_type": ["limit"]}, "order_type="),
    (MARKET | {"order_type": "stop_limit", "limit_price": 9.0, "stop_price": 10.0}, "stop_limit"),
    (
        MARKET | {"order_type": OrderType.STOP_LIMIT, "limit_price": 9.0, "stop_price": 10.0},
        "is not one that the simulated broker fills",
    ),
    (MARKET | {"order_type": "trailing_stop"}, "trailing_stop"),
    (
        MARKET | {"order_type": OrderType.TRAILING_STOP, "stop_price": 10.0},
        "is not one that the simulated broker fills",
    ),
    # purchases that would reduce
    (MARKET | {"reduce_only": True}, "reduce_only=True on a purchase"),
    (MARKET | {"side": "buy", "reduce_only": True}, "reduce_only=True on a purchase"),
    (LIMIT | {"limit_price": 9.0, "reduce_only": True}, "reduce_only=True on a purchase"),
    (STOP | {"stop_price": 11.0, "reduce_only": True}, "reduce_only=True on a purchase"),
]


def invested() -> Broker:
    """500 in cash, 50 A, a stop and a limit that work."""
    broker = Broker(initial_cash=1_000.0)
    broker.submit_order("A", 50)
    broker.step(day(0), bars_of(A=10.0))
    broker.submit_order("A", 50, "sell", "stop", stop_price=8.0, reduce_only=True)
    broker.submit_order("A", 10, "buy", "limit", limit_price=9.0)
    return broker


def refuses(order: dict[str, Any], match: str, asset: Any = "A") -> None:
    broker = invested()
    before = state_of(broker)
    with pytest.raises(OrderError, match=match) as caught:
        broker.submit_order(asset, **order)
    assert isinstance(caught.value, ValueError)
    assert state_of(broker) == before
    # and the next one is accepted, with the number that follows
    assert broker.submit_order("A", 1).order_id == 3


@pytest.mark.parametrize("side", [None, "buy", "sell"])
@pytest.mark.parametrize(("quantity", "match"), BAD_QUANTITIES, ids=repr)
def test_quantities_that_are_refused(quantity: Any, match: str, side: str | None) -> None:
    refuses({"quantity": quantity, "side": side}, match)


@pytest.mark.parametrize("name", ["limit", "stop"])
@pytest.mark.parametrize("price", BAD_PRICES, ids=repr)
def test_prices_that_are_refused(price: Any, name: str) -> None:
    refuses({"quantity": 5, "order_type": name, f"{name}_price": price}, f"{name}_price")


@pytest.mark.parametrize(("order", "match"), BAD_ORDERS, ids=repr)
def test_orders_that_are_refused(order: dict[str, Any], match: str) -> None:
    refuses(order, match)


@pytest.mark.parametrize("asset", [None, 1, 1.5, True, b"A", ("A",)], ids=repr)
def test_names_that_are_refused(asset: Any) -> None:
    refuses(MARKET, "not a string", asset)


@pytest.mark.parametrize(
    "number",
    [5, 5.0, np.float64(5), np.float32(5), np.int64(5)],
    ids=lambda number: type(number).__name__,
)
def test_numbers_of_any_kind_are_taken(number: Any) -> None:
    broker = invested()
    limit = broker.submit_order("A", number, "buy", "limit", limit_price=number)
    stop = broker.submit_order("A", number, "sell", "stop", stop_price=number)
    assert (limit.quantity, limit.limit_price, limit.stop_price) == (5.0, 5.0, None)
    assert (stop.quantity, stop.limit_price, stop.stop_price) == (5.0, None, 5.0)
