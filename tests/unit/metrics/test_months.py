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


def test_the_hour_that_comes_twice() -> None:
    """Clocks in Berlin go back on 27 October 2024, 3:00 to 2:00, and on 31 March forward."""
    # 0:30 and 1:30 UTC are both 2:30 there; 23:30 UTC of 31 October is 0:30 of 1 November.
    times = np.array(
        ["2024-10-27T00:30", "2024-10-27T01:30", "2024-10-31T22:30", "2024-10-31T23:30"], "M8[m]"
    )
    equity = np.array([110.0, 121.0, 110.0, 99.0])
    found = metrics.monthly_returns(times, equity, 100.0, "Europe/Berlin")
    assert found.months[0, 9:11] == pytest.approx([0.1, -0.1])
    # by UTC all of it is October
    found = metrics.monthly_returns(times, equity, 100.0)
    assert found.months[0, 9] == pytest.approx(-0.01)
    assert math.isnan(found.months[0, 10])


def test_clocks_that_go_back_into_a_month_that_was_over() -> None:
    # In St John's 00:01 of 1 November 2009 was 23:01 of 31 October once more: 02:31 UTC.
    times = np.array(["2009-10-31", "2009-11-01T02:30", "2009-11-01T02:45", "2009-11-02"], "M8[m]")
    equity = np.array([110.0, 99.0, 121.0, 132.0])
    found = metrics.monthly_returns(times, equity, 100.0, "America/St_Johns")
    # October ended with 110; November, which had begun, ends with 132
    assert found.months[0, 9:11] == pytest.approx([0.1, 0.2])
    assert found.totals == pytest.approx([0.32])


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
    for zone in ("Mars/Olympus", 5):
        with pytest.raises(ValueError, match=f"time_zone={zone!r}: is no name of a zone"):
            metrics.monthly_returns(TIMES, EQUITY, time_zone=zone)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="start='x': must be a number"):
        metrics.monthly_returns(TIMES, EQUITY, "x")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="times has 4, equity has 5"):
        metrics.monthly_returns(TIMES[:4], EQUITY)
