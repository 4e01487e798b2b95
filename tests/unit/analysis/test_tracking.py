"""Tracking of small runs, by hand."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from helpers import Script, Values, buy, day, feed_of, run_script
from ml4t.backtest import (
    BacktestConfig,
    BacktestResult,
    Engine,
    RebalanceConfig,
    TargetWeightExecutor,
    run_weights,
)
from ml4t.backtest.analysis.tracking import Tracking
from ml4t.backtest.costs import FixedCommission, PercentCommission, PercentSlippage

Rows = dict[int, dict[str, float]]
CLOSE: Values = {"A": [10.0, 10.0, 12.0, 15.0], "B": [20.0, 20.0, 25.0, 20.0]}

pytestmark = pytest.mark.filterwarnings("ignore::ml4t.backtest.errors.RebalanceWarning")


def trade(
    rows: Rows, close: Values, rules: dict[str, Any] | None = None, **settings: Any
) -> BacktestResult:
    rebalance = RebalanceConfig(**({"min_trade_value": 0.0} | (rules or {})))
    volume = settings.pop("volume", None)
    fields = {} if volume is None else {"volume": volume}
    settings = {"initial_cash": 1_000.0} | settings
    config = BacktestConfig(rebalance=rebalance, **settings)
    return run_weights(feed_of(close, **fields), {day(t): w for t, w in rows.items()}, config)


def check(frame: pl.DataFrame, **columns: list[Any]) -> None:
    for name, expected in columns.items():
        found = frame[name].to_list()
        if any(isinstance(value, float) for value in expected):
            assert found == pytest.approx(expected, abs=1e-10), name
        else:
            assert found == expected, name


ROWS: Rows = {0: {"A": 0.7, "B": 0.33}, 2: {"A": 0.3}}


def test_close_by_close() -> None:
    found = trade(ROWS, CLOSE, {"max_single_weight": 0.5}).tracking(0.05)
    # Bar 0: targets 0.5 (capped) and 0.33, nothing is held. Bar 1: 50 A are 0.5, 16 B 0.32.
    # Bar 2: equity 180 + 600 + 400 = 1 180; targets 0.3 and 0. Bar 3: 21 A and 16 B were sold,
    # 29 A at 15 are left, and equity is 1 250.
    a, b, left = 600 / 1_180 - 0.3, 400 / 1_180, 435 / 1_250 - 0.3
    frame = found.over_time
    assert frame.columns == [
        *("timestamp", "plan_idx", "distance", "largest_drift", "asset", "out_of_band")
    ]
    check(
        frame,
        timestamp=[day(0), day(1), day(2), day(3)],
        plan_idx=[0, 0, 1, 1],
        distance=[0.415, 0.005, (a + b) / 2, left / 2],
        largest_drift=[-0.5, -0.01, b, left],
        asset=["A", "B", "B", "A"],
        out_of_band=[True, False, True, False],
    )
    assert found.days_out_of_band == 2
    check(
        found.by_rebalance,
        plan_idx=[0, 1],
        timestamp=[day(0), day(2)],
        turnover_requested=[0.415, (a + b) / 2],
        # 50 * 10 + 16 * 20; 21 * 12 + 16 * 25
        turnover_planned=[820 / 1_000 / 2, 652 / 1_180 / 2],
        # at the prices of the next bar: 21 * 15 + 16 * 20
        turnover_executed=[820 / 1_000 / 2, 635 / 1_180 / 2],
        n_requested=[2, 2],
        n_ordered=[2, 2],
        n_filled=[2, 2],
        n_filled_in_part=[0, 0],
        status=["executed", "executed"],
        distance_before=[0.415, (a + b) / 2],
        distance_after=[0.005, left / 2],
    )
    assert found.skipped.is_empty()
    assert found.cost_note == ""
    distances = [0.415, 0.005, (a + b) / 2, left / 2]
    assert found.summary == pytest.approx(
        {
            "days": 4,
            "days_out_of_band": 2,
            "average_distance": sum(distances) / 4,
            "largest_distance": 0.415,
            "rebalances": 2,
            "executed": 2,
            "executed_in_part": 0,
            "not_executed": 0,
            "nothing_to_do": 0,
            "turnover_requested": 0.415 + (a + b) / 2,
            "turnover_planned": 0.41 + 652 / 2_360,
            "turnover_executed": 0.41 + 635 / 2_360,
            "skipped_rows": 0,
            "skipped_turnover": 0,
            "skipped_cost": 0,
        }
    )
    assert repr(found) == (
        "Tracking(2 rebalances, 2 executed and 0 in part, 2 of 4 days out of the band of 5.00%, "
        "average distance 17.94%)"
    )


def test_days_are_those_of_the_calendar_of_the_bars() -> None:
    # Closes every 8 hours: 1, 2, 2, 2, 3 and 3 January in New York, two days by UTC. Half of
    # equity is wanted in A; what was bought at the first close is far above that from the third on.
    stamps = pl.datetime_range(
        datetime(2024, 1, 2, 4), datetime(2024, 1, 3, 20), "8h", time_zone="UTC", eager=True
    ).dt.convert_time_zone("America/New_York")
    closes = [10.0, 10.0, 20.0, 20.0, 20.0, 10.0]
    prices = pl.DataFrame({"timestamp": stamps, "asset": "A", "close": closes})
    config = BacktestConfig(initial_cash=1_000.0, execution_mode="same_bar")
    weights = pl.DataFrame({"timestamp": stamps[:1], "A": [0.5]})
    found = run_weights(prices, weights, config).tracking()
    check(found.over_time, out_of_band=[False, False, True, True, True, False])
    assert [time.day for time in found.over_time["timestamp"]] == [1, 2, 2, 2, 3, 3]
    assert found.days_out_of_band == found.summary["days_out_of_band"] == 2
    assert found.summary["days"] == 3
    assert "2 of 3 days out of the band" in repr(found)


def test_the_band_itself_is_not_out_of_it() -> None:
    # 25 of 1 000 each drift by exactly that
    frame = trade({0: {"A": 0.5}}, {"A": [10.0] * 3}).tracking(0.5).over_time
    check(frame, out_of_band=[False, False, False], asset=["A", None, None])


def test_at_the_same_close_the_equity_is_that_before_the_trade() -> None:
    config = {"execution_mode": "same_bar", "commission": PercentCommission(0.01)}
    found = trade({0: {"A": 0.5}, 2: {"A": 0.25}}, CLOSE, **config).tracking()
    # Bar 0: 50 A for 500, of an equity of 1 000; 995 are left. Bar 2: 495 + 600 = 1 095, and 28 A
    # are sold for 336 at a cost of 3.36.
    check(
        found.by_rebalance,
        turnover_planned=[500 / 1_000 / 2, 336 / 1_095 / 2],
        turnover_executed=[500 / 1_000 / 2, 336 / 1_095 / 2],
        distance_before=[0.25, (600 / 1_095 - 0.25) / 2],
        distance_after=[(500 / 995 - 0.5) / 2, (0.25 - 264 / 1_091.64) / 2],
    )
    check(
        found.over_time,
        distance=[
            (500 / 995 - 0.5) / 2,
            (500 / 995 - 0.5) / 2,
            (0.25 - 264 / 1_091.64) / 2,
            (330 / 1_157.64 - 0.25) / 2,
        ],
    )


def test_what_thresholds_skip_and_what_it_would_have_cost() -> None:
    rows = {0: {"A": 0.5, "C": 0.005}, 1: {"A": 0.505, "B": 0.2, "C": 0.0}}
    close: Values = {"A": [10.0] * 3, "B": [20.0] * 3, "C": [5.0] * 3}
    found = trade(rows, close, commission=FixedCommission(2.0)).tracking()
    # Equity 1 000, then 998: A has 500 / 998. Of C 0.005 are skipped, of A what is missing to
    # 0.505. B: 0.2 of 998 are 9 shares.
    missing = 0.505 - 500 / 998
    requested = 0.505 + missing + 0.2
    frame = found.skipped
    assert frame.columns == [
        *("reason", "n_rows", "weight", "value", "estimated_cost", "share_of_requested")
    ]
    check(
        frame,
        reason=["weight_change_too_small"],
        n_rows=[2],
        weight=[0.005 + missing],
        value=[5.0 + missing * 998],
        estimated_cost=[4.0],
        share_of_requested=[(0.005 + missing) / requested],
    )
    check(
        found.by_rebalance,
        n_requested=[2, 2],
        n_ordered=[1, 1],
        n_filled=[1, 1],
        # what thresholds keep back is no failure of the rebalance
        status=["executed", "executed"],
    )
    summary = found.summary
    assert (summary["skipped_rows"], summary["skipped_cost"]) == (2.0, 4.0)
    assert summary["skipped_turnover"] == pytest.approx((0.005 + missing) / 2)


def test_every_threshold_by_its_name() -> None:
    """In the order in which they are judged; equity 1 000, nothing held."""
    rules = {
        "min_weight_change": 0.01,
        "min_trade_value": 20.0,
        "ignore_if_cost_exceeds_bps": 100.0,
    }
    close: Values = {"A": [10.0] * 2, "B": [10.0] * 2, "C": [300.0] * 2, "D": [10.0] * 2}
    rows = {0: {"A": 0.005, "B": 0.015, "C": 0.2, "D": 0.03}}
    # 0.3 of 30 is 100 bps, and 1 is more
    costs = {"commission": FixedCommission(1.0), "slippage": PercentSlippage(0.01)}
    found = trade(rows, close, rules, **costs).tracking()
    check(
        found.skipped,
        reason=[
            *("weight_change_too_small", "trade_value_too_small"),
            *("rounds_to_zero_shares", "cost_too_high"),
        ],
        n_rows=[1, 1, 1, 1],
        weight=[0.005, 0.015, 0.2, 0.03],
        value=[5.0, 15.0, 200.0, 30.0],
        # a fee of 1 and a hundredth of the value
        estimated_cost=[1.05, 1.15, 3.0, 1.3],
        share_of_requested=[0.02, 0.06, 0.8, 0.12],
    )
    # all that was asked for was kept back
    check(found.by_rebalance, status=["not executed"], n_requested=[4], n_ordered=[0])
    check(found.by_rebalance, turnover_requested=[0.125], turnover_planned=[0.0])


@dataclass(frozen=True)
class Stamp:
    """A fee of a hundredth of what is bought."""

    def commission(self, asset: str, quantity: float, notional: float) -> float:
        return 0.01 * notional if quantity > 0.0 else 0.0


def test_a_cost_model_in_python_is_not_asked(tmp_path: Path) -> None:
    executor = TargetWeightExecutor()
    result = run_script(
        {0: lambda data, broker: executor.execute({"A": 0.5, "B": 0.001}, data, broker)},
        CLOSE,
        BacktestConfig(commission=Stamp()),
    )
    result.save(tmp_path / "run")
    for found in (result.tracking(), BacktestResult.load(tmp_path / "run").tracking()):
        check(found.skipped, n_rows=[1], weight=[0.001], estimated_cost=[None])
        assert "the commission model is written in Python" in found.cost_note
        assert math.isnan(found.summary["skipped_cost"])


def test_no_price() -> None:
    close: Values = {"A": [10.0, None, 10.0], "B": [20.0] * 3}
    rows = {0: {"A": 0.5}, 1: {"A": 0.2, "B": 0.4}}
    found = trade(rows, close, commission=FixedCommission(1.0)).tracking()
    # The order of bar 0 fills in bar 2; at bar 1 it is left as it is, and counts: A has 0.5 of 1
    # 000 as effective weight, if it is counted.
    check(found.skipped, reason=["no_price"], n_rows=[1], estimated_cost=[None])
    check(
        found.by_rebalance,
        status=["executed", "executed in part"],
        n_requested=[1, 2],
        n_ordered=[1, 1],
        n_filled=[1, 1],
    )
    assert math.isnan(found.summary["skipped_cost"])


def test_thin_volume_and_short_cash() -> None:
    close: Values = {"A": [10.0, 10.0, 10.0], "B": [10.0, 20.0, 20.0]}
    # 40 of 100 A in the last two bars, and cash for no more than 50 of 60 B at the price of bar 1
    volume: Values = {"A": [20.0] * 3, "B": [1e6] * 3}
    thin = trade({0: {"A": 1.0}}, {"A": close["A"]}, volume={"A": [20.0] * 3}, max_participation=1)
    check(
        thin.tracking().by_rebalance,
        status=["executed in part"],
        n_filled=[0],
        n_filled_in_part=[1],
        turnover_executed=[400 / 1_000 / 2],
        distance_after=[0.4],
    )
    check(thin.tracking().over_time, distance=[0.5, 0.4, 0.3])
    short = trade({0: {"B": 0.6}}, {"B": close["B"]}, volume={"B": volume["B"]})
    # 60 at 20 are 1 200
    check(
        short.tracking().by_rebalance,
        status=["executed in part"],
        n_filled_in_part=[1],
        turnover_executed=[50 * 20 / 1_000 / 2],
    )


def test_a_rebalance_at_the_last_bar_and_one_without_need() -> None:
    found = trade({0: {"A": 0.5}, 1: {"A": 0.5}, 2: {"A": 0.3}}, {"A": [10.0] * 3}).tracking()
    check(
        found.by_rebalance,
        status=["executed", "nothing to do", "not executed"],
        n_requested=[1, 0, 1],
        turnover_requested=[0.25, 0.0, 0.1],
        turnover_executed=[0.25, 0.0, 0.0],
        distance_before=[0.25, 0.0, 0.1],
        distance_after=[0.0, 0.0, None],
    )
    assert found.summary["nothing_to_do"] == found.summary["not_executed"] == 1.0


def test_what_is_held_back_does_not_count() -> None:
    rows = {0: {"A": 0.5}, 1: {"B": 0.2}}
    found = trade(rows, CLOSE, {"unmentioned": "hold"}).tracking()
    # At bar 1 A is held back, and B is at 0 of 0.2. At bar 2 10 B are bought at 25: 250 of
    # 250 + 600 + 250; at bar 3 200 of 250 + 750 + 200
    check(found.over_time, distance=[0.25, 0.1, (250 / 1_100 - 0.2) / 2, (0.2 - 200 / 1_200) / 2])
    check(found.over_time, asset=["A", "B", "B", "B"])
    check(found.by_rebalance, n_requested=[1, 1], turnover_requested=[0.25, 0.1])


def test_what_no_plan_wanted_counts_as_drift() -> None:
    executor = TargetWeightExecutor()
    result = run_script(
        {0: lambda data, broker: executor.execute({"A": 0.5}, data, broker), 1: buy("B", 10)},
        CLOSE,
        BacktestConfig(initial_cash=1_000.0),
    )
    # 10 B bought at 25; A: 600 of 1 100
    frame = result.tracking().over_time
    check(frame[2], distance=[(250 / 1_100 + 600 / 1_100 - 0.5) / 2], asset=["B"])


def test_an_order_that_cancelling_settles_asks_for_nothing() -> None:
    executor = TargetWeightExecutor(
        RebalanceConfig(min_trade_value=0.0, cancel_before_rebalance=False)
    )
    result = run_script(
        {
            0: lambda data, broker: executor.execute({"A": 0.5}, data, broker),
            2: lambda data, broker: [
                broker.submit_order("A", 25, "sell"),
                executor.execute({"A": 0.5}, data, broker),
            ],
        },
        {"A": [10.0] * 4},
        BacktestConfig(initial_cash=1_000.0),
    )
    assert result.rebalances["reason"].to_list() == ["ordered", "cancelled_only"]
    found = result.tracking()
    check(found.by_rebalance, status=["executed", "nothing to do"], n_requested=[1, 0])
    assert found.skipped.is_empty()


def test_without_equity() -> None:
    close: Values = {"A": [10.0, 10.0, None, None, None], "B": [20.0] * 5}
    found = trade({0: {"A": 1.0}, 3: {"B": 0.5}}, close, delisting="write_off").tracking()
    check(
        found.over_time,
        distance=[0.5, 0.0, None, None, None],
        largest_drift=[-1.0, 0.0, None, None, None],
        asset=["A", None, None, None, None],
        out_of_band=[True, False, None, None, None],
    )
    assert found.days_out_of_band == 1
    check(
        found.by_rebalance,
        turnover_requested=[0.5, None],
        turnover_planned=[0.5, None],
        turnover_executed=[0.5, None],
        n_requested=[1, 1],
        status=["executed", "not executed"],
        distance_before=[0.5, None],
        distance_after=[0.0, None],
    )
    check(found.skipped, reason=["no_equity"], n_rows=[1], weight=[None], value=[None])
    check(found.skipped, estimated_cost=[None], share_of_requested=[None])
    assert found.summary["skipped_turnover"] == 0.0


def test_without_a_rebalance() -> None:
    traded = trade(ROWS, CLOSE).tracking()

    def nothing(result: BacktestResult) -> Tracking:
        found = result.tracking()
        for name in ("over_time", "by_rebalance", "skipped"):
            frame = getattr(found, name)
            assert frame.is_empty()
            assert frame.schema == getattr(traded, name).schema
        assert found.days_out_of_band == 0
        return found

    for result in (run_script({}, CLOSE), run_script({1: buy("A", 5)}, CLOSE)):
        summary = nothing(result).summary
        assert math.isnan(summary["average_distance"])
        assert summary["rebalances"] == summary["turnover_requested"] == 0.0

    def stop(data: Any, broker: Any) -> None:
        raise RuntimeError("stopped")

    engine = Engine(feed_of(CLOSE), Script({0: stop}))
    with pytest.raises(RuntimeError, match="stopped"):
        engine.run()
    assert "0 of 0 days out of the band of 5.00%, average distance n/a)" in repr(
        nothing(engine.result)
    )


def test_one_bar() -> None:
    found = trade({0: {"A": 0.5}}, {"A": [10.0]}).tracking()
    check(found.over_time, distance=[0.25], out_of_band=[True])
    check(found.by_rebalance, status=["not executed"], distance_after=[None])


def test_a_loaded_result(tmp_path: Path) -> None:
    result = trade(ROWS, CLOSE, {"max_single_weight": 0.5}, commission=FixedCommission(1.0))
    result.save(tmp_path / "run")
    again, found = BacktestResult.load(tmp_path / "run").tracking(), result.tracking()
    for name in ("over_time", "by_rebalance", "skipped"):
        assert_frame_equal(getattr(again, name), getattr(found, name))
    assert again.summary == pytest.approx(found.summary)


def test_it_is_frozen() -> None:
    found = trade(ROWS, CLOSE).tracking(0.1)
    assert found.band == 0.1
    with pytest.raises(AttributeError):
        found.band = 0.2  # type: ignore[misc]
