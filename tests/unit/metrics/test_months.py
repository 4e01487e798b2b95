"""Returns of months and years, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ml4t.backtest import metrics

TIMES = np.array(
    ["2023-11-30", "2023-12-15", "2023-12-29", "2024-01-31", "2024-03-15"], "datetime64[ns]"
)
EQUITY = np.array([110.0, 99.0, 121.0, 121.0, 133.1])


def test_monthly_returns() -> None:
    found = metrics.monthly_returns(TIMES, EQUITY, 100.0)
    assert found.years.tolist() == [2023, 2024]
    # November 100 to 110, December to 121; in 2024 January to 121, March from there to 133.1
    expected = np.full((2, 12), math.nan)
    expected[0, 10:] = 0.1, 0.1
    expected[1, 0], expected[1, 2] = 0.0, 0.1
    np.testing.assert_allclose(found.months, expected, atol=1e-15)
    # 121 of 100, 133.1 of 121
    assert found.totals == pytest.approx([0.21, 0.1])


def test_without_a_start_the_first_value_is_one() -> None:
    found = metrics.monthly_returns(TIMES, EQUITY)
    assert found.months[0, 10] == 0.0
    assert found.totals[0] == pytest.approx(0.1)


def test_a_year_without_a_value() -> None:
    times = np.array(["2021-12-31", "2023-01-01"], "datetime64[s]")
    found = metrics.monthly_returns(times, np.array([10.0, 11.0]), 10.0)
    assert found.years.tolist() == [2021, 2022, 2023]
    assert np.isnan(found.months[1]).all()
    np.testing.assert_allclose(found.totals, [0.0, math.nan, 0.1])
    assert found.months[2, 0] == pytest.approx(0.1)


def test_before_1970() -> None:
    times = np.array(["1969-12-31", "1970-01-02"], "datetime64[D]")
    found = metrics.monthly_returns(times, np.array([10.0, 11.0]), 8.0)
    assert found.years.tolist() == [1969, 1970]
    assert found.months[0, 11] == pytest.approx(0.25)
    assert found.months[1, 0] == pytest.approx(0.1)


def test_no_equity_and_none_any_more() -> None:
    nothing = metrics.monthly_returns(TIMES[:0], EQUITY[:0])
    assert nothing.years.size == nothing.totals.size == 0
    assert nothing.months.shape == (0, 12)
    # all is lost in December; a month that begins with nothing has no return
    found = metrics.monthly_returns(TIMES, np.array([110.0, 99.0, 0.0, 0.0, 0.0]), 100.0)
    assert found.months[0, 11] == -1.0
    assert math.isnan(found.months[1, 0])
    np.testing.assert_array_equal(found.totals, [-1.0, math.nan])


def test_bad_times() -> None:
    with pytest.raises(ValueError, match="times: they do not increase"):
        metrics.monthly_returns(TIMES[::-1], EQUITY)
    with pytest.raises(ValueError, match="times: they do not increase"):
        metrics.monthly_returns(TIMES[[0, 0, 1, 2, 3]], EQUITY)
    with pytest.raises(ValueError, match="times has 4, equity has 5"):
        metrics.monthly_returns(TIMES[:4], EQUITY)
