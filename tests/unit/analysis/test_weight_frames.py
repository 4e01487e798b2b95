"""What was asked for and what became of it, worked by hand, on both roads and after loading."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from helpers import Values, day, feed_of, long_frame, run_script
from ml4t.backtest import (
    BacktestConfig,
    BacktestResult,
    DataFeed,
    Engine,
    RebalanceConfig,
    Strategy,
    TargetWeightExecutor,
    WeightSchedule,
    run_weights,
)
from ml4t.backtest.analysis.weight_frames import KINDS
from ml4t.backtest.costs import PercentCommission
from ml4t.backtest.errors import InputError, WeightsError

Rows = dict[int, dict[str, float]]
CLOSE: Values = {"A": [10.0, 10.0, 12.0, 15.0], "B": [20.0, 20.0, 25.0, 20.0]}
RULES = RebalanceConfig(min_trade_value=0.0, max_single_weight=0.5)


def config_of(rules: RebalanceConfig = RULES, **settings: Any) -> BacktestConfig:
    return BacktestConfig(initial_cash=1_000.0, rebalance=rules, **settings)


class Rebalances(Strategy):
    """Sends the weights of a time at that time."""

    def __init__(self, rows: Mapping[datetime, dict[str, float]]) -> None:
        self.rows = rows

    def on_data(self, timestamp: datetime, data: Any, context: Any, broker: Any) -> None:
        if timestamp in self.rows:
            TargetWeightExecutor().execute(self.rows[timestamp], data, broker)


def both(rows: Rows, feed: DataFeed, config: BacktestConfig) -> BacktestResult:
    """Trade the rows on both roads; their weights are the same."""
    by_time = {day(t): weights for t, weights in rows.items()}
    compiled = run_weights(feed, by_time, config)
    stepped = Engine(feed, Rebalances(by_time), config).run()
    for kind in KINDS:
        assert_frame_equal(compiled.weights(kind), stepped.weights(kind), check_exact=True)
    return compiled


def check(result: BacktestResult, expected: dict[str, dict[str, list[float | None]]]) -> None:
    """Hold every kind to its columns; the times are those of the plans."""
    for kind in KINDS:
        found = result.weights(kind)
        assert found.columns == ["timestamp", *expected[kind]]
        for asset, weights in expected[kind].items():
            assert found[asset].to_list() == pytest.approx(weights), (kind, asset)


def test_a_cap_whole_shares_and_an_asset_that_is_dropped() -> None:
    result = both({0: {"A": 0.7, "B": 0.33}, 2: {"A": 0.3}}, feed_of(CLOSE), config_of())
    for kind in KINDS:
        assert result.weights(kind)["timestamp"].to_list() == [day(0), day(2)]
    check(
        result,
        {
            # bar 2: B is in no target any more
            "requested": {"A": [0.7, 0.3], "B": [0.33, None]},
            # 0.7 is capped at 0.5
            "target": {"A": [0.5, 0.3], "B": [0.33, 0.0]},
            # bar 0: 50 A, 0.33 * 1 000 / 20 = 16.5 -> 16 B worth 320. They fill at the same prices;
            # bar 2: 180 cash, 50 * 12 + 16 * 25: 1 180; 0.3 * 1 180 / 12 = 29.5 -> 29 A worth 348
            "planned": {"A": [0.5, 348 / 1_180], "B": [0.32, 0.0]},
            # bar 3: 21 A sold at 15, 16 B at 20: cash 180 + 315 + 320 = 815, and 29 * 15 = 435
            "filled": {"A": [0.5, 435 / 1_250], "B": [0.32, 0.0]},
            # bar 2, before it is traded; the last close
            "drifted": {"A": [600 / 1_180, 435 / 1_250], "B": [400 / 1_180, 0.0]},
        },
    )


def test_a_skipped_row() -> None:
    rows = {0: {"A": 0.5, "C": 0.005}, 1: {"A": 0.505, "B": 0.2, "C": 0.0}}
    close = {"A": [10.0] * 3, "B": [20.0] * 3, "C": [5.0] * 3}
    result = both(rows, feed_of(close), config_of(RebalanceConfig(min_trade_value=0.0)))
    # 0.005 of C, and of A more, are below the 0.01 of `min_weight_change`
    a, b, c = [0.5, 0.5], [0.0, 0.2], [0.0, 0.0]
    check(
        result,
        {
            "requested": {"A": [0.5, 0.505], "B": [None, 0.2], "C": [0.005, 0.0]},
            "target": {"A": [0.5, 0.505], "B": [0.0, 0.2], "C": [0.005, 0.0]},
            "planned": {"A": a, "B": b, "C": c},
            "filled": {"A": a, "B": b, "C": c},
            # bar 1 before its trades, and the last bar
            "drifted": {"A": a, "B": b, "C": c},
        },
    )


def test_a_partial_fill_with_orders_that_go_on_and_count() -> None:
    feed = feed_of({"A": [10.0] * 4}, volume={"A": [40.0] * 4})
    rules = RebalanceConfig(min_trade_value=0.0, cancel_before_rebalance=False)
    config = config_of(rules, max_participation=0.5)
    result = both({0: {"A": 0.5}, 2: {"A": 0.6}}, feed, config)
    check(
        result,
        {
            "requested": {"A": [0.5, 0.6]},
            "target": {"A": [0.5, 0.6]},
            # bar 2: 40 are held, 10 still work and count, 10 more are sent
            "planned": {"A": [0.5, 0.6]},
            # 20 a bar
            "filled": {"A": [0.2, 0.6]},
            "drifted": {"A": [0.4, 0.6]},
        },
    )


def test_a_plan_with_no_next_bar() -> None:
    result = both({0: {"A": 0.5}, 3: {"A": 0.2}}, feed_of(CLOSE), config_of())
    # 50 A for 500: at 15 they are 750 of 1 250, and 0.2 are 16 of them worth 240
    check(
        result,
        {
            "requested": {"A": [0.5, 0.2]},
            "target": {"A": [0.5, 0.2]},
            "planned": {"A": [0.5, 240 / 1_250]},
            "filled": {"A": [0.5, None]},
            "drifted": {"A": [0.6, 0.6]},
        },
    )


def test_at_the_same_close_with_costs() -> None:
    config = config_of(execution_mode="same_bar", commission=PercentCommission(0.01))
    result = both({0: {"A": 0.5}, 2: {"A": 0.25}}, feed_of(CLOSE), config)
    # bar 0: 50 A for 500 and 5, equity 995. Bar 2: 495 + 600 = 1 095, 0.25 of it 273.75 / 12 = 22.8
    # -> 22 A worth 264; 28 sold for 336 less 3.36: equity 1 091.64. Bar 3: 827.64 + 330 = 1 157.64
    check(
        result,
        {
            "requested": {"A": [0.5, 0.25]},
            "target": {"A": [0.5, 0.25]},
            "planned": {"A": [0.5, 264 / 1_095]},
            "filled": {"A": [500 / 995, 264 / 1_091.64]},
            "drifted": {"A": [600 / 1_095, 330 / 1_157.64]},
        },
    )


def test_what_is_held_back_has_no_target() -> None:
    rules = RebalanceConfig(min_trade_value=0.0, unmentioned="hold")
    result = both({0: {"A": 0.5}, 1: {"B": 0.2}}, feed_of(CLOSE), config_of(rules))
    assert result.weights("requested").rows() == [(day(0), 0.5, None), (day(1), None, 0.2)]
    assert result.weights("target").rows() == [(day(0), 0.5, 0.0), (day(1), None, 0.2)]
    assert result.weights("planned").rows() == [(day(0), 0.5, 0.0), (day(1), 0.5, 0.2)]


def test_without_equity() -> None:
    feed = feed_of({"A": [10.0, 10.0, None, None, None], "B": [20.0] * 5})
    rules = RebalanceConfig(min_trade_value=0.0)
    result = both({0: {"A": 1.0}, 3: {"B": 0.5}}, feed, config_of(rules, delisting="write_off"))
    assert result.equity["equity"].to_list() == [1_000.0, 1_000.0, 0.0, 0.0, 0.0]
    nothing = (day(3), None, None)
    assert result.weights("requested").rows() == [(day(0), 1.0, None), (day(3), None, 0.5)]
    assert result.weights("target").rows() == [(day(0), 1.0, 0.0), nothing]
    assert result.weights("planned").rows() == [(day(0), 1.0, 0.0), nothing]
    assert result.weights("filled").rows() == [(day(0), 1.0, 0.0), nothing]
    # what the second plan found was worth nothing, and so it is at the end
    assert result.weights("drifted").rows() == [(day(0), None, None), nothing]


def test_working_orders_on_the_other_side_that_a_plan_cancels() -> None:
    """25 of 50 are to be sold and count; the plan for 40 cancels that and sells 10 instead."""
    rules = RebalanceConfig(
        min_trade_value=0.0, cancel_before_rebalance=False, account_for_pending=True
    )
    executor = TargetWeightExecutor(rules)
    result = run_script(
        {
            0: lambda data, broker: executor.execute({"A": 0.5}, data, broker),
            2: lambda data, broker: [
                broker.submit_order("A", 25, "sell"),
                executor.execute({"A": 0.4}, data, broker),
            ],
        },
        {"A": [10.0] * 4},
        config_of(),
    )
    assert result.orders["quantity"].to_list() == [50.0, 25.0, 10.0]
    assert result.rebalances["effective_weight"].to_list() == [0.0, 0.25]
    assert result.weights("planned")["A"].to_list() == [0.5, 0.4]
    assert result.weights("filled")["A"].to_list() == [0.5, 0.4]


def test_two_plans_at_one_bar_share_what_came_of_them() -> None:
    executor = TargetWeightExecutor(RULES)
    result = run_script(
        {
            0: lambda data, broker: [
                executor.execute({"A": 0.5}, data, broker),
                executor.execute({"B": 0.4}, data, broker),
            ],
            2: lambda data, broker: executor.execute({"A": 0.1}, data, broker),
        },
        CLOSE,
        config_of(),
    )
    times = [day(0), day(0), day(2)]
    # the second plan cancels what the first has ordered, and buys 20 B; at 25 they are 500 of 1 100
    assert result.weights("requested")["timestamp"].to_list() == times
    assert result.weights("planned")["A"].to_list()[:2] == [0.5, 0.0]
    assert result.weights("planned")["B"].to_list()[:2] == [0.0, 0.4]
    assert result.weights("filled")["B"].to_list()[:2] == [0.4, 0.4]
    assert result.weights("drifted")["B"].to_list()[:2] == pytest.approx([500 / 1_100] * 2)
    assert result.weights("drifted")["A"].to_list()[:2] == [0.0, 0.0]


@pytest.mark.parametrize("zone", [None, "America/New_York"])
def test_the_requested_weights_are_the_schedule(zone: str | None, tmp_path: Path) -> None:
    frame = long_frame(CLOSE).with_columns(pl.col("timestamp").dt.replace_time_zone(zone))
    weights = pl.DataFrame(
        {"timestamp": [day(0), day(1), day(2)], "A": [0.25, None, 0.5], "B": [0.7, 0.5, None]}
    ).with_columns(pl.col("timestamp").dt.replace_time_zone(zone))
    schedule = WeightSchedule.from_frame(weights)
    result = run_weights(frame, schedule, config_of())
    assert WeightSchedule.from_frame(result.weights("requested")) == schedule
    result.save(tmp_path / "run")
    loaded = BacktestResult.load(tmp_path / "run")
    for kind in KINDS:
        assert_frame_equal(loaded.weights(kind), result.weights(kind), check_exact=True)
    again = run_weights(frame, loaded.weights("requested"), config_of())
    assert_frame_equal(again.rebalances, result.rebalances, check_exact=True)


def test_a_run_without_plans() -> None:
    result = run_script({}, {"A": [10.0]})
    for kind in KINDS:
        frame = result.weights(kind)
        assert frame.schema == {"timestamp": pl.Datetime("ns")}
        assert frame.height == 0


def test_another_kind() -> None:
    result = run_script({}, {"A": [10.0]})
    for kind in ("held", None, ["filled"]):
        with pytest.raises(InputError, match=r"no kind .*; use one of 'requested', 'target'"):
            result.weights(kind)  # type: ignore[arg-type]


def test_an_asset_called_timestamp() -> None:
    frame = long_frame({"timestamp": [10.0, 10.0]})
    result = run_weights(frame, {day(0): {"timestamp": 0.5}}, config_of())
    with pytest.raises(WeightsError, match="an asset is called 'timestamp'"):
        result.weights("filled")
