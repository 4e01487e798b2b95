"""run_weights at its border: what it refuses and in which words, and what it warns of."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pytest

from helpers import Values, day, feed_of, long_frame
from ml4t.backtest import (
    BacktestConfig,
    DataFeed,
    Engine,
    RebalanceConfig,
    Strategy,
    TargetWeightExecutor,
    WeightSchedule,
    replay,
    run_weights,
)
from ml4t.backtest.errors import (
    BacktestError,
    ConfigError,
    DataError,
    DataWarning,
    InputError,
    RebalanceWarning,
    WeightsError,
)
from ml4t.backtest.frames import FRAMES
from ml4t.backtest.kernel import loop

CLOSE: Values = {"AAPL": [10.0, 10.0, 12.0, 15.0], "MSFT": [20.0, 20.0, 25.0, 20.0]}
HALF = {day(0): {"AAPL": 0.5}}


@dataclass(frozen=True)
class StampDuty:
    """A commission of the user's own."""

    rate: float

    def commission(self, asset: str, quantity: float, notional: float) -> float:
        return self.rate * notional


@dataclass(frozen=True)
class HalfSpread:
    """A slippage of the user's own."""

    def fill_price(self, asset: str, quantity: float, price: float) -> float:
        return price


def wide(times: list[int], **weights: list[float | None]) -> pl.DataFrame:
    columns = {name: pl.Series(values, dtype=pl.Float64) for name, values in weights.items()}
    return pl.DataFrame({"timestamp": [day(t) for t in times], **columns})


def config_of(**rules: Any) -> BacktestConfig:
    return BacktestConfig(initial_cash=1_000.0, rebalance=RebalanceConfig(**rules))


Call = Callable[[DataFeed], object]
REFUSED: dict[str, tuple[Call, type[BacktestError], list[str]]] = {
    "a time that is no bar": (
        lambda feed: run_weights(feed, wide([0, 9], AAPL=[0.5, 0.4])),
        InputError,
        ["weights", "2024-01-10", 'align="next"'],
    ),
    "a time after the last bar, to be moved": (
        lambda feed: run_weights(feed, wide([0, 9], AAPL=[0.5, 0.4]), align="next"),
        WeightsError,
        ["after the last bar, 2024-01-04", "2024-01-10", "drop them or add prices"],
    ),
    "an asset that the feed does not have": (
        lambda feed: run_weights(feed, wide([0], AAPL=[0.5], MSTF=[0.1])),
        WeightsError,
        ["'MSTF'", "not assets of the feed", "'MSFT'", "drop them or add their prices"],
    ),
    "two rows for one time": (
        lambda feed: run_weights(feed, WeightSchedule([day(1), day(1)], ["AAPL"], [[0.5], [0.4]])),
        WeightsError,
        ["two rows for 2024-01-02", "keep one"],
    ),
    "two rows of a frame for one time": (
        lambda feed: run_weights(feed, wide([1, 1], AAPL=[0.5, 0.4])),
        DataError,
        ["weights", "2024-01-02"],
    ),
    "not one number": (
        lambda feed: run_weights(feed, wide([0, 1], AAPL=[None, None])),
        WeightsError,
        ["2 rows and 1 assets", "nothing to decide"],
    ),
    "a schedule of another period": (
        lambda feed: run_weights(feed, wide([-9, -8], AAPL=[0.5, 0.4])),
        WeightsError,
        ["last decision, 2023-12-24", "before the first bar, 2024-01-01", "pass prices"],
    ),
    "a schedule of another period, to be moved": (
        lambda feed: run_weights(feed, wide([-9], AAPL=[0.5]), align="next"),
        WeightsError,
        ["last decision, 2023-12-23", "before the first bar, 2024-01-01"],
    ),
    "a matrix of another shape": (
        lambda feed: run_weights(
            feed, WeightSchedule([day(0), day(1)], ["AAPL", "MSFT"], np.zeros((1, 2)))
        ),
        WeightsError,
        ["shape (1, 2)", "2 times and 2 assets need (2, 2)"],
    ),
    "an unknown align": (
        lambda feed: run_weights(feed, HALF, align="nearest"),
        WeightsError,
        ["align: 'nearest' is unknown", '"exact" or "next"'],
    ),
    "rules in place of a config": (
        lambda feed: run_weights(feed, HALF, RebalanceConfig()),  # type: ignore[arg-type]
        ConfigError,
        ["a RebalanceConfig is not a BacktestConfig", "rebalance="],
    ),
    "a dict in place of a config": (
        lambda feed: run_weights(feed, HALF, {"initial_cash": 1.0}),  # type: ignore[arg-type]
        ConfigError,
        ["a dict is not a BacktestConfig", "pass BacktestConfig(...)"],
    ),
    "a cap on volume without volume": (
        lambda feed: run_weights(feed, HALF, BacktestConfig(max_participation=0.1)),
        DataError,
        ["max_participation", "needs a volume column", "add it or change the setting"],
    ),
    "a commission in Python": (
        lambda feed: run_weights(feed, HALF, BacktestConfig(commission=StampDuty(0.005))),
        ConfigError,
        ["StampDuty(rate=0.005)", "Engine"],
    ),
    "a slippage in Python": (
        lambda feed: run_weights(feed, HALF, BacktestConfig(slippage=HalfSpread())),
        ConfigError,
        ["HalfSpread()", "Engine"],
    ),
    "what is held and not mentioned": (
        lambda feed: run_weights(
            feed, wide([0, 2], AAPL=[0.5, None], MSFT=[None, 0.5]), config_of(unmentioned="error")
        ),
        InputError,
        ["weights at 2024-01-03", "'AAPL'", "held but not in the targets", "0.0 closes it"],
    ),
    "no schedule at all": (
        lambda feed: run_weights(feed, [0.5, 0.5]),
        BacktestError,
        ["weights", "list"],
    ),
    "an infinity": (
        lambda feed: run_weights(feed, wide([0, 1], AAPL=[0.5, float("inf")])),
        BacktestError,
        ["weights", "2024-01-02", "AAPL"],
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str) -> None:
    call, error, fragments = REFUSED[name]
    feed = feed_of(CLOSE)
    with pytest.raises(error) as caught:
        call(feed)
    message = str(caught.value)
    assert isinstance(caught.value, ValueError)
    assert [part for part in fragments if part not in message] == [], message
    # a feed is as good as before
    assert run_weights(feed, HALF, config_of()).fills["quantity"].to_list() == [50.0]


def test_a_later_row_replaces_one_that_moves_to_its_bar() -> None:
    close: Values = {"AAPL": [10.0, None, 10.0, 10.0], "MSFT": [None] * 4}
    feed = feed_of(close)
    with pytest.warns(DataWarning, match="1 rows are not used.* 2024-01-02.* 2024-01-03") as heard:
        result = run_weights(feed, wide([1, 2], AAPL=[0.5, 0.2]), config_of(), align="next")
    assert heard[0].filename == __file__
    # 0.2 * 1 000 / 10
    assert result.fills["quantity"].to_list() == [20.0]
    assert result.weights("requested").rows() == [(day(2), 0.2)]


class Rebalances(Strategy):
    """Sends the weights of a schedule."""

    def __init__(self, weights: WeightSchedule) -> None:
        self.rows = dict(weights.rows())

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        if timestamp in self.rows:
            TargetWeightExecutor().execute(self.rows[timestamp], data, broker)


def test_one_warning_for_all_that_was_skipped() -> None:
    """Of 1 000: 0.08 twice by weight, 0.06 by value, 0.01 that need no warning; the rest trades."""
    rows = wide([0, 1, 2, 3, 4], A=[0.08, 0.12, 0.2, 0.21, None], B=[0.5, 0.5, 0.5, 0.5, 0.6])
    close: Values = {"A": [10.0] * 6, "B": [10.0] * 6}
    config = config_of(min_weight_change=0.09, min_trade_value=130.0)
    with pytest.warns(RebalanceWarning) as heard:
        result = run_weights(feed_of(close), rows, config)
    # bar 0: 0.08 of A are below 0.09. Bar 1: 0.12 are not, but worth 120, less than 130.
    # Bar 2: 0.2 are bought. Bar 3: 0.01. Bar 4: A is closed, 0.1 of B are worth 100
    assert result.fills["quantity"].to_list() == [50.0, 20.0, 20.0]
    assert [str(one.message) for one in heard] == [
        "3 of 5 rebalances skip increases of more than 5% of equity because of "
        "min_weight_change=0.09 and min_trade_value=130, the most at 2024-01-02 00:00:00: 12.0%; "
        "lower the threshold if these positions are wanted"
    ]
    assert heard[0].filename == __file__  # it points at the caller

    with pytest.warns(RebalanceWarning) as heard:
        Engine(feed_of(close), Rebalances(WeightSchedule.from_frame(rows)), config).run()
    begins = [
        f"the rebalance skips increases of {share} of" for share in ("8.0%", "12.0%", "10.0%")
    ]
    assert [str(one.message)[: len(begins[0])] for one in heard] == [
        text[: len(begins[0])] for text in begins
    ]


def test_what_does_not_warn() -> None:
    """0.05 is the limit itself; a decrease that is skipped is none."""
    rows = wide([0, 1, 2], A=[0.05, 0.5, 0.45])
    config = config_of(min_weight_change=0.06, min_trade_value=0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = run_weights(feed_of({"A": [10.0] * 4}), rows, config)
    reasons = ["weight_change_too_small", "ordered", "weight_change_too_small"]
    assert result.rebalances["reason"].to_list() == reasons


def test_the_loop_comes_back_to_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that Ctrl-C is heard. Where it does so changes nothing."""
    close: Values = {"A": [10.0, 11.0, 12.0, 13.0, 12.0], "B": [20.0, 21.0, None, None, None]}
    rows = wide([0, 2, 3], A=[0.5, 0.2, 0.9], B=[0.4, 0.4, None])
    whole = run_weights(feed_of(close), rows, config_of())
    asked: list[tuple[int, int]] = []
    run_bars = loop.run_bars

    def noted(start: int, stop: int, *given: Any) -> tuple[int, int]:
        asked.append((start, stop))
        return run_bars(start, stop, *given)

    monkeypatch.setattr(loop, "run_bars", noted)
    monkeypatch.setattr(replay, "_CELLS_AT_ONCE", 4)
    in_parts = run_weights(feed_of(close), rows, config_of())
    assert asked == [(0, 2), (2, 4), (4, 5)]
    for name in FRAMES:
        assert getattr(in_parts, name).equals(getattr(whole, name), null_equal=True), name

    def stopped(start: int, stop: int, *given: Any) -> tuple[int, int]:
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "run_bars", stopped)
    with pytest.raises(KeyboardInterrupt):
        run_weights(feed_of(close), rows, config_of())


def test_a_frame_of_prices_will_do() -> None:
    result = run_weights(long_frame(CLOSE), HALF, config_of())
    assert result.fills["quantity"].to_list() == [50.0]


def test_weights_that_may_be_percent() -> None:
    rows = wide([0, 1], AAPL=[40.0, 0.5], MSFT=[50.0, None])
    with pytest.warns(DataWarning, match="of 2024-01-01 00:00:00 sum to 90 .*1 of 2 rows.*by 100"):
        result = run_weights(feed_of(CLOSE), rows, config_of())
    assert result.rebalances["adjustments"][0] == "capped,scaled"
