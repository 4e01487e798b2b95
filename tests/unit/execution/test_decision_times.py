"""When to decide. Expected bars are read off a calendar by hand."""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

from ml4t.backtest import DataFeed
from ml4t.backtest.execution.decision_times import decision_bars, every, on_dates
from ml4t.backtest.feed.bars import Bars

NEW_YORK = ZoneInfo("America/New_York")


def bars_at(*times: Any) -> Bars:
    frame = pl.DataFrame({"timestamp": list(times), "A": [10.0] * len(times)})
    return DataFeed.from_wide(frame).bars


def days(*texts: str) -> Bars:
    return bars_at(*map(datetime.fromisoformat, texts))


def decided(schedule: Any, bars: Bars) -> list[str]:
    """The decision times as text, without the time of day where it is midnight."""
    found = decision_bars(schedule, bars)
    assert found.dtype == np.bool_
    assert found.shape == bars.times.shape
    chosen = [time for time, is_one in zip(bars.timestamps, found, strict=True) if is_one]
    return [time.replace(tzinfo=None).isoformat().removesuffix("T00:00:00") for time in chosen]


#: The turn of 2020: December 28 is a Monday, and all of its week belongs to ISO week 53 of 2020.
TURN = days(
    "2020-12-24",  # Thursday
    "2020-12-28",  # Monday
    "2020-12-31",  # Thursday
    "2021-01-01",  # Friday, still week 53
    "2021-01-04",  # Monday, week 1
    "2021-01-29",  # Friday
    "2021-02-26",  # Friday
    "2021-04-01",  # Thursday; March has no bar
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("every_bar", list(map(str, TURN.times.astype("datetime64[ns]").astype("datetime64[D]")))),
        ("week_end", ["2020-12-24", "2021-01-01", "2021-01-04", "2021-01-29", "2021-02-26"]),
        ("month_end", ["2020-12-31", "2021-01-29", "2021-02-26"]),
        ("month_start", ["2021-01-01", "2021-02-26", "2021-04-01"]),
        ("quarter_end", ["2020-12-31", "2021-02-26"]),
    ],
)
def test_a_period_ends_where_the_next_time_is_in_another(name: str, expected: list[str]) -> None:
    assert decided(name, TURN) == expected


def test_the_same_month_of_two_years_is_two_months() -> None:
    bars = days("2020-03-31", "2021-03-31", "2022-03-31")
    assert decided("month_end", bars) == ["2020-03-31", "2021-03-31"]
    assert decided("quarter_end", bars) == ["2020-03-31", "2021-03-31"]
    # Friday of week 13 in both years.
    assert decided("week_end", days("2020-03-27", "2021-04-02", "2021-04-03")) == ["2020-03-27"]


def test_the_last_bar_ends_no_period_and_the_first_starts_none() -> None:
    bars = days("2024-01-01", "2024-01-31")
    assert decided("month_end", bars) == []
    assert decided("month_start", bars) == []
    assert decided("every_bar", days("2024-01-01")) == ["2024-01-01"]
    assert decided("month_end", days("2024-01-31")) == []


def test_an_intraday_period_ends_at_its_last_bar() -> None:
    bars = days("2024-01-31T15:00", "2024-01-31T16:00", "2024-02-01T10:00", "2024-02-01T11:00")
    assert decided("month_end", bars) == ["2024-01-31T16:00:00"]
    assert decided("month_start", bars) == ["2024-02-01T10:00:00"]


def test_the_calendar_is_that_of_the_feed() -> None:
    # 20:00 in New York on January 31 is 01:00 UTC on February 1, which starts the month there.
    evening = datetime(2024, 1, 31, 20, tzinfo=NEW_YORK)
    local = [evening - timedelta(hours=2), evening, evening + timedelta(hours=6)]
    assert decided("month_end", bars_at(*local)) == ["2024-01-31T20:00:00"]
    universal = [time.astimezone(UTC) for time in local]
    assert decided("month_end", bars_at(*universal)) == ["2024-01-31T23:00:00"]


@pytest.mark.parametrize(
    ("n", "expected"),
    [(1, [0, 1, 2, 3, 4, 5, 6, 7]), (3, [0, 3, 6]), (8, [0]), (np.int64(7), [0, 7])],
)
def test_every_n(n: int, expected: list[int]) -> None:
    assert np.flatnonzero(decision_bars(every(n), TURN)).tolist() == expected


@pytest.mark.parametrize("n", [0, -1, 1.0, True, "2", None])
def test_every_refuses_what_is_no_count(n: Any) -> None:
    with pytest.raises(ValueError, match=r"every\(.*\): n must be an integer of 1 or more"):
        every(n)


class TestDates:
    BARS = days("2024-01-02", "2024-01-05", "2024-01-08", "2024-01-10")

    @pytest.mark.parametrize(
        ("roll", "expected"),
        [("next", ["2024-01-05", "2024-01-08"]), ("previous", ["2024-01-05"])],
    )
    def test_they_roll_to_a_bar(self, roll: str, expected: list[str]) -> None:
        dates = [date(2024, 1, 7), date(2024, 1, 5)]
        assert decided(on_dates(dates, roll), self.BARS) == expected
        moments = [datetime(2024, 1, 7), datetime(2024, 1, 5)]
        assert decided(on_dates(moments, roll), self.BARS) == expected

    def test_the_next_bar_is_the_default(self) -> None:
        assert decided(on_dates([date(2024, 1, 9)]), self.BARS) == ["2024-01-10"]

    def test_two_on_one_bar_are_one_decision(self) -> None:
        dates = [date(2024, 1, 6), date(2024, 1, 7), date(2024, 1, 7)]
        assert decided(on_dates(dates), self.BARS) == ["2024-01-08"]

    def test_first_and_last_bar_can_be_asked_for(self) -> None:
        ends = ["2024-01-02", "2024-01-10"]
        dates = list(map(date.fromisoformat, ends))
        for roll in ("next", "previous"):
            assert decided(on_dates(dates, roll), self.BARS) == ends

    def test_a_plain_date_is_a_whole_day_and_a_datetime_a_moment(self) -> None:
        bars = days("2024-01-02T10:00", "2024-01-02T16:00", "2024-01-03T10:00")
        day, midnight = [date(2024, 1, 2)], [datetime(2024, 1, 3)]
        assert decided(on_dates(day, "next"), bars) == ["2024-01-02T10:00:00"]
        assert decided(on_dates(day, "previous"), bars) == ["2024-01-02T16:00:00"]
        assert decided(on_dates(midnight, "next"), bars) == ["2024-01-03T10:00:00"]
        assert decided(on_dates(midnight, "previous"), bars) == ["2024-01-02T16:00:00"]

    def test_a_plain_date_is_a_day_in_the_zone_of_the_feed(self) -> None:
        # 16:00 in Tokyo is 07:00 UTC; 08:00 in Tokyo is 23:00 UTC of the day before.
        tokyo = ZoneInfo("Asia/Tokyo")
        bars = bars_at(*(datetime(2024, 1, 4, hour, tzinfo=tokyo) for hour in (8, 16)))
        assert decided(on_dates([date(2024, 1, 4)]), bars) == ["2024-01-04T08:00:00"]

    def test_arrays_and_pandas_are_taken(self) -> None:
        pd = pytest.importorskip("pandas")
        for dates in (
            pd.DatetimeIndex(["2024-01-09", "2024-01-03"]),
            pd.Series(pd.to_datetime(["2024-01-09", "2024-01-03"])),
            np.array(["2024-01-09", "2024-01-03"], "datetime64[D]"),
            pl.Series([date(2024, 1, 9), date(2024, 1, 3)]),
        ):
            assert decided(on_dates(dates), self.BARS) == ["2024-01-05", "2024-01-10"]

    @pytest.mark.parametrize("kind", [date, datetime])
    @pytest.mark.parametrize("roll", ["next", "previous"])
    def test_dates_outside_the_feed_decide_nothing(
        self, roll: str, kind: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        # The feed is from the 2nd to the 10th of January 2024.
        outside = [*range(2010, 2024), *range(2025, 2030)]
        dates = [
            *(kind(year, 1, 5) for year in outside),
            kind(2024, 1, 1),
            kind(2024, 1, 5),
            kind(2024, 1, 11),
        ]
        with caplog.at_level(logging.INFO, "ml4t.backtest"):
            assert decided(on_dates(dates, roll), self.BARS) == ["2024-01-05"]
        assert caplog.messages == [
            "schedule: 21 of 22 dates lie outside the feed and decide nothing"
        ]

    def test_a_day_of_the_feed_is_inside_whatever_the_time_of_its_bars(self) -> None:
        bars = days("2024-01-02T16:00", "2024-01-03T16:00")
        for roll in ("next", "previous"):
            both = on_dates([date(2024, 1, 2), date(2024, 1, 3)], roll)
            assert decided(both, bars) == ["2024-01-02T16:00:00", "2024-01-03T16:00:00"]

    @pytest.mark.parametrize(
        "dates",
        [["2023-01-01", "2024-01-01"], ["2024-01-11", "2025-01-09"], ["2023-01-01", "2025-01-01"]],
    )
    @pytest.mark.parametrize("roll", ["next", "previous"])
    def test_dates_of_which_none_is_in_the_feed(self, dates: list[str], roll: str) -> None:
        schedule = on_dates(list(map(date.fromisoformat, dates)), roll)
        with pytest.raises(ValueError, match=r"not one of.*lies in the feed, 2024-01-02"):
            decision_bars(schedule, self.BARS)

    @pytest.mark.parametrize(
        "dates",
        [
            [date(2024, 1, 5), datetime(2024, 1, 8, 12)],
            [datetime(2024, 1, 8, 12), date(2024, 1, 5)],
            [date(2024, 1, 5), datetime(2024, 1, 8, 12, tzinfo=UTC)],
            [np.datetime64("2024-01-05"), np.datetime64("2024-01-08T12")],
            np.array([date(2024, 1, 5), datetime(2024, 1, 8, 12)], object),
        ],
    )
    def test_a_day_among_moments(self, dates: Any) -> None:
        for given in (dates, iter(dates)):
            with pytest.raises(ValueError, match=r"2024.*5.* is a plain date.* a moment; pass all"):
                on_dates(given)

    def test_zones_must_agree(self) -> None:
        aware = on_dates([datetime(2024, 1, 5, tzinfo=UTC)])
        with pytest.raises(ValueError, match="times are in UTC, those of prices in no zone"):
            decision_bars(aware, self.BARS)

    @pytest.mark.parametrize(
        ("dates", "roll", "message"),
        [
            ([], "next", "no dates"),
            (["2024-01-05"], "next", "convert it to dates or datetimes"),
            (["never"], "next", "convert it to dates or datetimes"),
            ([1.5], "next", "convert it to dates or datetimes"),
            (date(2024, 1, 5), "next", "is no sequence"),
            ([date(2024, 1, 5)], "prev", r"roll='prev' is unknown \(nearest: 'previous'\)"),
            ([date(2024, 1, 5)], None, "roll=None is unknown"),
            ([datetime(2024, 1, 5), datetime(2024, 1, 6, tzinfo=UTC)], "next", "mixed time zones"),
        ],
    )
    def test_what_are_no_dates(self, dates: Any, roll: Any, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            on_dates(dates, roll)


class TestRule:
    def test_a_function_is_asked_at_every_bar_in_order(self) -> None:
        seen: list[datetime] = []

        def first_half(time: datetime) -> bool:
            seen.append(time)
            return time.year == 2020

        assert decided(first_half, TURN) == ["2020-12-24", "2020-12-28", "2020-12-31"]
        assert seen == list(TURN.timestamps)

    def test_a_bool_of_numpy_will_do(self) -> None:
        assert decided(lambda time: np.bool_(time.month == 4), TURN) == ["2021-04-01"]

    @pytest.mark.parametrize("answer", [None, 1, "yes", 0.0])
    def test_another_answer_is_refused(self, answer: Any) -> None:
        with pytest.raises(ValueError, match=r"returned .* for 2020-12-24 00:00:00"):
            decision_bars(lambda time: answer, TURN)

    def test_its_own_exception_comes_through(self) -> None:
        def broken(time: datetime) -> bool:
            raise KeyError(time)

        with pytest.raises(KeyError):
            decision_bars(broken, TURN)


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ("month_ends", r"'month_ends' is unknown \(nearest: 'month_end'\)"),
        ("weekly", "there are every_bar, week_end"),
        (None, "None is none; pass every"),
        (21, "21 is none; pass every"),
        ([date(2024, 1, 1)], r"pass on_dates\(dates\)"),
        (bool, "is none"),
    ],
)
def test_an_unknown_schedule(schedule: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decision_bars(schedule, TURN)


def test_the_answer_is_read_only() -> None:
    found = decision_bars("every_bar", TURN)
    with pytest.raises(ValueError, match="read-only"):
        found[0] = False
