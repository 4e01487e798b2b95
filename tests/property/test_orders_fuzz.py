"""Any orders and weights: what was asked for, or an error and an account as it was."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import attempt, bars_of, day, feed_of, state_of
from ml4t.backtest import (
    BacktestConfig,
    Broker,
    TargetWeightExecutor,
)
from ml4t.backtest.errors import (
    InputError,
    OrderError,
    RebalanceWarning,
    WeightsError,
)
from property.strategies import ANYTHING


def _account(on_a_feed: bool) -> Broker:
    """500 in cash and 50 A; a stop and a limit work."""
    config = BacktestConfig(initial_cash=1_000.0)
    if on_a_feed:
        broker = Broker(config, bars=feed_of({"A": [10.0, 10.0], "B": [20.0, 20.0]}).bars)
        broker.advance(0)
    else:
        broker = Broker(config)
    broker.submit_order("A", 50)
    if on_a_feed:
        broker.advance(1)
    else:
        broker.step(day(0), bars_of(A=10.0, B=20.0))
    broker.submit_order("A", 50, "sell", "stop", stop_price=8.0, reduce_only=True)
    broker.submit_order("A", 10, "buy", "limit", limit_price=9.0)
    return broker


MOSTLY = {
    "asset": st.sampled_from(["A", "B", "C"]),
    "quantity": st.floats(-100, 100) | st.integers(-100, 100),
    "side": st.sampled_from([None, "buy", "sell"]),
    "order_type": st.sampled_from(["market", "limit", "stop", "market_on_close"]),
    "limit_price": st.none() | st.floats(1.0, 20.0),
    "stop_price": st.none() | st.floats(1.0, 20.0),
    "reduce_only": st.booleans(),
}


@st.composite
def _calls(draw: Any) -> tuple[str, dict[str, Any]]:
    def one(name: str) -> Any:
        return draw(ANYTHING if draw(st.integers(0, 9)) == 9 else MOSTLY[name])

    method = draw(st.sampled_from(["submit_order"] * 4 + ["percent", "value", "close", "cancel"]))
    if method == "submit_order":
        return method, {name: one(name) for name in MOSTLY}
    if method == "cancel":
        return "cancel_order", {"order_id": draw(st.integers(-2, 5) | ANYTHING)}
    if method == "close":
        return "close_position", {"asset": one("asset")}
    number = {"percent": "weight", "value": "value"}[method]
    return f"order_target_{method}", {"asset": one("asset"), number: one("quantity")}


@settings(max_examples=300, deadline=None)
@given(st.booleans(), st.lists(_calls(), min_size=1, max_size=4))
def test_any_orders(on_a_feed: bool, calls: list[tuple[str, dict[str, Any]]]) -> None:
    broker = _account(on_a_feed)
    for method, given_ in calls:
        before, n_orders = state_of(broker), len(broker.orders)
        answer, refusal = attempt(
            lambda method=method, given_=given_: getattr(broker, method)(**given_),
            *(OrderError, WeightsError),
        )
        if refusal or answer is False:
            assert state_of(broker) == before
        elif answer is None:  # nothing was to be sent, though what works may have been cancelled
            assert len(broker.orders) == n_orders
        elif answer is not True:
            assert len(broker.orders) == n_orders + 1
            assert broker.pending_orders[-1] == answer
            assert 0.0 < answer.quantity < float("inf")
        assert broker.cash == 500.0
    # the account still works, and pays for what it buys
    if not on_a_feed:
        broker.step(day(1), bars_of(A=10.0, B=20.0, C=5.0))
        assert broker.cash >= -1e-6
        assert broker.get_account_value() <= 1_000.0 + 1e-6


NAMES = st.one_of(
    st.sampled_from(["A", "B", "C", "AA"]),
    ANYTHING.filter(lambda name: not isinstance(name, (list, dict, np.ndarray))),
)
SHARES = st.floats(-2, 2) | ANYTHING


def _series_of(names: list[str]) -> st.SearchStrategy[pd.Series]:
    values = st.lists(SHARES, min_size=len(names), max_size=len(names))
    index = pd.Index(names, dtype=object)
    return values.map(lambda found: pd.Series(found, index=index, dtype=object))


WEIGHTS = st.one_of(
    ANYTHING,
    st.dictionaries(NAMES, SHARES, max_size=4),
    st.dictionaries(st.sampled_from("AB"), st.floats()),
    st.lists(st.sampled_from("ABC"), max_size=4).flatmap(_series_of),
)


@settings(max_examples=200, deadline=None)
@given(st.booleans(), WEIGHTS, st.sampled_from(["execute", "preview", "plan"]))
def test_any_weights(on_a_feed: bool, weights: Any, road: str) -> None:
    broker = _account(on_a_feed)
    before = state_of(broker)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RebalanceWarning)
        ask = getattr(TargetWeightExecutor(), road)
        _, refusal = attempt(lambda: ask(weights, broker.data, broker), InputError)
    if refusal:
        assert "weights" in refusal
    else:
        for name, weight in dict(weights).items():
            assert isinstance(name, str)
            assert isinstance(weight, (int, float, np.number))
            assert not isinstance(weight, bool)
            assert abs(float(weight)) < float("inf")
    if refusal or road != "execute":
        assert state_of(broker) == before
