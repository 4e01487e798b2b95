"""The figures of a run by name, its drawdowns and months, by hand."""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from helpers import Diary, buy, day, run_script, sell
from ml4t.backtest import BacktestConfig, BacktestResult, Broker, DataFeed, run_weights
from ml4t.backtest.costs import FixedCommission

SAME_BAR = BacktestConfig(initial_cash=1_000.0, execution_mode="same_bar")
CLOSES = {"A": [10.0, 10.0, 12.0, 9.0, 12.0]}
NAN = math.nan
RELATIVE = {
    "beta",
    "alpha",
    "correlation",
    "tracking_error",
    "information_ratio",
    "up_capture",
    "down_capture",
    "benchmark_coverage",
    "benchmark_total_return",
    "benchmark_annual_return",
    "benchmark_volatility",
    "benchmark_sharpe_ratio",
    "benchmark_max_drawdown",
}


@pytest.fixture
def result() -> BacktestResult:
    """50 bought at 10 and sold at 12, for 1 each: equity 1000, 999, 1099, 949, 1098."""
    config = SAME_BAR.model_copy(update={"commission": FixedCommission(1.0)})
    return run_script({1: buy("A", 50), 4: sell("A", 50)}, CLOSES, config)


def nothing() -> BacktestResult:
    """A run without a bar."""
    return Diary(Broker(initial_cash=1_000.0)).result()


def test_every_figure(result: BacktestResult) -> None:
    assert result.equity["equity"].to_list() == [1000.0, 999.0, 1099.0, 949.0, 1098.0]
    # 4 bars a year make the run a year long
    found = result.statistics(periods_per_year=4.0)
    returns = [-1 / 1000, 100 / 999, -150 / 1099, 149 / 949]
    mean = sum(returns) / 4
    deviation = math.sqrt(sum((r - mean) ** 2 for r in returns) / 3)
    downside = math.sqrt(((1 / 1000) ** 2 + (150 / 1099) ** 2) / 4)
    low, high = sorted(returns)[:2], sorted(returns)[2:]
    # places 0.15 and 2.85 of 0 to 3
    lower, upper = low[0] + 0.15 * (low[1] - low[0]), high[0] + 0.85 * (high[1] - high[0])
    expected = {
        "initial_cash": 1_000.0,
        "final_equity": 1_098.0,
        "total_return": 0.098,
        "annual_return": 0.098,
        "volatility": 2.0 * deviation,
        "sharpe_ratio": 2.0 * mean / deviation,
        "max_drawdown": 949 / 1099 - 1,
        # half of 500 over 999, and of 600 over 1098
        "turnover": 250 / 999 + 300 / 1098,
        "annual_turnover": 250 / 999 + 300 / 1098,
        "commission": 2.0,
        "slippage": 0.0,
        "orders": 2.0,
        "fills": 2.0,
        "rebalances_requested": 0.0,
        "rebalances_executed": 0.0,
        "ends_inferred": 0.0,
        "years": 1.0,
        "periods_per_year": 4.0,
        "downside_deviation": 2.0 * downside,
        "sortino_ratio": 2.0 * mean / downside,
        "calmar_ratio": 0.098 / (150 / 1099),
        # from 1099, two bars to the end, which is below it
        "max_drawdown_bars": 2.0,
        "value_at_risk": lower,
        "expected_shortfall": -150 / 1099,
        "tail_ratio": upper / -lower,
        "trades": 1.0,
        "hit_rate": 1.0,
        "profit_factor": NAN,
        "holding_days": 3.0,
        "exposure": (500 / 999 + 600 / 1099 + 450 / 949) / 5,
        "time_in_market": 0.6,
        "cost_bps": 1e4 * (1 / 999 + 1 / 1098),
    }
    of_shape = {"skewness", "kurtosis", "probabilistic_sharpe_ratio"}
    assert set(found) == set(expected) | of_shape
    assert {k: found[k] for k in expected} == pytest.approx(expected, nan_ok=True)
    # the third moment of four values, adjusted by 4 / (3 * 2)
    skewness = sum(((r - mean) / deviation) ** 3 for r in returns) * 4 / 6
    assert found["skewness"] == pytest.approx(skewness)
    assert math.isfinite(found["kurtosis"])
    assert 0.5 < found["probabilistic_sharpe_ratio"] < 1.0


def test_the_metrics_come_first_and_are_the_same(result: BacktestResult) -> None:
    found = result.statistics()
    assert list(found)[: len(result.metrics)] == list(result.metrics)
    assert {k: found[k] for k in result.metrics} == result.metrics
    # 4 bars in 4 days
    assert found["periods_per_year"] == pytest.approx(365.25)
    assert found["years"] == pytest.approx(4 / 365.25)


def test_a_risk_free_rate(result: BacktestResult) -> None:
    free, bound = result.statistics(), result.statistics(risk_free_rate=0.05)
    differing = {k for k in free if free[k] != bound[k] and not math.isnan(free[k])}
    assert differing == {
        *("sharpe_ratio", "sortino_ratio", "downside_deviation", "probabilistic_sharpe_ratio")
    }
    # what a bar gives up, over the deviation of a bar, times the root of the bars a year
    rate = 1.05 ** (1 / 365.25) - 1
    shift = rate / free["volatility"] * 365.25
    assert bound["sharpe_ratio"] == pytest.approx(free["sharpe_ratio"] - shift)


def test_beside_an_asset(result: BacktestResult) -> None:
    found = result.statistics("A", periods_per_year=4.0)
    assert list(found)[-len(RELATIVE) :] == [k for k in found if k in RELATIVE]
    own = np.array([-1 / 1000, 100 / 999, -150 / 1099, 149 / 949])
    # 10, 10, 12, 9, 12
    other = np.array([0.0, 0.2, -0.25, 1 / 3])
    slope = np.cov(own, other)[0, 1] / np.var(other, ddof=1)
    expected = {
        "beta": slope,
        "alpha": 4 * (own.mean() - slope * other.mean()),
        "correlation": np.corrcoef(own, other)[0, 1],
        "tracking_error": 2 * np.std(own - other, ddof=1),
        "information_ratio": 2 * np.mean(own - other) / np.std(own - other, ddof=1),
        # two bars up are half a year
        "up_capture": ((1099 / 999 * 1098 / 949) ** 2 - 1) / ((1.2 * 4 / 3) ** 2 - 1),
        "down_capture": ((949 / 1099) ** 4 - 1) / (0.75**4 - 1),
        "benchmark_coverage": 1.0,
        "benchmark_total_return": 0.2,
        "benchmark_annual_return": 0.2,
        "benchmark_volatility": 2 * np.std(other, ddof=1),
        "benchmark_sharpe_ratio": 2 * other.mean() / np.std(other, ddof=1),
        "benchmark_max_drawdown": -0.25,
    }
    assert {k: found[k] for k in RELATIVE} == pytest.approx(expected)


def test_a_benchmark_with_gaps_is_compared_between_common_times(result: BacktestResult) -> None:
    # levels at bars 0, 2, 4: the account grows by 1099 / 1000 and by 1098 / 1099 meanwhile
    frame = pl.DataFrame({"date": [day(0), day(2), day(4)], "index": [100.0, 130.0, 120.0]})
    found = result.statistics(frame, periods_per_year=4.0)
    assert found["benchmark_coverage"] == 0.6
    # two points: the slope between them
    expected = (0.099 - (1098 / 1099 - 1)) / (0.3 - (120 / 130 - 1))
    assert found["beta"] == pytest.approx(expected)
    # a return takes two of the four bars of a year: two a year, a year in all
    assert found["benchmark_annual_return"] == pytest.approx(0.2)
    difference = np.array([0.099 - 0.3, 1098 / 1099 - 120 / 130])
    assert found["tracking_error"] == pytest.approx(np.std(difference, ddof=1) * math.sqrt(2))


def test_another_result_as_benchmark(result: BacktestResult) -> None:
    found = result.statistics(result)
    assert found["beta"] == pytest.approx(1.0)
    assert found["tracking_error"] == 0.0
    assert math.isnan(found["information_ratio"])
    assert found["up_capture"] == found["down_capture"] == 1.0
    assert found["benchmark_sharpe_ratio"] == found["sharpe_ratio"]


def test_a_loaded_result(result: BacktestResult, tmp_path: Path) -> None:
    result.save(tmp_path / "run")
    loaded = BacktestResult.load(tmp_path / "run")
    assert loaded.statistics() == pytest.approx(result.statistics(), nan_ok=True, rel=0, abs=0)
    with pytest.raises(ValueError, match="holds no prices; pass those of its run as prices="):
        loaded.statistics("A")
    feed = DataFeed(
        pl.DataFrame({"date": [day(t) for t in range(5)], "asset": "A"}).with_columns(
            close=pl.Series(CLOSES["A"])
        )
    )
    assert loaded.statistics("A", feed)["beta"] == result.statistics("A")["beta"]
    assert_frames(loaded.drawdowns(), result.drawdowns())
    assert_frames(loaded.monthly_returns(), result.monthly_returns())


def assert_frames(found: pl.DataFrame, expected: pl.DataFrame) -> None:
    assert found.schema == expected.schema
    assert found.equals(expected)


# ---------------------------------------------------------------------- frames


def test_drawdowns(result: BacktestResult) -> None:
    found = result.drawdowns()
    assert found.schema == {
        "peak": pl.Datetime("ns"),
        "valley": pl.Datetime("ns"),
        "recovery": pl.Datetime("ns"),
        "depth": pl.Float64,
        "bars_down": pl.Int64,
        "bars_up": pl.Int64,
    }
    # 1099 to 949 and not back; the last bar at 1000 to 999 and back
    assert found.rows() == [
        (day(2), day(3), None, pytest.approx(949 / 1099 - 1), 1, None),
        (day(0), day(1), day(2), pytest.approx(-0.001), 1, 1),
    ]
    assert result.drawdowns(1).height == 1
    with pytest.raises(ValueError, match="n=-1: must be at least 0"):
        result.drawdowns(-1)


def test_a_drawdown_from_the_initial_cash_has_no_time_of_its_peak() -> None:
    config = SAME_BAR.model_copy(update={"commission": FixedCommission(10.0)})
    result = run_script({0: buy("A", 50)}, {"A": [10.0, 11.0]}, config)
    # 990 after the commission, then 50 more
    assert result.drawdowns().rows() == [(None, day(0), day(1), pytest.approx(-0.01), 1, 1)]
    assert result.statistics()["max_drawdown"] == pytest.approx(-0.01)


def test_monthly_returns() -> None:
    # bars of 1 and 31 January, 5 March 2024 and 1 January 2026
    times = [
        datetime(2024, 1, 1),
        datetime(2024, 1, 31),
        datetime(2024, 3, 5),
        datetime(2026, 1, 1),
    ]
    frame = pl.DataFrame({"date": times, "asset": "A", "close": [10.0, 11.0, 12.0, 9.0]})
    weights = pl.DataFrame({"date": times[:1], "A": [1.0]})
    result = run_weights(frame, weights, SAME_BAR)
    found = result.monthly_returns()
    assert found.columns == [
        *("year", "jan", "feb", "mar", "apr", "may", "jun"),
        *("jul", "aug", "sep", "oct", "nov", "dec", "total"),
    ]
    assert found.schema["year"] == pl.Int32
    rows = found.rows(named=True)
    assert [row["year"] for row in rows] == [2024, 2025, 2026]
    known = [{k: v for k, v in row.items() if v is not None and k != "year"} for row in rows]
    assert known[0] == pytest.approx({"jan": 0.1, "mar": 12 / 11 - 1, "total": 0.2})
    assert known[1] == {}
    assert known[2] == pytest.approx({"jan": -0.25, "total": -0.25})


def test_months_are_those_of_the_zone() -> None:
    # 1 February, 3 hours UTC, is still January in New York
    times = pl.Series(["2024-01-30T21:00", "2024-02-01T03:00"]).str.to_datetime("%Y-%m-%dT%H:%M")
    stamps = times.dt.replace_time_zone("UTC").dt.convert_time_zone("America/New_York")
    frame = pl.DataFrame({"timestamp": stamps, "asset": "A", "close": [10.0, 11.0]})
    weights = pl.DataFrame({"timestamp": stamps[:1], "A": [1.0]})
    found = run_weights(frame, weights, SAME_BAR).monthly_returns()
    assert found["jan"].to_list() == pytest.approx([0.1])
    assert found["feb"].to_list() == [None]


def test_months_of_bars_in_an_hour_that_comes_twice() -> None:
    # Berlin goes back from 3:00 to 2:00 on 27 October 2024: bars every half hour, by UTC
    stamps = pl.datetime_range(
        datetime(2024, 10, 26), datetime(2024, 11, 1), "30m", time_zone="UTC", eager=True
    ).dt.convert_time_zone("Europe/Berlin")
    # 10 until 31 October, 22:30 UTC, and then 11: 23:00 UTC is midnight there
    closes = [10.0] * (len(stamps) - 3) + [11.0] * 3
    frame = pl.DataFrame({"timestamp": stamps, "asset": "A", "close": closes})
    weights = pl.DataFrame({"timestamp": stamps[:1], "A": [1.0]})
    found = run_weights(frame, weights, SAME_BAR).monthly_returns()
    assert found.select("oct", "nov", "total").row(0) == pytest.approx((0.0, 0.1, 0.1))


# ---------------------------------------------------------------------- bad input


def test_an_empty_result() -> None:
    result = nothing()
    found = result.statistics()
    zeros = {k for k, v in found.items() if v == 0.0}
    assert zeros == {
        *("total_return", "max_drawdown", "max_drawdown_bars", "turnover", "commission"),
        *("slippage", "orders", "fills", "rebalances_requested", "rebalances_executed"),
        *("ends_inferred", "years", "trades"),
    }
    known = {k for k, v in found.items() if not math.isnan(v)}
    assert known == zeros | {"initial_cash", "final_equity"}
    assert result.drawdowns().height == result.monthly_returns().height == 0
    assert result.drawdowns().columns[0] == "peak"
    assert result.monthly_returns().columns[-1] == "total"
    with pytest.raises(ValueError, match="benchmark: the result has no bars"):
        result.statistics("A")


def test_one_bar() -> None:
    result = run_script({0: buy("A", 50)}, {"A": [10.0]}, SAME_BAR)
    found = result.statistics("A")
    unknown = {k for k, v in found.items() if math.isnan(v)}
    assert unknown >= RELATIVE - {
        *("benchmark_coverage", "benchmark_total_return", "benchmark_max_drawdown")
    }
    assert unknown >= {"annual_return", "volatility", "sharpe_ratio", "cost_bps", "hit_rate"}
    assert found["total_return"] == found["years"] == found["trades"] == 0.0
    assert found["exposure"] == 0.5
    assert found["benchmark_coverage"] == 1.0
    assert result.drawdowns().height == 0
    assert result.monthly_returns().row(0)[1] == 0.0


def test_no_trades() -> None:
    result = run_script({}, CLOSES, SAME_BAR)
    found = result.statistics("A")
    unknown = {k for k, v in found.items() if math.isnan(v)}
    assert unknown == {
        *("sharpe_ratio", "sortino_ratio", "calmar_ratio", "skewness", "kurtosis"),
        *("tail_ratio", "probabilistic_sharpe_ratio", "hit_rate", "profit_factor"),
        *("holding_days", "correlation"),
    }
    assert found["beta"] == found["exposure"] == found["cost_bps"] == found["volatility"] == 0.0
    assert result.drawdowns().height == 0


def test_equity_that_reaches_zero() -> None:
    config = SAME_BAR.model_copy(update={"delisting": "write_off"})
    closes = {"A": [10.0, 8.0, None, None], "B": [5.0, 5.0, 6.0, 5.0]}
    result = run_script({0: buy("A", 100)}, closes, config)
    assert result.equity["equity"].to_list() == [1000.0, 800.0, 0.0, 0.0]
    found = result.statistics("B", risk_free_rate=0.01)
    assert found["total_return"] == found["annual_return"] == found["max_drawdown"] == -1.0
    assert found["calmar_ratio"] == -1.0
    assert found["max_drawdown_bars"] == 3.0
    unknown = {k for k, v in found.items() if math.isnan(v)}
    assert unknown >= {
        *("volatility", "sharpe_ratio", "sortino_ratio", "value_at_risk", "expected_shortfall"),
        *("beta", "alpha", "tracking_error", "up_capture", "exposure", "time_in_market"),
    }
    assert not any(k.startswith("benchmark") for k in unknown)
    assert result.drawdowns().row(0) == (day(0), day(2), None, -1.0, 2, None)
    january = result.monthly_returns()
    assert january["jan"].to_list() == january["total"].to_list() == [-1.0]


@pytest.mark.parametrize(
    ("setting", "value"),
    [("periods_per_year", 0.0), ("periods_per_year", "daily"), ("risk_free_rate", -1.0)],
)
def test_bad_settings(result: BacktestResult, setting: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{setting}="):
        result.statistics(**{setting: value})  # type: ignore[arg-type]
