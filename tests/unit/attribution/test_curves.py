"""What-if curves: each end of the curve by hand, flat where nothing depends on the size."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest

from helpers import Values, day, feed_of
from ml4t.backtest import BacktestConfig, RebalanceConfig, run_weights
from ml4t.backtest.attribution import account_size_curve, threshold_curve
from ml4t.backtest.costs import FixedCommission, PercentCommission

FREE: Any = {"min_trade_value": 0.0, "min_weight_change": 0.0, "allow_fractional": True}
COLUMNS = [
    "annual_return", "paper_return", "gap_bps", "tracking_error", "annual_turnover", "cost_bps",
]  # fmt: skip
CLOSES: Values = {"A": [100.0, 110.0, 121.0], "B": [50.0, 55.0, 44.0]}
#: Two days.
SPAN = 2 / 365.25


def config_of(**fields: Any) -> BacktestConfig:
    rules = {name: fields.pop(name) for name in list(fields) if name in FREE}
    return BacktestConfig(
        **({"execution_mode": "same_bar"} | fields), rebalance=RebalanceConfig(**(FREE | rules))
    )


def test_flat_without_friction() -> None:
    rows = {day(0): {"A": 0.5, "B": 0.5}, day(1): {"A": 0.2, "B": 0.7}}
    curve = account_size_curve(feed_of(CLOSES), rows, config_of())
    assert curve.columns == ["initial_cash", *COLUMNS]
    assert curve["initial_cash"][0] == 5_000.0
    assert curve["initial_cash"][-1] == 500e6
    for name in ("annual_return", "paper_return", "annual_turnover"):
        assert curve[name].to_list() == pytest.approx([curve[name][0]] * 16, rel=1e-9)
    # 1.1 on the first day; then 0.2 at 1.1 and 0.7 at 0.8 and 0.1 in cash: 0.88
    assert curve["paper_return"][0] == pytest.approx((1.1 * 0.88) ** (1 / SPAN) - 1.0)
    # half of what was bought at 1, and of the changes 0.3 and 0.2 at 1.1 times the cash
    assert curve["annual_turnover"][0] == pytest.approx((0.5 + 0.25) / SPAN)
    # on this span a year has a return beyond all habits; nothing is between paper and account
    assert curve["gap_bps"].to_list() == pytest.approx([0.0] * 16, abs=1e-3)
    assert curve["tracking_error"].to_list() == pytest.approx([0.0] * 16, abs=1e-9)


def test_whole_shares_and_fees_at_the_small_end() -> None:
    """0.9 of 1,000 and 10,000 at 100: 9 and 90 shares; of 1,050, 9.45: 9. A fee of 1."""
    config = config_of(allow_fractional=False, commission=FixedCommission(1.0))
    closes: Values = {"A": [100.0, 120.0]}
    curve = account_size_curve(
        feed_of(closes), {day(0): {"A": 0.9}}, config, [1_000.0, 1_050.0, 10_000.0]
    )
    span = SPAN / 2
    growth = [(1_000 - 1 + 180) / 1_000, (1_050 - 1 + 180) / 1_050, (10_000 - 1 + 1_800) / 10_000]
    assert curve["annual_return"].to_list() == pytest.approx([g ** (1 / span) - 1 for g in growth])
    assert curve["paper_return"].to_list() == pytest.approx([1.18 ** (1 / span) - 1.0] * 3)
    # cost over the equity at the close of its bar, a year
    at_close = [999, 1049, 9999]
    assert curve["cost_bps"].to_list() == pytest.approx([1e4 / e / span for e in at_close])
    # returns from the cash on: paper 0 and 0.18; the first account -0.001 and 180 / 999
    apart = [-0.001, 180 / 999 - 0.18]
    deviation = abs(apart[0] - apart[1]) / math.sqrt(2)
    assert curve["tracking_error"][0] == pytest.approx(deviation * math.sqrt(365.25))


def test_thin_volume_at_the_large_end() -> None:
    """10 % of 100 shares a bar: 1,000 in cash get their 5 shares, 100,000 get 10 of 500."""
    config = config_of(max_participation=0.1)
    closes: Values = {"A": [100.0, 120.0]}
    feed = feed_of(closes, volume={"A": [100.0, 0.0]})
    curve = account_size_curve(feed, {day(0): {"A": 0.5}}, config, [1_000.0, 100_000.0])
    growth = [1.1, 1.002]
    expected = [g ** (2 / SPAN) - 1 for g in growth]
    assert curve["annual_return"].to_list() == pytest.approx(expected)
    assert curve["gap_bps"][0] == pytest.approx(0.0, abs=1e-3)


def test_thresholds() -> None:
    """The second row changes A by 0.05: half of that is turnover, from a threshold of 6 % none."""
    closes: Values = {"A": [100.0, 100.0, 100.0]}
    rows = {day(0): {"A": 0.5}, day(1): {"A": 0.55}}
    config = config_of(commission=PercentCommission(0.01))
    curve = threshold_curve(feed_of(closes), rows, config, [0.0, 0.06])
    assert curve.columns == ["min_weight_change", *COLUMNS]
    # equity after the first fee: 0.995; the shares are a bit more than half of that
    first = 0.5 / 0.995
    second = 0.55 - first
    turnover = [0.5 * first + 0.5 * 0.995 * second / (0.995 - 0.01 * 0.995 * second), 0.5 * first]
    assert curve["annual_turnover"].to_list() == pytest.approx([t / SPAN for t in turnover])
    assert curve["annual_return"][0] < curve["annual_return"][1] < curve["paper_return"][1] == 0.0


def test_years_count_from_the_first_decision_as_those_of_the_bridge_do() -> None:
    closes: Values = {"A": [100.0, 90.0, 100.0, 110.0, 121.0]}
    config = config_of(allow_fractional=False, commission=FixedCommission(1.0))
    rows = {day(2): {"A": 0.95}}
    curve = account_size_curve(feed_of(closes), rows, config, [1_000.0])
    bridge = run_weights(
        feed_of(closes), rows, config.model_copy(update={"initial_cash": 1_000.0})
    ).bridge()
    # 950 of 1,000 grow by 21 % in two days; the account has 9 shares and pays 1
    assert curve["paper_return"][0] == pytest.approx(1.1995 ** (1 / SPAN) - 1.0)
    assert curve["annual_return"][0] == pytest.approx(1.188 ** (1 / SPAN) - 1.0)
    assert curve["gap_bps"][0] == pytest.approx(bridge.bps_per_year["difference"])
    # half of the 900 that are traded, over 999
    assert curve["annual_turnover"][0] == pytest.approx(450 / 999 / SPAN)


def test_times_that_are_no_bars() -> None:
    rows = {day(0).replace(hour=5): {"A": 0.5}}
    with pytest.raises(ValueError, match='align="next"'):
        account_size_curve(feed_of(CLOSES), rows, config_of(), [1e3])
    late = account_size_curve(feed_of(CLOSES), rows, config_of(), [1e3], align="next")
    same = threshold_curve(feed_of(CLOSES), {day(1): {"A": 0.5}}, config_of(), [0.0])
    assert late["annual_return"].to_list() == pytest.approx(same["annual_return"].to_list())


def test_sizes_of_other_libraries() -> None:
    rows = {day(0): {"A": 0.5}}
    for sizes in (np.array([1e3, 2e3]), pl.Series([1e3, 2e3]), (1_000, 2_000)):
        curve = account_size_curve(feed_of(CLOSES), rows, config_of(), sizes)  # type: ignore[arg-type]
        assert curve["initial_cash"].to_list() == [1e3, 2e3]


def test_a_cost_model_in_python() -> None:
    class Own:
        def commission(self, asset: str, quantity: float, notional: float) -> float:
            return 1.0

    with pytest.raises(ValueError, match="the runs of a curve cannot call; pass a built-in model"):
        account_size_curve(
            feed_of(CLOSES), {day(0): {"A": 0.5}}, config_of(commission=Own()), [1e3]
        )


def test_one_bar() -> None:
    curve = account_size_curve(feed_of({"A": [100.0]}), {day(0): {"A": 0.5}}, config_of(), [1e3])
    assert all(math.isnan(curve[name][0]) for name in COLUMNS)


@pytest.mark.parametrize("sizes", [[], "5000", 5_000.0, [0.0], [-1.0], [math.nan], [True], ["a"]])
def test_bad_sizes(sizes: Any) -> None:
    with pytest.raises(ValueError, match=r"sizes.*pass (a sequence of )?numbers above 0"):
        account_size_curve(feed_of(CLOSES), {day(0): {"A": 0.5}}, config_of(), sizes)


@pytest.mark.parametrize("thresholds", [[], [-0.01], [math.inf], None])
def test_bad_thresholds(thresholds: Any) -> None:
    with pytest.raises(ValueError, match=r"thresholds.*pass (a sequence of )?numbers >= 0"):
        threshold_curve(feed_of(CLOSES), {day(0): {"A": 0.5}}, config_of(), thresholds)


def test_what_run_weights_refuses() -> None:
    with pytest.raises(ValueError, match="volume column"):
        account_size_curve(feed_of(CLOSES), {day(0): {"A": 0.5}}, config_of(max_participation=0.1))
