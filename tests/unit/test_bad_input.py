"""Every kind of bad input: what is refused, in which words, and that nothing has changed by it.

One section for each kind. A case is a call, the error and what its message must hold: the
culprit, the place, the remedy. Inputs that are only strange come last, with the right result.
"""

from __future__ import annotations

import json
import math
import re
import warnings
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import polars as pl
import pytest

from helpers import bars_of, buy, day, feed_of, long_frame, run_script, state_of
from ml4t.backtest import (
    BacktestConfig,
    BacktestResult,
    Broker,
    DataFeed,
    Engine,
    PortfolioSnapshot,
    RebalanceConfig,
    Strategy,
    TargetWeightExecutor,
    WorkingOrder,
    plan_rebalance,
    run_backtest,
)
from ml4t.backtest.costs import FixedCommission, PercentCommission
from ml4t.backtest.errors import (
    BacktestError,
    ConfigError,
    DataError,
    DataWarning,
    InputError,
    OrderError,
    ResultError,
    WeightsError,
)
from ml4t.backtest.frames import FRAMES

NAN, INF = math.nan, math.inf
HUGE = 10**5000  # which Python does not even write out


class Case(NamedTuple):
    """A call that must fail, with what its message must hold."""

    name: str
    call: Callable[..., object]
    error: type[BacktestError]
    fragments: tuple[str, ...]


def cases(found: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", found, ids=[case.name for case in found])


def refused(case: Case, *arguments: object) -> str:
    """Make the call; hold its error to what the case says and return the message."""
    with pytest.raises(case.error) as caught:
        case.call(*arguments)
    message = str(caught.value)
    assert isinstance(caught.value, ValueError)
    assert [part for part in case.fragments if part not in message] == [], message
    assert len(message) < 2_000, "nobody reads that"
    return message


# ---------------------------------------------------------------------- accounts


def alone() -> Broker:
    """500 in cash and 50 AAPL; a stop and a limit work; stepped by hand."""
    broker = Broker(initial_cash=1_000.0)
    broker.submit_order("AAPL", 50)
    broker.step(day(0), bars_of(AAPL=10.0, MSFT=20.0))
    return _with_orders(broker)


def on_a_feed() -> Broker:
    """The same account, on a feed of two assets."""
    feed = feed_of({"AAPL": [10.0, 10.0], "MSFT": [20.0, 20.0]})
    broker = Broker(BacktestConfig(initial_cash=1_000.0), bars=feed.bars)
    broker.advance(0)
    broker.submit_order("AAPL", 50)
    broker.advance(1)
    return _with_orders(broker)


def _with_orders(broker: Broker) -> Broker:
    broker.submit_order("AAPL", 50, "sell", "stop", stop_price=8.0, reduce_only=True)
    broker.submit_order("AAPL", 10, "buy", "limit", limit_price=9.0)
    assert (broker.cash, len(broker.pending_orders)) == (500.0, 2)
    return broker


accounts = pytest.mark.parametrize("account", [alone, on_a_feed])


def refused_by(case: Case, broker: Broker) -> None:
    before = state_of(broker)
    refused(case, broker)
    assert state_of(broker) == before


# ---------------------------------------------------------------------- weights

ROADS: dict[str, Callable[[Broker, Any], object]] = {
    "execute": lambda broker, w: TargetWeightExecutor().execute(w, broker.data, broker),
    "preview": lambda broker, w: TargetWeightExecutor().preview(w, broker.data, broker),
    "plan": lambda broker, w: TargetWeightExecutor().plan(w, broker.data, broker),
    "plan_rebalance": lambda broker, w: plan_rebalance(w, broker.snapshot()),
}
BAD_WEIGHTS: list[tuple[str, Any, tuple[str, ...]]] = [
    ("NaN", {"AAPL": NAN, "MSFT": 0.5}, ("AAPL=nan", "not finite", "pass 0.0")),
    ("infinities", {"AAPL": INF, "MSFT": -INF}, ("AAPL=inf", "MSFT=-inf", "not finite")),
    ("string", {"AAPL": "0.5", "MSFT": 0.5}, ("AAPL='0.5'", "not numbers", "pass floats")),
    ("bool", {"AAPL": True}, ("AAPL=True", "not numbers")),
    ("numpy bool", {"AAPL": np.True_}, ("AAPL=", "not numbers")),
    ("None", {"MSFT": None}, ("MSFT=None", "not numbers")),
    ("decimal", {"AAPL": Decimal("0.5")}, ("AAPL=Decimal('0.5')", "not numbers")),
    ("beyond floats", {"AAPL": HUGE}, ("AAPL=a int that cannot be written", "not finite")),
    ("all at once", dict.fromkeys("ABCDEFG", NAN), ("'A=nan'", "'E=nan'", "and 2 more")),
    ("name that is none", {5: 0.5}, ("5 are not asset names", "strings")),
    ("list", [0.5, 0.5], ("a list has no labels", "assets=[...]", "pass a mapping")),
    ("polars Series", pl.Series([0.5]), ("a Series has no labels", "assets=[...]")),
    ("array", np.array([0.5, 0.5]), ("a ndarray has no labels", "assets=[...]")),
    ("no answer", None, ("None is no answer", "status of the solver")),
    ("string alone", "AAPL", ("a str is not understood", "pass a mapping")),
    (
        "pandas, duplicate label",
        pd.Series([0.5, 0.3, 0.2], index=["AAPL", "MSFT", "AAPL"]),
        ("'AAPL' appear more than once", "one weight"),
    ),
    ("pandas, NaN", pd.Series({"AAPL": NAN, "MSFT": 0.5}), ("AAPL=nan", "not finite")),
    ("pandas, strings", pd.Series({"AAPL": "x", "MSFT": 0.5}), ("AAPL='x'", "not numbers")),
    ("pandas, bools", pd.Series({"AAPL": True}), ("AAPL=True", "not numbers")),
    ("pandas, missing", pd.Series([pd.NA], ["AAPL"], dtype="Float64"), ("AAPL=", "not")),
]


def _weights_case(name: str, weights: Any, fragments: tuple[str, ...], road: str) -> Case:
    call = ROADS[road]
    return Case(
        f"{name}, {road}",
        lambda broker: call(broker, weights),
        WeightsError,
        ("weights: ", *fragments),
    )


@accounts
@cases([_weights_case(*weights, road) for weights in BAD_WEIGHTS for road in ROADS])
def test_weights(case: Case, account: Callable[[], Broker]) -> None:
    refused_by(case, account())


@accounts
@pytest.mark.parametrize("what", ["percent", "value"])
@pytest.mark.parametrize("number", [NAN, INF, "0.5", True, None, HUGE], ids=type)
def test_targets_of_one_asset(account: Callable[[], Broker], what: str, number: Any) -> None:
    case = Case(
        what,
        lambda broker: getattr(broker, f"order_target_{what}")("AAPL", number),
        WeightsError,
        ("AAPL=", "not"),
    )
    refused_by(case, account())


def _plan_of(weights: dict[str, float]) -> Any:
    prices = dict.fromkeys(weights, 10.0)
    return plan_rebalance(weights, PortfolioSnapshot(cash=1_000.0, prices=prices))


UNHEARD_OF = [
    *(
        Case(
            road,
            lambda broker, road=road: ROADS[road](broker, {"APPL": 0.5, "MFST": 0.1, "MSFT": 0.1}),
            WeightsError,
            ("'APPL' (nearest: 'AAPL')", "'MFST' (nearest: 'MSFT')", "add their prices"),
        )
        for road in ("execute", "preview", "plan")
    ),
    *(
        Case(name, call, OrderError, ("no asset 'APPL' (nearest: 'AAPL')", "add its prices"))
        for name, call in {
            "submit_plan": lambda broker: broker.submit_plan(_plan_of({"APPL": 0.5})),
            "order_target_percent": lambda broker: broker.order_target_percent("APPL", 0.5),
            "order_target_value": lambda broker: broker.order_target_value("APPL", 500.0),
            "close_position": lambda broker: broker.close_position("APPL"),
            "market": lambda broker: broker.submit_order("APPL", 5),
            "limit": lambda broker: broker.submit_order(
                "APPL", 5, order_type="limit", limit_price=1
            ),
            "stop": lambda broker: broker.submit_order("APPL", 5, order_type="stop", stop_price=9),
            "close": lambda broker: broker.submit_order("APPL", 5, order_type="market_on_close"),
        }.items()
    ),
]


@cases(UNHEARD_OF)
def test_an_asset_that_the_feed_has_never_heard_of(case: Case) -> None:
    refused_by(case, on_a_feed())


def test_a_held_asset_that_is_not_mentioned() -> None:
    executor = TargetWeightExecutor(RebalanceConfig(unmentioned="error"))
    case = Case(
        "unmentioned",
        lambda broker: executor.execute({"MSFT": 0.1}, broker.data, broker),
        InputError,
        ("'AAPL' are held but not in the targets", "unmentioned='error'", "0.0 closes it"),
    )
    refused_by(case, alone())


# ---------------------------------------------------------------------- settings

FINITE = "pass a finite number > 0"
BAD_SETTINGS = [
    Case(name, call, error, fragments)
    for name, call, error, fragments in [
        (
            "out of range",
            lambda: BacktestConfig(initial_cash=0.0),
            ConfigError,
            ("initial_cash=0.0", FINITE),
        ),
        ("infinity", lambda: BacktestConfig(initial_cash=INF), ConfigError, ("cash=inf", FINITE)),
        ("beyond floats", lambda: BacktestConfig(initial_cash=10**400), ConfigError, (FINITE,)),
        ("array", lambda: BacktestConfig(initial_cash=np.ones(2)), ConfigError, (FINITE,)),
        (
            "unknown key",
            lambda: RebalanceConfig(min_weight_chnge=0.1),
            ConfigError,
            ("min_weight_chnge is unknown", "nearest: 'min_weight_change'"),
        ),
        (
            "choice",
            lambda: BacktestConfig(fill_price=["open"]),
            ConfigError,
            ("fill_price=['open']", "'open' or 'close' or 'hl2' or 'vwap'"),
        ),
        (
            "class for a value",
            lambda: BacktestConfig(commission=PercentCommission),
            ConfigError,
            ("commission=<class", "pass an instance of it", "PercentCommission(...)"),
        ),
        (
            "rate beyond floats",
            lambda: PercentCommission(HUGE),
            InputError,
            ("PercentCommission: rate=a int", "0 <= rate < 1"),
        ),
        (
            "fee beyond floats",
            lambda: FixedCommission(10**400),
            InputError,
            ("FixedCommission: per_order=1000", "... (401 characters)", "0 <= per_order"),
        ),
        (
            "table that is none",
            lambda: BacktestConfig.from_table([1]),  # type: ignore[arg-type]
            ConfigError,
            ("config=[1] is not a table", "'initial_cash'"),
        ),
        (
            "table without names",
            lambda: BacktestConfig.from_table({5: 1}),  # type: ignore[dict-item]
            ConfigError,
            ("config={5: 1} is not a table", "'initial_cash'"),
        ),
        (
            "rebalance without names",
            lambda: BacktestConfig.from_table({"rebalance": {5: 1}}),
            ConfigError,
            ("rebalance={5: 1} is not a table", "'lot_size'"),
        ),
        (
            "cost without names",
            lambda: BacktestConfig.from_table({"commission": {"kind": "percent", 5: 1}}),
            ConfigError,
            ("commission: 5 is unknown", "'rate'"),
        ),
        *(
            (name, call, ConfigError, (f"a {kind} is not a BacktestConfig", "BacktestConfig(...)"))
            for name, call, kind in [
                ("broker, number", lambda: Broker(5), "int"),  # type: ignore[arg-type]
                ("broker, dict", lambda: Broker({}), "dict"),  # type: ignore[arg-type]
                (
                    "engine, other config",
                    lambda: Engine(feed_of({"A": [1.0]}), Strategy(), RebalanceConfig()),  # type: ignore[arg-type]
                    "RebalanceConfig",
                ),
            ]
        ),
        *(
            (name, call, ConfigError, ("is not a RebalanceConfig", "pass RebalanceConfig(...)"))
            for name, call in {
                "executor, number": lambda: TargetWeightExecutor(5),  # type: ignore[arg-type]
                "executor, other": lambda: TargetWeightExecutor(BacktestConfig()),  # type: ignore[arg-type]
                "planner": lambda: plan_rebalance({}, PortfolioSnapshot(cash=1.0), {}),  # type: ignore[arg-type]
            }.items()
        ),
        *(
            (f"TOML {name}", lambda text=text: BacktestConfig.from_toml(text), ConfigError, parts)
            for name, text, parts in [
                ("too deep", "x = " + "[" * 5_000, ("TOML text", "too deep")),
                ("long number", "initial_cash = " + "1" * 5_000, ("not TOML", "4300 digits")),
                (
                    "rate beyond floats",
                    f'commission = {{kind = "percent", rate = {10**400}}}',
                    ("TOML text: PercentCommission: rate=1000", "0 <= rate < 1"),
                ),
                ("infinity", "initial_cash = 1e400", ("initial_cash=inf", FINITE)),
                ("date", "initial_cash = 2024-01-01", ("datetime.date(2024, 1, 1)", FINITE)),
                ("key twice", "a = 1\na = 2", ("this is not TOML", "Cannot overwrite")),
                ("path with a zero", "a\0.toml", ("'a\\x00.toml' is no path", "null byte")),
            ]
        ),
    ]
]


@cases(BAD_SETTINGS)
def test_settings(case: Case) -> None:
    refused(case)


# ---------------------------------------------------------------------- prices

GOOD = pl.DataFrame(
    {
        "date": [day(t) for t in range(5)],
        "asset": ["A"] * 5,
        "open": [10.0] * 5,
        "high": [12.0] * 5,
        "low": [9.0] * 5,
        "close": [11.0] * 5,
        "volume": [100.0] * 5,
        "vwap": [11.0] * 5,
    }
)
WIDE = pl.DataFrame({"date": [day(0), day(1)], "A": [1.0, 2.0]})


def changed(column: str, values: list[Any]) -> pl.DataFrame:
    """The good frame with other values in the first rows of a column."""
    rest = GOOD[column].to_list()[len(values) :]
    return GOOD.with_columns(pl.Series(column, values + rest))


makes = pytest.mark.parametrize(
    "make", [lambda frame: frame, lambda frame: frame.to_pandas()], ids=["polars", "pandas"]
)
#: A frame, the keywords of the feed, what the message holds.
NO_FEED: dict[str, tuple[pl.DataFrame, dict[str, Any], tuple[str, ...]]] = {
    "no close": (
        GOOD.select("date", "asset", "open"),
        {},
        ("no column close", "found: 'date', 'asset', 'open'", "Rename the column"),
    ),
    "no time": (
        GOOD.select("asset", "close"),
        {},
        ("no column timestamp or date", "found: 'asset', 'close'", "time_column="),
    ),
    "no asset": (
        GOOD.select("date", "close"),
        {},
        ("no column symbol or asset", "found: 'date', 'close'", "asset_column=", "from_wide"),
    ),
    "time of another name": (
        GOOD,
        {"time_column": "when"},
        ("no column 'when' (time_column)", "found: 'date', 'asset'"),
    ),
    "asset of another name": (
        GOOD,
        {"asset_column": ["asset"]},
        ("no column ['asset'] (asset_column)", "found: 'date', 'asset'"),
    ),
    "no rows": (GOOD.head(0), {}, ("the frame has no rows",)),
    "nothing at all": (pl.DataFrame(), {}, ("no column timestamp", "found: none")),
    "no close in any row": (
        GOOD.with_columns(close=pl.lit(NAN)),
        {},
        ("not one close is a finite number", "no bar"),
    ),
    "no bar of a signal": (
        GOOD,
        {"signals": GOOD.select("date", asset=pl.lit("AA"), score="close")},
        ("signals: 'AA' (nearest: 'A') have no prices", "add their prices"),
    ),
}


@makes
@pytest.mark.parametrize("name", NO_FEED)
def test_frames_that_are_no_prices(name: str, make: Any) -> None:
    frame, options, fragments = NO_FEED[name]
    refused(Case(name, lambda: DataFeed(make(frame), **options), DataError, fragments))


@pytest.mark.parametrize(
    "source", [None, 5, [1.0], {"close": [1.0]}, np.ones((2, 2)), GOOD["date"]]
)
@pytest.mark.parametrize("feed", [DataFeed, DataFeed.from_wide])
def test_what_is_no_frame(source: object, feed: Callable[[object], DataFeed]) -> None:
    with pytest.raises(DataError, match=r"is not a dataframe; pass a polars, pandas") as caught:
        feed(source)
    assert type(source).__name__ in str(caught.value) or isinstance(source, dict)


BAD_WIDE = [
    Case(name, call, DataError, fragments)
    for name, call, fragments in [
        ("no fields", lambda: DataFeed.from_wide({}), ("no close among the fields",)),
        ("no rows", lambda: DataFeed.from_wide(WIDE.head(0)), ("close", "no rows")),
        ("no time", lambda: DataFeed.from_wide(WIDE.select("A")), ("found: 'A'", "time_column=")),
        (
            "a field that is a number",
            lambda: DataFeed.from_wide(
                pd.DataFrame(
                    [[1.0]], index=[day(0)], columns=pd.MultiIndex.from_tuples([("Close", "A")])
                ),
                close_field=5,  # type: ignore[arg-type]
            ),
            ("no field 5 (close_field)", "'close'"),
        ),
    ]
]


@cases(BAD_WIDE)
def test_wide_frames(case: Case) -> None:
    refused(case)


#: A frame; the kind, its count, its first row.
ODD: dict[str, tuple[pl.DataFrame, str, int, str]] = {
    "zero or negative": (
        changed("low", [0.0, -1.0, 0.0, 0.0]),
        "zero or negative prices",
        4,
        "low=0",
    ),
    "zero or negative vwap": (changed("vwap", [-1.0]), "zero or negative prices", 1, "vwap=-1"),
    "high < low": (changed("high", [8.0]), "high < low", 1, "high=8 low=9"),
    "outside": (changed("open", [13.0, 8.0]), "open or close outside", 2, "open=13"),
    "negative volume": (changed("volume", [-1.0]), "negative volume", 1, "volume=-1"),
    "infinite high": (changed("high", [INF, INF]), "infinities", 2, "high=inf"),
    "infinite vwap": (changed("vwap", [INF]), "infinities", 1, "vwap=inf"),
}


@makes
@pytest.mark.parametrize("name", ODD)
def test_prices_that_make_no_sense(name: str, make: Any) -> None:
    frame, kind, count, row = ODD[name]
    first = f"{kind}: {count}, the first: 2024-01-01 00:00:00 A "
    if kind.startswith("open"):
        first = f"{kind} [low, high]: {count}, the first: 2024-01-01 00:00:00 A "
    fragments = ("prices: ", first, row, 'checks="warn"')
    message = refused(Case(name, lambda: DataFeed(make(frame)), DataError, fragments))
    assert message.count("2024-01-0") == min(count, 3)
    with pytest.warns(DataWarning, match=kind):
        assert DataFeed(make(frame), checks="warn").n_bars == 5


TWO_ZONES = pd.DataFrame(
    {
        "date": pd.Series(
            [datetime(2024, 1, 2, tzinfo=timezone(timedelta(hours=h))) for h in (0, 5)],
            dtype=object,
        ),
        "asset": ["A", "A"],
        "close": [1.0, 2.0],
    }
)
STRUCTURAL: dict[str, tuple[Any, tuple[str, ...]]] = {
    **{
        f"{label} {name}": (to(frame), fragments)
        for label, to in {"polars": pl.DataFrame, "pandas": pl.DataFrame.to_pandas}.items()
        for name, (frame, fragments) in {
            "duplicates": (
                pl.concat([GOOD, GOOD.head(2)]),
                ("duplicate (time, asset)", ": 2, the first: 2024-01-01 00:00:00 A", "Drop the"),
            ),
            "strings": (
                GOOD.with_columns(close=pl.lit("x")),
                ("'close' has type String", ": 5, the first: 2024-01-01 00:00:00 A 'x'", "Convert"),
            ),
            "numbers as strings": (
                GOOD.with_columns(pl.col("close").cast(pl.String)),
                ("'close' has type String", ": 5, the first", "'11.0'", "Convert"),
            ),
            "bools": (GOOD.with_columns(volume=pl.lit(True)), ("'volume' has type Boolean", ": 5")),
        }.items()
    },
    "pandas, a string among numbers": (
        pd.DataFrame({"date": [day(0), day(1)], "asset": "A", "close": [1.0, "x"]}),
        ("'close' has type String", ": 1, the first: 2024-01-02 00:00:00 A 'x'"),
    ),
    "pandas, two zones": (TWO_ZONES, ("mixed time zones in 'date': 2, the first", "one zone")),
    "pandas, with and without zone": (
        TWO_ZONES.assign(
            date=pd.Series([TWO_ZONES["date"][0], datetime(2024, 1, 3)], dtype=object)
        ),
        ("mixed time zones in 'date': 2, the first: 2024-01-02 00:00:00+00:00", "one zone"),
    ),
}


@pytest.mark.parametrize("checks", ["raise", "warn"])
@pytest.mark.parametrize("name", STRUCTURAL)
def test_rows_that_are_no_bars_always_raise(name: str, checks: str) -> None:
    frame, fragments = STRUCTURAL[name]
    refused(Case(name, lambda: DataFeed(frame, checks=checks), DataError, fragments))


@makes
def test_all_kinds_at_once(make: Any) -> None:
    frame = pl.concat([changed("close", [11.0, -1.0]), GOOD.head(1)]).with_columns(
        high=pl.lit(1.0), volume=pl.lit(-5.0), open=pl.lit("x")
    )
    kinds = (
        "\n- zero or",
        "\n- duplicate",
        "\n- column 'open'",
        "\n- high < low",
        "\n- negative volume",
    )
    refused(Case("all", lambda: DataFeed(make(frame)), DataError, ("5 kinds of faults", *kinds)))


# ---------------------------------------------------------------------- orders

UNITS = "pass how many units"
BAD_ORDERS = [
    Case(
        name,
        lambda broker, given=given: broker.submit_order(**({"asset": "AAPL"} | given)),
        OrderError,
        ("order", *fragments),
    )
    for name, given, fragments in [
        ("quantity 0", {"quantity": 0}, ("'AAPL': quantity=0 must be finite and not 0", UNITS)),
        ("quantity NaN", {"quantity": NAN}, ("quantity=nan must be finite", UNITS)),
        ("quantity inf", {"quantity": -INF}, ("quantity=-inf must be finite", UNITS)),
        ("quantity huge", {"quantity": HUGE}, ("quantity=a int that cannot be written", UNITS)),
        ("quantity text", {"quantity": "5"}, ("quantity='5' is not a number", UNITS)),
        ("negative with side", {"quantity": -5, "side": "sell"}, ("-5 is negative", "positive")),
        (
            "side",
            {"quantity": 5, "side": ["buy"]},
            ("side=['buy'] is not 'buy' or 'sell'", "signed"),
        ),
        (
            "NaN limit",
            {"quantity": 5, "order_type": "limit", "limit_price": NAN},
            ("limit_price=nan must be finite and > 0",),
        ),
        (
            "no limit",
            {"quantity": 5, "order_type": "limit"},
            ("a limit order needs a limit_price, a number > 0; it has None",),
        ),
        ("no stop", {"quantity": -5, "order_type": "stop"}, ("needs a stop_price, a number > 0",)),
        (
            "limit of a market order",
            {"quantity": 5, "limit_price": 9.0},
            ("a market order takes no limit_price; it has 9.0",),
        ),
        (
            "type",
            {"quantity": 5, "order_type": "limit "},
            ("order_type='limit '", "use 'market', 'market_on_close', 'limit', 'stop'"),
        ),
        (
            "name",
            {"quantity": 5, "asset": ["AAPL"]},
            ("asset ['AAPL'] is not a string", "pass the asset's name"),
        ),
        *(
            (
                f"reduce_only {flag!r}",
                {"quantity": -5, "reduce_only": flag},
                (f"reduce_only={flag!r} is not True or False",),
            )
            for flag in ("no", None, 0, 1.0, np.ones(2))
        ),
        (
            "reduce_only purchase",
            {"quantity": 5, "reduce_only": True},
            ("on a purchase", "no shorts"),
        ),
    ]
]


@pytest.mark.parametrize("what", ["percent", "value"])
@pytest.mark.parametrize("number", [0.0, 0.5])
def test_a_target_of_an_asset_that_has_no_bar_yet(what: str, number: float) -> None:
    broker = alone()
    before = state_of(broker)
    assert getattr(broker, f"order_target_{what}")("NEW", number) is None
    assert state_of(broker) == before


@accounts
@cases(BAD_ORDERS)
def test_orders(case: Case, account: Callable[[], Broker]) -> None:
    refused_by(case, account())


@accounts
@pytest.mark.parametrize(
    "order_id", [99, -1, 10**30, "1", "x", None, NAN, 1.0, True, [1], np.ones(2)], ids=repr
)
def test_a_cancel_of_an_unknown_order(account: Callable[[], Broker], order_id: Any) -> None:
    broker = account()
    before = state_of(broker)
    assert broker.cancel_order(order_id) is False
    assert state_of(broker) == before


@accounts
def test_a_cancel_of_a_finished_order(account: Callable[[], Broker]) -> None:
    broker = account()
    assert broker.cancel_order(2) is True
    before = state_of(broker)
    assert broker.cancel_order(0) is False  # filled
    assert broker.cancel_order(2) is False  # cancelled
    assert state_of(broker) == before


BAD_STEPS = [
    Case(
        name,
        lambda broker, given=given: broker.step(**({"timestamp": day(1), "bars": {}} | given)),
        DataError,
        ("step: ", *fragments),
    )
    for name, given, fragments in [
        ("time that is none", {"timestamp": "2024-01-02"}, ("'2024-01-02' is not a datetime",)),
        ("time that is past", {"timestamp": day(0)}, ("2024-01-01 00:00:00 is not later than",)),
        ("bars that are none", {"bars": 5}, ("bars=5 is not a mapping", '{asset: {"close"')),
        ("bar that is none", {"bars": {"B": 5}}, ("the bar of 'B' is 5", 'with "close"')),
        ("name", {"bars": {5: {"close": 1.0}}}, ("5 is not an asset name", "strings")),
        ("no close", {"bars": {"B": {"clsoe": 1.0}}}, ("'B' has no 'close'; it has 'clsoe'",)),
        ("infinity", {"bars": {"B": {"close": INF}}}, ("close of 'B' is inf", "or NaN for none")),
        ("huge", {"bars": {"B": {"close": 1.0, "low": HUGE}}}, ("low of 'B' is a int", "finite")),
        ("text", {"bars": bars_of(A=1.0) | {"B": {"close": "1"}}}, ("close of 'B' is '1'",)),
    ]
]


@cases(BAD_STEPS)
def test_bars_that_are_brought_by_hand(case: Case) -> None:
    broker = alone()
    refused_by(case, broker)
    broker.step(day(1), bars_of(AAPL=9.0))  # the limit fills: 500 - 10 * 9
    assert broker.cash == 410.0


NO_CLOSE = {"A": {"close": 1.0}}
NEEDED = [
    Case(name, call, DataError, fragments)
    for name, call, fragments in [
        (
            "volume of a feed",
            lambda: Engine(
                feed_of({"A": [1.0]}), Strategy(), BacktestConfig(max_participation=0.1)
            ),
            ("max_participation=0.1 needs a volume column", "add it"),
        ),
        (
            "vwap of a feed",
            lambda: Engine(feed_of({"A": [1.0]}), Strategy(), BacktestConfig(fill_price="vwap")),
            ("fill_price='vwap' needs a vwap column", "add it"),
        ),
        (
            "volume of a step",
            lambda: Broker(BacktestConfig(max_participation=0.1)).step(day(0), NO_CLOSE),
            ("the bar of 'A' has no 'volume'", "max_participation=0.1 needs it"),
        ),
        (
            "vwap of a step",
            lambda: Broker(BacktestConfig(fill_price="vwap")).step(day(0), NO_CLOSE),
            ("the bar of 'A' has no 'vwap'", "fill_price='vwap' needs it"),
        ),
    ]
]


@cases(NEEDED)
def test_columns_that_a_setting_needs(case: Case) -> None:
    refused(case)


BAD_SNAPSHOTS = [
    Case(
        name,
        lambda given=given: plan_rebalance({"A": 0.5}, given),
        InputError,
        ("snapshot: ", *parts),
    )
    for name, given, parts in [
        ("none", 5, ("a int is not a PortfolioSnapshot", "broker.snapshot()")),
        (
            "positions",
            PortfolioSnapshot(1.0, positions=["A"]),
            ("positions=['A'] is not a mapping",),
        ),  # type: ignore[arg-type]
        ("prices", PortfolioSnapshot(1.0, prices=10.0), ("prices=10.0 is not a mapping", "{asset")),  # type: ignore[arg-type]
        ("costs", PortfolioSnapshot(1.0, costs=0.001), ("costs=0.001 is not a Costs",)),  # type: ignore[arg-type]
        ("orders", PortfolioSnapshot(1.0, open_orders=(5,)), ("5, which is not a WorkingOrder",)),  # type: ignore[arg-type]
        ("one order", PortfolioSnapshot(1.0, open_orders=5), ("5, which is not a WorkingOrder",)),  # type: ignore[arg-type]
        (
            "order of no asset",
            PortfolioSnapshot(1.0, open_orders=(WorkingOrder(["A"], "buy", 5),)),  # type: ignore[arg-type]
            ("['A'] are not asset names",),
        ),
        ("cash", PortfolioSnapshot(HUGE), ("cash a int that cannot be written", "pass a float")),
    ]
]


@cases(BAD_SNAPSHOTS)
def test_snapshots(case: Case) -> None:
    refused(case)


# ---------------------------------------------------------------------- results on disk


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    run_script({0: buy("A", 5), 1: buy("A", 1)}, {"A": [10.0, 11.0, 12.0]}).save(folder)
    return folder


def _damaged(name: str, change: Callable[[bytes], bytes | None]) -> Callable[[Path], object]:
    def call(folder: Path) -> object:
        path = folder / name
        content = change(path.read_bytes())
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)
        return BacktestResult.load(folder)

    return call


def _flipped(at: float) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        place = int(at * (len(content) - 1))
        return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]

    return change


DAMAGES: dict[str, Callable[[bytes], bytes | None]] = {
    "missing": lambda content: None,
    "empty": lambda content: b"",
    "cut short": lambda content: content[:-20],
    "half": lambda content: content[: len(content) // 2],
    "first byte": _flipped(0.0),
    "a byte": _flipped(0.5),
    "last byte": _flipped(1.0),
}
DESCRIPTIONS = {
    "is not JSON": (b"not json", b"\xff\xfe", b"1" * 5_000),
    "is not the description": (b"[1, 2]", b"{}", b"null"),
    "too deep": (b"[" * 200_000,),
    "format is 9": (b'{"format": 9, "packages": {"ml4t-backtest": "9.9"}}',),
    "was changed": (b'{"format": 2}',),
}
BAD_FOLDERS = [
    *(
        Case(
            f"{name} {damage}",
            _damaged(name, DAMAGES[damage]),
            ResultError,
            (name, "run the backtest again", "restore the folder"),
        )
        for name in [*(f"{frame}.parquet" for frame in FRAMES), "result.json"]
        for damage in DAMAGES
    ),
    *(
        Case(
            f"result.json {content[:12]!r}",
            _damaged("result.json", lambda _, content=content: content),
            ResultError,
            ("result.json: ", said),
        )
        for said, contents in DESCRIPTIONS.items()
        for content in contents
    ),
    Case(
        "of another version",
        _damaged("result.json", lambda _: DESCRIPTIONS["format is 9"][0]),
        ResultError,
        ("this version reads 2", "the version of ml4t-backtest that wrote it (9.9)"),
    ),
    Case(
        "half written",
        lambda folder: [
            (folder / "result.json").unlink(),
            (folder / "trades.parquet").unlink(),
            BacktestResult.load(folder),
        ],
        ResultError,
        ("result.json", "cannot be read"),
    ),
    Case(
        "missing",
        lambda folder: BacktestResult.load(folder / "nowhere"),
        ResultError,
        ("nowhere: there is no such folder", "pass the one"),
    ),
    Case(
        "a file",
        lambda folder: BacktestResult.load(folder / "fills.parquet"),
        ResultError,
        ("fills.parquet: there is no such folder",),
    ),
    Case(
        "of no result",
        lambda folder: BacktestResult.load(folder.parent),
        ResultError,
        ("the folder holds no result", "result.json", "pass the one that a result is in"),
    ),
    Case(
        "no path",
        lambda folder: BacktestResult.load("a\0b"),
        ResultError,
        ("'a\\x00b' is not a path", "pass a string or a Path"),
    ),
    Case(
        "name too long",
        lambda folder: BacktestResult.load(folder / ("a" * 5_000)),
        ResultError,
        ("cannot be reached", "characters"),
    ),
    Case(
        "saved below a file",
        lambda folder: BacktestResult.load(folder).save(folder / "fills.parquet" / "run"),
        ResultError,
        ("the folder above it cannot be made", "save to another place"),
    ),
]


@cases(BAD_FOLDERS)
def test_result_folders(case: Case, saved: Path) -> None:
    refused(case, saved)


# ------------------------------------------------------- what a result is asked


def _other(rows: int = 3, **values: float) -> Callable[[Path], object]:
    prices = long_frame({"A": [10.0, 11.0, 12.0][:rows]})
    changed = prices.with_columns(**{name: pl.lit(value) for name, value in values.items()})
    return lambda folder: BacktestResult.load(folder).round_trips("fifo", changed)


_OF_RUN = ("they are not those of this run", "pass the same prices")
QUESTIONS = [
    *(
        Case(
            f"method {hint}",
            lambda folder, method=method: BacktestResult.load(folder).round_trips(method),
            InputError,
            ("round_trips: there is no method", hint, 'use "average" or "fifo"'),
        )
        for method, hint in (
            ("avarage", "'avarage' (nearest: 'average')"),
            ("FIFO", "'FIFO'"),
            ("lifo", "(nearest: 'fifo')"),
            ("", "''"),
            (None, "None"),
            ([], "[]"),
            (np.ones(2), "array"),
            (HUGE, "int"),
        )
    ),
    Case("a bar less", _other(2), DataError, ("prices: ", "2 bars of 1 assets", *_OF_RUN)),
    Case("another close", _other(close=10.0), DataError, _OF_RUN),
    Case("another asset", _other(asset="B"), DataError, _OF_RUN),
    Case(
        "no prices",
        lambda folder: BacktestResult.load(folder).round_trips(prices=3.0),
        DataError,
        ("prices",),
    ),
    *(
        Case(
            f"band {name}",
            lambda folder, band=band: BacktestResult.load(folder).tracking(band),
            InputError,
            ("tracking: band=", "0 < band < 1", "0.05 for five per cent"),
        )
        for name, band in {
            **{str(band): band for band in (0.0, -0.05, 1.0, 5, NAN, INF, True, None, 1j)},
            "of text": "0.05",
            "of a list": [0.05],
            "too long": HUGE,
        }.items()
    ),
]


@cases(QUESTIONS)
def test_what_a_result_cannot_answer(case: Case, saved: Path) -> None:
    refused(case, saved)


# ---------------------------------------------------------------------- files

ROWS = "2024-01-01{s}A{s}{a}{s}1\n2024-01-02{s}A{s}{b}{s}2\n"


def csv_of(separator: str = ",", a: str = "1234.5", b: str = "1250.25", head: str = "") -> bytes:
    text = f"{head}date{separator}asset{separator}close{separator}volume\n"
    return (text + ROWS.format(s=separator, a=a, b=b)).encode()


BAD_FILES: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "binary": (bytes(range(256)), ("neither parquet nor UTF-8 text", "read it yourself")),
    "zeros": (b"date,asset\0", ("neither parquet nor csv", "read it yourself")),
    "json": (b'{"date": 1}', ("neither parquet nor csv",)),
    "zip": (b"PK\x03\x04rest,of,it", ("neither parquet nor csv",)),
    "empty": (b"", ("is empty", "it needs a line of column names")),
    "one column": (b"hello\nworld\n", ("'hello' has no comma, semicolon, tab or bar",)),
    "broken parquet": (b"PAR1 and more", ("is a broken parquet file", "read it yourself")),
    "broken gzip": (b"\x1f\x8b and more", ("is a broken gzip file", "read it yourself")),
    "ragged": (b"date,asset,close\n2024-01-01,A,1,2,3\n", ("as a csv separated by ','",)),
    "columns twice": (b"date,asset,close,close\n2024-01-01,A,1,2\n", ("'close' appear more",)),
    "no header": (b"2024-01-01,A,1\n", ("no column timestamp", "found: '2024-01-01'")),
    "two styles": (csv_of(";", "12,50", "12.50"), ("in two ways, as '12,50' and as '12.50'",)),
    "thousands or decimals": (csv_of(";", "1,234", "1,250"), ("'1,234' may be 1234 or 1.234",)),
    "day or month": (
        csv_of().replace(b"2024-01-01", b"01/02/2024").replace(b"2024-01-02", b"02/03/2024"),
        ("the day and the month cannot be told apart", "write times as 2024-01-31"),
    ),
    "no dates": (
        csv_of().replace(b"2024-01-01", b"soon").replace(b"2024-01-02", b"2024-13-01"),
        ("time column 'date' holds 'soon', '2024-13-01'", "write them as 2024-01-31"),
    ),
    "two zones": (
        csv_of().replace(b"01-01", b"01-01T00:00Z").replace(b"01-02", b"01-02T00:00+09:00"),
        ("mixed time zones in 'date': 2", "one zone"),
    ),
    "an empty time": (csv_of().replace(b"2024-01-01", b""), ("'date' is empty in 1 rows", "drop")),
    "strings": (
        csv_of(a="x"),
        ("strings in number column 'close': 1", "2024-01-01 A 'x'", "Convert"),
    ),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_files_that_are_no_prices(name: str, tmp_path: Path) -> None:
    content, fragments = BAD_FILES[name]
    path = tmp_path / "prices.csv"
    path.write_bytes(content)
    refused(Case(name, lambda: DataFeed(path), DataError, ("prices: ", *fragments)))


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("nowhere/prices.csv", "No such file"),
        ("", "directory"),
        ("a\0b", "null byte"),
        ("~nobody-of-this-name/prices.csv", "Pass the whole path"),
    ],
    ids=repr,
)
def test_paths_of_no_file(path: str, said: str) -> None:
    with pytest.raises(DataError, match=re.escape("prices: cannot read the file")) as caught:
        DataFeed(path)
    assert said in str(caught.value)


GOOD_FILES = {
    "byte order mark": b"\xef\xbb\xbf" + csv_of(),
    "semicolons": csv_of(";"),
    "semicolons and decimal commas": csv_of(";", "1.234,5", "1.250,25"),
    "thousands": csv_of(";", "1,234.5", "1,250.25"),
    "thousands in quotes": csv_of(",", '"1,234.5"', '"1,250.25"'),
    "all of them, from Excel": b"\xef\xbb\xbf" + csv_of(";", "1.234,5", "1.250,25", "sep=;\n"),
}


@pytest.mark.parametrize("name", GOOD_FILES)
def test_files_that_are_only_strange(name: str, tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_bytes(GOOD_FILES[name])
    bars = DataFeed(path).bars
    assert bars.close.tolist() == [[1234.5], [1250.25]]
    assert bars.volume is not None
    assert bars.volume.tolist() == [[1.0], [2.0]]


# ---------------------------------------------------------------------- benchmarks


DAYS = [day(t) for t in range(5)]
LEVELS = [100.0, None, 110.0, 99.0, 120.0]


def levels(times: list[datetime], values: list[float | None]) -> pl.DataFrame:
    return pl.DataFrame({"date": times, "index": values}, schema_overrides={"index": pl.Float64})


TWO_LEVELS = levels(DAYS, LEVELS).with_columns(other=pl.lit(1.0))
BENCHMARKS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "no level is a number": (
        levels(DAYS, [None] * 5),
        ("benchmark 'index': not one level is a number", "2024-01-01", "2024-01-05"),
    ),
    "other dates": (
        levels([day(100), day(101)], [1.0, 2.0]),
        ("benchmark 'index': no time of it is a bar", "2024-04-10", "2024-01-05"),
    ),
    "other hours": (
        levels([time + timedelta(hours=16) for time in DAYS], LEVELS),
        ("benchmark 'index': no time of it is a bar", "2024-01-01 16:00", "to the nanosecond"),
    ),
    "no level where there are bars": (
        levels([*DAYS, day(9)], [*[None] * 5, 1.0]),
        ("benchmark 'index': no time of it is a bar", "2024-01-10"),
    ),
    "another zone": (
        levels(DAYS, LEVELS).with_columns(pl.col("date").dt.replace_time_zone("Asia/Tokyo")),
        ("benchmark 'index': times are in Asia/Tokyo, those of prices in no zone",),
    ),
    "returns": (
        levels(DAYS, [0.0, 0.01, -0.02, 0.01, 0.0]),
        (
            "benchmark: levels of 'index' that are not finite and above zero: 3",
            "2024-01-01 00:00:00 0;",
            "2024-01-03 00:00:00 -0.02",
            "(1 + returns).cumprod()",
        ),
    ),
    "an infinity": (levels(DAYS, [1.0, INF, 1.0, 1.0, 1.0]), ("'index'", "2024-01-02", "inf")),
    "two columns": (
        TWO_LEVELS,
        ("2 columns of levels: 'index', 'other'; select the time and one",),
    ),
    "no columns": (TWO_LEVELS.select("date"), ("no columns besides 'date'",)),
    "no rows": (levels([], []), ("benchmark: the frame has no rows",)),
    "no times": (
        TWO_LEVELS.select("index"),
        ("benchmark: no column timestamp or date", "found: 'index'. Give it one of these names"),
    ),
    "the same time twice": (
        levels([*DAYS, day(4)], [*LEVELS, 1.0]),
        ("benchmark: times that appear more than once: 1, the first: 2024-01-05",),
    ),
    "strings": (
        TWO_LEVELS.select("date", index=pl.lit("x")),
        ("benchmark", "'index'", "not numbers"),
    ),
    "no asset": ("AA", ("benchmark: 'AA' is no asset of the feed (nearest: 'A')", "'A', 'B'")),
    "no file": ("bench.csv", ("benchmark: 'bench.csv' is no asset of the feed", "and no file")),
    "no dataframe": (
        3.5,
        ("benchmark: 3.5 is nothing to compare with; pass the name of an asset, a frame", "result"),
    ),
    "an array": (np.ones(5), ("benchmark: array([1.", "is nothing to compare with")),
}


@pytest.mark.parametrize("name", BENCHMARKS)
def test_benchmarks(name: str) -> None:
    closes = {"A": [10.0, 10.0, 12.0, 9.0, 12.0], "B": [5.0] * 5}
    result = run_script({}, closes)
    source, fragments = BENCHMARKS[name]
    refused(Case(name, result.statistics, InputError, fragments), source)


# ---------------------------------------------------------------------- strange but valid


@makes
def test_rows_out_of_order_are_sorted_with_a_warning(make: Any) -> None:
    prices = GOOD.with_columns(close=pl.Series([9.5, 10.0, 10.5, 11.0, 11.5]))
    with pytest.warns(DataWarning, match="prices: rows were not in the order of time"):
        feed = DataFeed(make(prices.reverse()))
    assert feed.bars.close[:, 0].tolist() == [9.5, 10.0, 10.5, 11.0, 11.5]


#: Figures that need returns, or a span of time.
UNDEFINED = {
    1: {"annual_return", "volatility", "sharpe_ratio", "annual_turnover"},
    2: {"volatility", "sharpe_ratio"},
    5: {"sharpe_ratio"},
}


@makes
@pytest.mark.parametrize("n_bars", UNDEFINED)
def test_a_strategy_that_never_trades(make: Any, n_bars: int, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = run_backtest(make(GOOD.head(n_bars)), Strategy())
        metrics = result.metrics
        assert "Final equity" in result.summary()
        result.save(tmp_path / "run")
    assert result.equity["equity"].to_list() == [100_000.0] * n_bars
    assert result.fills.height == result.orders.height == result.positions.height == 0
    assert {name for name, value in metrics.items() if math.isnan(value)} == UNDEFINED[n_bars]
    zeros = {name for name, value in metrics.items() if value == 0.0}
    assert zeros | UNDEFINED[n_bars] | {"initial_cash", "final_equity"} == set(metrics)
    assert metrics["initial_cash"] == metrics["final_equity"] == 100_000.0
    assert json.loads((tmp_path / "run" / "result.json").read_text())["period"]["bars"] == n_bars


def test_a_feed_of_one_bar_that_is_traded() -> None:
    # at the close of its only bar: 5 units at 10, nothing gained
    config = BacktestConfig(initial_cash=1_000.0, execution_mode="same_bar")
    result = run_script({0: buy("A", 5)}, {"A": [10.0]}, config)
    assert result.equity.row(0)[1:] == (1_000.0, 950.0, 0.05, 0.05)
    assert result.metrics["turnover"] == 0.025  # half of 50 / 1 000
    assert math.isnan(result.metrics["sharpe_ratio"])


def test_targets_of_nothing_trade_nothing() -> None:
    broker = Broker(initial_cash=1_000.0)
    broker.step(day(0), bars_of(A=10.0))
    before = state_of(broker)[:5]
    assert TargetWeightExecutor().execute({}, broker.data, broker) == []
    assert state_of(broker)[:5] == before


def test_signals_of_a_frame_without_columns_are_no_signals() -> None:
    feed = DataFeed(long_frame({"A": [1.0]}), long_frame({"A": [1.0]}).select("timestamp", "asset"))
    assert feed.bars.signals == {}
