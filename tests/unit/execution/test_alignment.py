"""A weight schedule over the bars of a feed."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from helpers import day, feed_of
from ml4t.backtest import DataFeed, WeightSchedule
from ml4t.backtest.errors import DataWarning, InputError

NAN = float("nan")
#: Bars at days 0, 1, 2, 5 and 6 of the assets A, B and C.
BARS = feed_of({name: [1.0, 1.0, 1.0, None, None, 1.0, 1.0] for name in "CAB"}).bars


def schedule(rows: dict[int, list[float]], assets: str = "ABC") -> WeightSchedule:
    """Weights by day."""
    return WeightSchedule([day(number) for number in rows], list(assets), list(rows.values()))


def test_assets_and_times_that_fit() -> None:
    found = schedule({0: [0.1, 0.2, 0.3], 2: [NAN, NAN, 0.5], 6: [0.0, 0.0, 0.0]})
    row_of_bar, weights = found.aligned(BARS)
    assert row_of_bar.tolist() == [0, -1, 1, -1, 2]
    assert row_of_bar.dtype == np.int64
    assert weights is found.matrix
    assert not row_of_bar.flags.writeable


@pytest.mark.parametrize("align", ["exact", "next"])
def test_one_decision_at_the_first_bar(align: str) -> None:
    found = schedule({0: [0.1, 0.2, 0.3]}).aligned(BARS, align)
    assert found.row_of_bar.tolist() == [0, -1, -1, -1, -1]


def test_assets_are_laid_out_over_the_feed() -> None:
    found = schedule({1: [0.1, 0.2]}, "CA").aligned(BARS)
    assert found.row_of_bar.tolist() == [-1, 0, -1, -1, -1]
    np.testing.assert_array_equal(found.weights, [[0.2, NAN, 0.1]])
    assert found.weights.flags.c_contiguous
    assert not found.weights.flags.writeable


@pytest.mark.parametrize("align", ["exact", "next"])
def test_a_row_of_nan_asks_for_nothing(align: str) -> None:
    nothing = [NAN, NAN, NAN]
    # before the first bar, between bars, on a bar, on the last, after it
    found = schedule({-3: nothing, 1: [1.0, 0.0, 0.0], 4: nothing, 5: nothing, 9: nothing})
    assert found.aligned(BARS, align).row_of_bar.tolist() == [-1, 1, -1, -1, -1]


def test_the_next_bar() -> None:
    found = schedule({-2: [0.1, NAN, NAN], 2: [0.2, NAN, NAN], 4: [0.3, NAN, NAN]})
    assert found.aligned(BARS, "next").row_of_bar.tolist() == [0, -1, 1, 2, -1]
    noon = WeightSchedule([day(0) + timedelta(hours=12)], ["A"], [[0.5]])
    assert noon.aligned(BARS, "next").row_of_bar.tolist() == [-1, 0, -1, -1, -1]


def test_of_two_rows_on_one_bar_the_later_wins() -> None:
    found = schedule({3: [0.1, NAN, NAN], 4: [0.2, NAN, NAN], 5: [0.3, NAN, NAN]})
    match = (
        "weights: 2 rows are not used.*first: 2024-01-04 00:00:00, replaced by 2024-01-05 "
        "00:00:00 at the bar 2024-01-06 00:00:00"
    )
    with pytest.warns(DataWarning, match=match) as caught:
        assert found.aligned(BARS, "next").row_of_bar.tolist() == [-1, -1, -1, 2, -1]
    assert len(caught) == 1


ONE = [0.5, 0.25, 0.25]
BAD: dict[str, tuple[WeightSchedule, str, str]] = {
    "no bar": (
        schedule({1: ONE, 3: ONE, 4: ONE}),
        "exact",
        r"2 of their times are no bar.*first: 2024-01-04 00:00:00 \(nearest bars: 2024-01-03 "
        r'00:00:00 and 2024-01-06 00:00:00\).*align="next"',
    ),
    "before the first": (
        schedule({-1: ONE, 3: ONE}),
        "exact",
        r"first: 2023-12-31 00:00:00 \(nearest bars: 2024-01-01 00:00:00\)",
    ),
    "after the last": (
        schedule({7: ONE}),
        "exact",
        r"first: 2024-01-08 00:00:00 \(nearest bars: 2024-01-07 00:00:00\)",
    ),
    "after the last, next": (
        schedule({0: ONE, 8: ONE, 9: ONE}),
        "next",
        "2 decision times are after the last bar, 2024-01-07.*the first: 2024-01-09",
    ),
    "ends before, exact": (schedule({-3: ONE, -2: ONE}), "exact", "last decision, 2023-12-30"),
    "ends before, next": (schedule({-3: ONE, -2: ONE}), "next", "before the first bar, 2024-01-01"),
    "asset": (schedule({0: ONE}, "ABX"), "exact", "'X' are not assets of the feed.*add their"),
    "zone": (
        WeightSchedule([day(0).replace(tzinfo=UTC)], ["A"], [[0.5]]),
        "next",
        "times are in UTC, those of prices in no zone; make them agree",
    ),
    "align": (schedule({0: ONE}), "nearest", "align: 'nearest' is unknown; use \"exact\" or"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit(name: str) -> None:
    found, align, match = BAD[name]
    with pytest.raises(InputError, match=match):
        found.aligned(BARS, align)


def test_a_name_nearly_right() -> None:
    bars = feed_of({"AAPL": [1.0], "MSFT": [1.0]}).bars
    with pytest.raises(InputError, match=r"'APPL' \(nearest: 'AAPL'\) are not assets"):
        WeightSchedule([day(0)], ["APPL"], [[0.5]]).aligned(bars)


def aware_feed(zone: str) -> DataFeed:
    times = pl.Series([day(0), day(1)]).dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    return DataFeed(pl.DataFrame({"date": times, "asset": ["A", "A"], "close": [1.0, 1.0]}))


def test_zones() -> None:
    naive = WeightSchedule([day(0)], ["A"], [[0.5]])
    utc = WeightSchedule([day(1).replace(tzinfo=UTC)], ["A"], [[0.5]])
    assert utc.aligned(aware_feed("UTC").bars).row_of_bar.tolist() == [-1, 0]
    for found, zone in ((naive, "UTC"), (utc, "Asia/Tokyo")):
        with pytest.raises(InputError, match="make them agree"):
            found.aligned(aware_feed(zone).bars)


def _plainly(decisions: list[datetime], bars: list[datetime]) -> list[int]:
    """The rule of the next bar in plain Python."""
    found = [-1] * len(bars)
    for row, time in enumerate(sorted(decisions)):
        found[min(i for i, bar in enumerate(bars) if bar >= time)] = row
    return found


def test_the_next_bar_against_a_plain_loop() -> None:
    rng = np.random.default_rng(5)
    for _ in range(50):
        days = np.sort(rng.choice(40, size=12, replace=False))
        closes: list[Any] = [1.0 if i in days else None for i in range(40)]
        bars = feed_of({"A": closes}).bars
        chosen = rng.choice(int(days[-1]) + 1, size=min(9, int(days[-1]) + 1), replace=False)
        decisions = [day(int(i)) for i in chosen]
        if max(decisions) < bars.timestamps[0]:
            continue
        found = WeightSchedule(decisions, ["A"], [[0.5]] * len(decisions))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)
            row_of_bar = found.aligned(bars, "next").row_of_bar
        assert row_of_bar.tolist() == _plainly(decisions, list(bars.timestamps))
