"""The bridge: each friction alone by hand, the sums, and the paper by a road of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from helpers import Values, buy, day, feed_of, real_panel, run_script, sell
from ml4t.backtest import (
    BacktestConfig,
    BacktestResult,
    Broker,
    DataFeed,
    Engine,
    RebalanceConfig,
    TargetWeightExecutor,
    run_weights,
)
from ml4t.backtest.attribution import Bridge
from ml4t.backtest.costs import (
    FixedCommission,
    FixedSlippage,
    NoCommission,
    NoSlippage,
    PercentCommission,
    PercentSlippage,
    PerShareCommission,
)

FREE: dict[str, Any] = {"min_trade_value": 0.0, "min_weight_change": 0.0, "allow_fractional": True}


def config_of(cash: float = 100.0, mode: str = "same_bar", **fields: Any) -> BacktestConfig:
    """No friction at all but for `fields`, those of a rebalance among them."""
    rules = {
        name: fields.pop(name) for name in list(fields) if name in RebalanceConfig.model_fields
    }
    return BacktestConfig(
        initial_cash=cash,
        execution_mode=mode,
        rebalance=RebalanceConfig(**(FREE | rules)),
        **fields,
    )


def bridge_of(
    closes: Values, weights: dict[int, dict[str, float]], config: BacktestConfig, **fields: Values
) -> Bridge:
    rows = {day(t): row for t, row in weights.items()}
    return run_weights(feed_of(closes, **fields), rows, config).bridge()


def only(bridge: Bridge, **terms: float) -> None:
    """All terms but these are exactly zero, and the sums are right."""
    for name in bridge.terms:
        if name in terms:
            assert bridge.total[name] == pytest.approx(terms[name], abs=1e-9), name
        else:
            assert bridge.total[name] == 0.0, name
    check_sums(bridge)


def check_sums(bridge: Bridge, cash: float | None = None) -> None:
    """Terms sum to the difference, and periods and assets to the totals, to 1e-9 of equity."""
    total = bridge.total
    size = max(abs(total["paper"]), abs(total["account"]), 1.0)
    assert total["difference"] == total["account"] - total["paper"]
    assert math.isclose(
        sum(total[name] for name in bridge.terms), total["difference"], abs_tol=1e-9 * size
    )
    for frame in (bridge.by_period, bridge.by_asset):
        for name in total:
            expected = total[name]
            if name in ("paper", "account"):
                if cash is None:
                    continue
                expected -= cash
            assert math.isclose(frame[name].sum(), expected, abs_tol=2e-9 * size), name


# ---------------------------------------------------------------- each friction alone


def test_no_friction() -> None:
    bridge = bridge_of({"A": [10.0, 12.0, 15.0]}, {0: {"A": 1.0}}, config_of())
    # 10 shares at 10, worth 15 each
    assert bridge.total["paper"] == bridge.total["account"] == 150.0
    only(bridge)
    assert bridge.by_asset.row(0, named=True)["account"] == 50.0


def test_delay() -> None:
    """Half of 100 at 10 on paper, 5 shares; at the next open, 12, they cost 10 more."""
    bridge = bridge_of(
        {"A": [10.0, 13.0, 15.0]},
        {0: {"A": 0.5}},
        config_of(mode="next_bar"),
        open={"A": [10.0, 12.0, 14.0]},
    )
    assert bridge.total["paper"] == 125.0
    assert bridge.total["account"] == 115.0
    only(bridge, delay=-10.0)


def test_delay_and_too_little_cash() -> None:
    """10 shares at 12 on credit end at 100 - 120 + 150 = 130; cash pays for 100 / 12 of them."""
    bridge = bridge_of(
        {"A": [10.0, 13.0, 15.0]},
        {0: {"A": 1.0}},
        config_of(mode="next_bar"),
        open={"A": [10.0, 12.0, 14.0]},
    )
    only(bridge, delay=130.0 - 150.0, cash_shortage=100.0 / 12.0 * 15.0 - 130.0)


@pytest.mark.parametrize(
    ("weights", "fields", "paper", "account"),
    [
        # 12 shares on credit: 100 - 120 + 12 * 15; the account has 10
        ({"A": 1.2}, {}, 160.0, 150.0),
        # 5 shares short: 100 + 50 - 5 * 15; the account has none
        ({"A": -0.5}, {}, 75.0, 100.0),
        # 8 shares: 20 + 120; 5 shares
        ({"A": 0.8}, {"max_single_weight": 0.5}, 140.0, 125.0),
        # 8 and 4 of B at 10, which stays: 120 % scaled by 5/6
        ({"A": 0.8, "B": 0.4}, {}, 140.0, 100.0 + 100.0 * 0.8 / 1.2 * 0.5),
        # gross 0.5
        ({"A": 0.8, "B": 0.2}, {"max_gross_exposure": 0.5}, 140.0, 120.0),
    ],
)
def test_caps(weights: dict[str, float], fields: Any, paper: float, account: float) -> None:
    bridge = bridge_of(
        {"A": [10.0, 12.0, 15.0], "B": [10.0] * 3}, {0: weights}, config_of(**fields)
    )
    assert bridge.total["paper"] == pytest.approx(paper)
    assert bridge.total["account"] == pytest.approx(account)
    only(bridge, caps=account - paper)


@pytest.mark.parametrize(
    "fields",
    [
        {"min_weight_change": 0.2},
        {"min_trade_value": 20.0},
        # 1 on a trade of 5 is 2000 bps; 1 on 50 is 200
        {"ignore_if_cost_exceeds_bps": 500.0, "commission": FixedCommission(1.0)},
    ],
)
def test_thresholds(fields: Any) -> None:
    """B's 0.05 is skipped, which would have doubled: 5 less, but for what its fee would cost."""
    bridge = bridge_of({"A": [10.0] * 3, "B": [10.0, 15.0, 20.0]}, {0: {"A": 0.5, "B": 0.05}},
                       config_of(**fields))  # fmt: skip
    has_fee = "commission" in fields
    assert bridge.total["paper"] == 105.0
    terms = {"commission": -2.0, "thresholds": -4.0} if has_fee else {"thresholds": -5.0}
    only(bridge, **terms)


@pytest.mark.parametrize(
    ("fields", "shares"),
    [
        ({"allow_fractional": False}, 23.0),
        ({"allow_fractional": False, "round_lots": True, "lot_size": 10}, 20.0),
        ({"allow_fractional": False, "rounding": "trade"}, 23.0),
    ],
)
def test_rounding(fields: Any, shares: float) -> None:
    """0.7 of 100 at 3 are 23.33 shares; at 6 each share that is missing costs 3."""
    bridge = bridge_of({"A": [3.0, 4.0, 6.0]}, {0: {"A": 0.7}}, config_of(**fields))
    assert bridge.total["paper"] == pytest.approx(170.0)
    only(bridge, rounding=-(70.0 / 3.0 - shares) * 3.0)


def test_rounding_that_keeps_to_the_basket() -> None:
    """30.1 at 10 and 60.2 at 7: 3 and 8 shares, then 1 of B with what is left.

    Leftover 100 - 30 - 56 = 14; a share of B brings |0.602 - 0.63| = 0.028 from 0.042, one of A
    |0.301 - 0.4| = 0.099 from 0.001. Prices double: 30 + 63 gained against 90.3 on paper.
    """
    fields: Any = {"allow_fractional": False, "rounding": "min_tracking_error"}
    bridge = bridge_of(
        {"A": [10.0, 20.0], "B": [7.0, 14.0]}, {0: {"A": 0.301, "B": 0.602}}, config_of(**fields)
    )
    assert bridge.total["account"] == 193.0
    only(bridge, rounding=93.0 - 90.3)


def test_thin_volume() -> None:
    """10 shares, of which 10 % of 40 fill at the close, 4 at the next open and 2 at the last."""
    bridge = bridge_of(
        {"A": [10.0, 13.0, 15.0]},
        {0: {"A": 1.0}},
        config_of(max_participation=0.1, insufficient_cash="trim"),
        open={"A": [10.0, 10.0, 14.0]},
        volume={"A": [40.0, 40.0, 40.0]},
    )
    # 4 at 10, then 4 at 10, then cash of 20 buys 20 / 14 of the last 2
    account = (8.0 + 20.0 / 14.0) * 15.0
    assert bridge.total["account"] == pytest.approx(account)
    only(bridge, unfilled=account - 150.0)


@pytest.mark.parametrize(
    ("commission", "paid"),
    [
        (PercentCommission(0.01), 0.5),
        (FixedCommission(2.0), 2.0),
        (PerShareCommission(0.1, minimum=1.0), 1.0),
    ],
)
def test_commission(commission: Any, paid: float) -> None:
    bridge = bridge_of({"A": [10.0, 15.0]}, {0: {"A": 0.5}}, config_of(commission=commission))
    only(bridge, commission=-paid)
    # paid at the close of the decision, so in the period that it begins
    assert bridge.by_period["commission"].to_list() == [-paid]


def test_slippage() -> None:
    """5 shares at 10.1 instead of 10."""
    for slippage in (PercentSlippage(0.01), FixedSlippage(0.1)):
        bridge = bridge_of({"A": [10.0, 15.0]}, {0: {"A": 0.5}}, config_of(slippage=slippage))
        only(bridge, slippage=-0.5)


# ---------------------------------------------------------------- where it falls


def test_periods_and_assets() -> None:
    """A is bought at bar 0 and sold for B at bar 2, all at closes, a fee of 1 an order."""
    bridge = bridge_of(
        {"A": [10.0, 20.0, 20.0, 20.0], "B": [10.0, 10.0, 10.0, 30.0]},
        {0: {"A": 0.5}, 2: {"B": 0.5}},
        config_of(commission=FixedCommission(1.0)),
    )
    # paper: 5 A, then equity 150: 7.5 B at 10, which treble: 150 + 150
    # account: 5 A, a fee, equity 149: 7.45 B, two fees: 147 + 7.45 * 20
    assert bridge.by_period.columns[:3] == ["plan_idx", "start", "end"]
    assert bridge.by_period["start"].to_list() == [day(0), day(2)]
    assert bridge.by_period["end"].to_list() == [day(2), day(3)]
    assert bridge.by_period["paper"].to_list() == [50.0, 150.0]
    assert bridge.by_period["account"].to_list() == pytest.approx([49.0, 147.0])
    assert bridge.by_period["commission"].to_list() == pytest.approx([-1.0, -3.0])
    assert bridge.by_asset["asset"].to_list() == ["A", "B"]
    assert bridge.by_asset["paper"].to_list() == [50.0, 150.0]
    assert bridge.by_asset["account"].to_list() == pytest.approx([48.0, 148.0])
    assert bridge.paper["equity"].to_list() == [100.0, 150.0, 150.0, 300.0]
    check_sums(bridge, 100.0)


def test_basis_points_a_year() -> None:
    """Half of 100 grows by 44 % in 731 days: 122 on paper, and 99 after a fee of 23."""
    prices = pl.DataFrame({"date": [day(0), day(731)], "A": [10.0, 14.4]})
    span = 731 / 365.25
    config = config_of(commission=FixedCommission(23.0))
    bridge = run_weights(DataFeed.from_wide(prices), {day(0): {"A": 0.5}}, config).bridge()
    annual = {final: 1e4 * ((final / 100.0) ** (1.0 / span) - 1.0) for final in (122.0, 99.0)}
    assert bridge.total["account"] == pytest.approx(99.0)
    assert bridge.bps_per_year["paper"] == pytest.approx(annual[122.0])
    assert bridge.bps_per_year["account"] == pytest.approx(annual[99.0])
    assert bridge.bps_per_year["commission"] == pytest.approx(annual[99.0] - annual[122.0])
    assert bridge.bps_per_year["difference"] == bridge.bps_per_year["commission"]


def test_years_count_from_the_first_decision() -> None:
    prices = pl.DataFrame({"date": [day(0), day(300), day(1031)], "A": [9.0, 10.0, 14.4]})
    bridge = run_weights(DataFeed.from_wide(prices), {day(300): {"A": 0.5}}, config_of()).bridge()
    expected = 1e4 * (1.22 ** (365.25 / 731) - 1.0)
    assert bridge.bps_per_year["paper"] == pytest.approx(expected)


def test_basis_points_of_no_difference() -> None:
    """The slope of the annual return: one currency more is (V / V0) ** (1 / T) / (T V)."""
    prices = pl.DataFrame({"date": [day(0), day(731)], "A": [10.0, 14.4]})
    bridge = run_weights(DataFeed.from_wide(prices), {day(0): {"A": 0.5}}, config_of()).bridge()
    assert bridge.bps_per_year["delay"] == bridge.bps_per_year["difference"] == 0.0
    assert bridge.bps_per_year["paper"] == bridge.bps_per_year["account"] > 900.0


# ---------------------------------------------------------------- beside the plans


def test_orders_beside_the_plans_are_other() -> None:
    def half(data: Any, broker: Broker) -> None:
        TargetWeightExecutor().execute({"A": 0.5}, data, broker)

    result = run_script(
        {0: half, 1: buy("B", 2.0)},
        {"A": [10.0, 10.0, 20.0], "B": [10.0, 10.0, 15.0]},
        config_of(),
    )
    bridge = result.bridge()
    # 5 A double; 2 B gain 5 each, which nobody had weighted
    assert bridge.total["paper"] == 150.0
    only(bridge, other=10.0)


def test_no_plan_at_all() -> None:
    result = run_script({0: buy("A", 5.0), 1: sell("A", 5.0)}, {"A": [10.0, 11.0]}, config_of())
    bridge = result.bridge()
    assert bridge.total["paper"] == 100.0
    assert bridge.total["other"] == bridge.total["difference"] == 5.0
    assert bridge.by_period.height == 0
    assert bridge.by_asset["other"].to_list() == [5.0]
    empty = run_script({}, {"A": [10.0, 11.0]}, config_of()).bridge()
    only(empty)
    assert empty.by_asset.height == 0


def test_the_last_of_two_plans_at_a_bar_counts() -> None:
    def both(data: Any, broker: Broker) -> None:
        TargetWeightExecutor().execute({"A": 0.9}, data, broker)
        TargetWeightExecutor().execute({"A": 0.5}, data, broker)

    bridge = run_script({0: both}, {"A": [10.0, 20.0]}, config_of()).bridge()
    assert bridge.total["paper"] == 150.0
    assert bridge.by_period["plan_idx"].to_list() == [1]
    only(bridge)


def test_an_asset_that_must_be_mentioned() -> None:
    """The account never bought B, the paper did; the next row does not mention it."""
    config = config_of(unmentioned="error", min_weight_change=0.2)
    bridge = bridge_of(
        {"A": [10.0, 10.0, 10.0], "B": [10.0, 20.0, 20.0]},
        {0: {"A": 0.5, "B": 0.05}, 1: {"A": 0.5}},
        config,
    )
    # 5 of B double; the second row sells what the paper holds of it
    assert bridge.total["paper"] == 105.0
    only(bridge, thresholds=-5.0)


# ---------------------------------------------------------------- odd runs


def test_one_bar() -> None:
    bridge = bridge_of({"A": [10.0]}, {0: {"A": 0.5}}, config_of(commission=FixedCommission(1.0)))
    only(bridge, commission=-1.0)
    assert all(math.isnan(value) for value in bridge.bps_per_year.values())
    assert "n/a" in bridge.summary()


def test_all_is_lost() -> None:
    """The fee eats the cash; the paper goes on."""
    fee = config_of(commission=FixedCommission(10.0))
    bridge = bridge_of({"A": [10.0, 5.0, 5.0]}, {0: {"A": 0.9}}, fee)
    only(bridge, commission=-10.0)
    closes: Values = {"A": [10.0, 10.0, None, None], "B": [1.0] * 4}
    ruined = bridge_of(closes, {0: {"A": 1.0}}, config_of(delisting="write_off"))
    assert ruined.total["paper"] == ruined.total["account"] == 0.0
    only(ruined)
    assert ruined.bps_per_year["paper"] == -1e4


def test_a_run_that_was_stopped_in_its_first_bar() -> None:
    class Fails:
        def on_data(self, *given: Any) -> None:
            raise RuntimeError

    engine = Engine(feed_of({"A": [10.0, 11.0]}), Fails(), config_of())  # type: ignore[arg-type]
    with pytest.raises(RuntimeError):
        engine.run()
    bridge = engine.result.bridge()
    assert bridge.total["paper"] == bridge.total["account"] == 100.0
    only(bridge)
    assert bridge.paper.height == 0


def test_short_and_long_on_paper_through_zero() -> None:
    """Short 5 at 10, then long 0.5 of 50: the paper turns round and comes back."""
    bridge = bridge_of(
        {"A": [10.0, 20.0, 10.0, 10.0]},
        {0: {"A": -0.5}, 1: {"A": 0.5}, 2: {"A": 0.0}},
        config_of(),
    )
    # 100 - 5 * 10 = 50; 1.25 long fall by 10: 37.5. The account: 2.5 long at 20 lose 25.
    assert bridge.paper["equity"].to_list() == [100.0, 50.0, 37.5, 37.5]
    only(bridge, caps=75.0 - 37.5)


# ---------------------------------------------------------------- what the paper cannot have


@pytest.mark.parametrize(
    ("closes", "fields"),
    [
        # A ends and stays on the books; it has no bar at the decision; it is left alone
        ({"A": [10.0, 10.0, None, None, None]}, {}),
        ({"A": [10.0, 10.0, None, 10.0, 10.0]}, {}),
        ({"A": [10.0] * 5}, {"unmentioned": "hold"}),
    ],
)
def test_what_cannot_be_sold_is_no_credit(closes: Values, fields: Any) -> None:
    """Half is stuck in A, so that all of B is half of the account, on paper too: 500 doubles."""
    closes = closes | {"B": [10.0, 10.0, 10.0, 20.0, 20.0]}
    config = config_of(1_000.0, **fields)
    bridge = bridge_of(closes, {0: {"A": 0.5, "B": 0.5}, 2: {"B": 1.0}}, config)
    assert bridge.total["paper"] == 1_500.0
    only(bridge)


def test_credit_that_was_asked_for_is_given_beside_what_is_stuck() -> None:
    """Half in A, which ends; 1.2 of B are asked for: 0.7 can be bought with 0.2 of credit."""
    closes: Values = {"A": [10.0, 10.0, None, None], "B": [10.0, 10.0, 10.0, 20.0]}
    bridge = bridge_of(closes, {0: {"A": 0.5, "B": 0.5}, 2: {"B": 1.2}}, config_of(1_000.0))
    # 500 of B and 200 on credit, doubled; less the credit
    assert bridge.total["paper"] == 500.0 + 1_400.0 - 200.0
    only(bridge, caps=1_500.0 - 1_700.0)


def test_cash_that_commission_takes_is_a_shortage() -> None:
    """10 shares at 10 and a fee of 1: the order is refused, and 100 are not earned."""
    bridge = bridge_of(
        {"A": [10.0, 20.0, 20.0]},
        {0: {"A": 1.0}},
        config_of(insufficient_cash="reject", commission=FixedCommission(1.0)),
    )
    only(bridge, commission=-1.0, cash_shortage=-99.0)


def test_shorts_that_no_account_holds_are_caps() -> None:
    """5 short at 10 lose 25 on paper; the planner asks for them, the account refuses."""
    closes: Values = {"A": [10.0, 12.0, 15.0], "B": [10.0] * 3}
    config = config_of(allow_short=True)
    only(bridge_of(closes, {0: {"A": -0.5, "B": 0.5}}, config), caps=25.0)


def test_two_plans_at_a_bar_that_leave_each_other_alone() -> None:
    def both(data: Any, broker: Broker) -> None:
        TargetWeightExecutor().execute({"A": 0.5}, data, broker)
        TargetWeightExecutor().execute({"B": 0.5}, data, broker)

    closes: Values = {"A": [10.0, 20.0], "B": [10.0, 12.0]}
    bridge = run_script({0: both}, closes, config_of(unmentioned="hold")).bridge()
    assert bridge.total["paper"] == 160.0
    only(bridge)


def test_an_order_of_its_own_at_the_close_of_a_decision() -> None:
    """Its fee belongs to the period that begins there, as its gain does."""

    def plan(data: Any, broker: Broker) -> None:
        TargetWeightExecutor().execute({"A": 0.1}, data, broker)
        broker.submit_order("B", 2.0)

    closes: Values = {"A": [10.0, 10.0, 10.0], "B": [10.0, 10.0, 15.0]}
    start = {0: lambda data, broker: TargetWeightExecutor().execute({"A": 0.1}, data, broker)}
    result = run_script(start | {1: plan}, closes, config_of(commission=FixedCommission(1.0)))
    periods = result.bridge().by_period
    # a fee for A; its weight is then 10 of 99, of which 0.01 shares are too much: another fee
    assert periods["account"][0] == -1.0
    assert periods["account"].sum() == pytest.approx(result.equity["equity"][-1] - 100.0)
    assert periods["account"][1] == pytest.approx(10.0 - 2.0)


def test_trades_long_before_the_first_plan() -> None:
    """The account grows from bar 0 on: so do the years."""
    prices = pl.DataFrame(
        {"timestamp": [day(0), day(700), day(731)], "asset": "A", "close": [10.0, 14.4, 14.4]}
    )

    class Own:
        bar = -1

        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Broker) -> None:
            self.bar += 1
            if self.bar == 0:
                broker.submit_order("A", 5.0)
            if self.bar == 1:
                TargetWeightExecutor().execute({"A": 72 / 122}, data, broker)

    bridge = Engine(DataFeed(prices), Own(), config_of()).run().bridge()  # type: ignore[arg-type]
    expected = 1e4 * (1.22 ** (365.25 / 731) - 1.0)
    assert bridge.bps_per_year["account"] == pytest.approx(expected)


# ---------------------------------------------------------------- stopped runs


class StopsAt:
    """Sends weights at bar 0, and fails at a later bar."""

    def __init__(self, stop: int) -> None:
        self.stop, self.bar = stop, -1

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Broker) -> None:
        self.bar += 1
        if self.bar == 0:
            TargetWeightExecutor().execute({"A": 0.5, "B": 0.5}, data, broker)
        if self.bar == self.stop:
            raise RuntimeError


def test_an_asset_that_will_come_back_has_not_ended_where_the_run_stopped(tmp_path: Path) -> None:
    feed = feed_of({"A": [10.0, 10.0, None, 20.0, 30.0], "B": [10.0] * 5})
    engine = Engine(feed, StopsAt(3), config_of(delisting="write_off"))  # type: ignore[arg-type]
    with pytest.raises(RuntimeError):
        engine.run()
    only(engine.result.bridge())
    # from a folder, with the prices of the whole run
    engine.result.save(tmp_path / "run")
    only(BacktestResult.load(tmp_path / "run").bridge(feed))


def test_an_asset_that_had_ended_where_the_run_stopped(tmp_path: Path) -> None:
    feed = feed_of({"A": [10.0, 8.0, None, None, None], "B": [10.0] * 5})
    engine = Engine(feed, StopsAt(4), config_of(delisting="write_off"))  # type: ignore[arg-type]
    with pytest.raises(RuntimeError):
        engine.run()
    assert engine.result.ends["asset"].to_list() == ["A"]
    bridge = engine.result.bridge()
    assert bridge.total["paper"] == 50.0
    only(bridge)
    engine.result.save(tmp_path / "run")
    only(BacktestResult.load(tmp_path / "run").bridge(feed))


# ---------------------------------------------------------------- loaded, own models, words


def friction_run(feed: DataFeed) -> BacktestResult:
    config = config_of(
        mode="next_bar", allow_fractional=False, commission=PercentCommission(0.01),
        slippage=PercentSlippage(0.01), min_weight_change=0.01,
    )  # fmt: skip
    return run_weights(feed, {day(0): {"A": 0.5}, day(1): {"A": 0.9}}, config)


def test_a_loaded_result(tmp_path: Path) -> None:
    feed = feed_of({"A": [10.0, 12.0, 15.0, 14.0]})
    fresh = friction_run(feed)
    fresh.save(tmp_path / "run")
    loaded = BacktestResult.load(tmp_path / "run")
    with pytest.raises(ValueError, match="holds no prices; pass those of its run as prices="):
        loaded.bridge()
    other = feed_of({"A": [10.0, 12.0, 15.0, 14.5]})
    with pytest.raises(
        ValueError, match=r"of this run, which had 4 bars.*4 bars of 1 assets.*fingerprint"
    ):
        loaded.bridge(other)
    with pytest.raises(ValueError, match="not those of this run"):
        fresh.bridge(other)
    again, first = loaded.bridge(feed), fresh.bridge()
    assert again.total == first.total
    assert again.by_period.equals(first.by_period)
    assert again.by_asset.equals(first.by_asset)


class OnePercent:
    """What PercentCommission(0.01) and PercentSlippage(0.01) do."""

    def commission(self, asset: str, quantity: float, notional: float) -> float:
        return 0.01 * notional

    def fill_price(self, asset: str, quantity: float, price: float) -> float:
        return price * (1.01 if quantity > 0.0 else 0.99)


def test_cost_models_in_python() -> None:
    """The same costs, written in Python and built in."""
    feed = feed_of({"A": [10.0, 12.0, 15.0, 14.0]})
    built_in = friction_run(feed)
    own = built_in.config.model_copy(update={"commission": OnePercent(), "slippage": OnePercent()})

    class Same:
        def __init__(self) -> None:
            self.rows: Sequence[float | None] = [0.5, 0.9, None, None]
            self.bar = -1

        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Broker) -> None:
            self.bar += 1
            weight = self.rows[self.bar]
            if weight is not None:
                TargetWeightExecutor().execute({"A": weight}, data, broker)

    result = Engine(feed, Same(), own).run()  # type: ignore[arg-type]
    expected, found = built_in.bridge(), result.bridge()
    assert found.total == pytest.approx(expected.total, rel=1e-12)
    assert found.total["commission"] < 0.0
    assert found.total["slippage"] < 0.0
    assert found.total["other"] == 0.0


def test_words() -> None:
    bridge = friction_run(feed_of({"A": [10.0, 12.0, 15.0, 14.0]})).bridge()
    frame = bridge.to_frame()
    assert frame.columns == ["term", "currency", "bps_per_year", "meaning"]
    assert frame["term"].to_list() == list(bridge.total)
    assert frame["currency"].to_list() == list(bridge.total.values())
    assert all(meaning.endswith((".", "equity.")) for meaning in frame["meaning"])
    lines = bridge.summary().splitlines()
    assert len(lines) == 1 + len(bridge.total)
    assert "\n" not in repr(bridge)
    assert repr(bridge).startswith("Bridge(paper=")


# ---------------------------------------------------------------- real prices


def paper_by_hand(prices: np.ndarray, rows: dict[int, np.ndarray], cash: float) -> np.ndarray:
    """A portfolio that is rebalanced to weights at closes, from returns alone."""
    equity = np.empty(len(prices))
    value, held = cash, np.zeros(prices.shape[1])
    for t in range(len(prices)):
        if t:
            growth = prices[t] / prices[t - 1]
            gained = held * (growth - 1.0)
            value, held = value + gained.sum(), held + gained
        if t in rows:
            held = rows[t] * value
        equity[t] = value
    return equity


@pytest.mark.parametrize("cash", [10_000.0, 1e6, 1e7])
def test_real_prices(cash: float) -> None:
    """20 stocks, whole shares, next bar; the paper is what its weights and returns say."""
    datasets = pytest.importorskip("skfolio.datasets")
    panel = datasets.load_sp500_dataset().loc["2015":"2019"]
    feed = DataFeed.from_wide(panel)
    closes = panel[sorted(panel.columns)].to_numpy()
    rng = np.random.default_rng(7)
    rows = {int(t): rng.dirichlet(np.ones(20)) for t in range(20, len(closes), 21)}
    schedule = pl.DataFrame(
        {"timestamp": [feed.timestamps[t] for t in rows]}
        | {name: [row[i] for row in rows.values()] for i, name in enumerate(feed.assets)}
    )
    config = BacktestConfig(
        initial_cash=cash, commission=PercentCommission(0.001), slippage=PercentSlippage(0.0005)
    )
    result = run_weights(feed, schedule, config)
    bridge = result.bridge()
    np.testing.assert_allclose(
        bridge.paper["equity"], paper_by_hand(closes, rows, cash), rtol=1e-11
    )
    check_sums(bridge, cash)
    assert bridge.total["account"] == result.metrics["final_equity"]
    for name in ("caps", "unfilled", "other"):
        assert bridge.total[name] == 0.0
    for name in ("delay", "rounding", "commission", "slippage", "thresholds"):
        assert bridge.total[name] != 0.0
    # with less friction the same weights
    for name, off in {
        "commission": {"commission": NoCommission()},
        "slippage": {"slippage": NoSlippage()},
        "delay": {"execution_mode": "same_bar"},
        "rounding": {"rebalance": RebalanceConfig(allow_fractional=True)},
        "thresholds": {"rebalance": RebalanceConfig(min_trade_value=0, min_weight_change=0)},
    }.items():
        other = run_weights(feed, schedule, config.model_copy(update=off)).bridge()
        assert other.total[name] == 0.0
        check_sums(other, cash)


def test_real_bars() -> None:
    """40 stocks with real opens and volumes: a fortune that the volume of a day does not hold."""
    adjusted = pl.col("adj_close") / pl.col("close")
    panel = (
        pl.scan_parquet(real_panel())
        .filter(pl.col("date") >= pl.date(2015, 1, 1))
        .with_columns(
            *(pl.col(name) * adjusted for name in ("open", "high", "low")),
            close=pl.col("adj_close"),
            volume=pl.col("volume") / adjusted,
        )
        .select("date", "ticker", "open", "high", "low", "close", "volume")
        .collect()
    )
    feed = DataFeed(panel, checks="warn")
    rows = {feed.timestamps[t]: dict.fromkeys(feed.assets, 0.025) for t in range(0, 1500, 21)}
    config = BacktestConfig(
        initial_cash=1e9,
        commission=PerShareCommission(0.005, minimum=1.0),
        slippage=PercentSlippage(0.0005),
        max_participation=0.01,
        rebalance=RebalanceConfig(min_weight_change=0.001),
    )
    bridge = run_weights(feed, rows, config).bridge()
    check_sums(bridge, 1e9)
    assert bridge.total["unfilled"] != 0.0
    assert bridge.total["commission"] < 0.0
    assert bridge.total["slippage"] < 0.0
    assert bridge.total["other"] == 0.0
