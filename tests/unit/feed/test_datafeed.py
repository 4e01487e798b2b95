"""Frames of any kind become the same arrays, or an error that says what to do."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from helpers import day, long_frame
from ml4t.backtest import DataFeed
from ml4t.backtest.errors import DataError, DataWarning
from ml4t.backtest.feed.datafeed import as_feed

NAN = float("nan")
# A has a bar on both days, B on the first only.
ROWS = {
    "timestamp": [day(0), day(1), day(0)],
    "asset": ["A", "A", "B"],
    "close": [10.0, 11.0, 20.0],
}
LONG = pl.DataFrame(ROWS)
PANDAS = pd.DataFrame(ROWS)

SAME_FRAMES: dict[str, tuple[object, dict[str, Any]]] = {
    "polars": (LONG, {}),
    "pandas": (PANDAS, {}),
    "pandas, index date": (PANDAS.rename(columns={"timestamp": "date"}).set_index("date"), {}),
    "pandas, index without a name": (PANDAS.set_index("timestamp").rename_axis(None), {}),
    "pandas, index (date, asset)": (PANDAS.set_index(["timestamp", "asset"]), {}),
    "pandas, categorical names": (PANDAS.astype({"asset": "category"}), {}),
    "pyarrow": (pa.table(ROWS), {}),
    "polars, lazy": (LONG.lazy(), {}),
    "pandas, objects": (PANDAS.astype({"close": object, "timestamp": object}), {}),
    "any case": (LONG.rename({"timestamp": "DateTime", "asset": "Symbol", "close": "CLOSE"}), {}),
    "ticker": (LONG.rename({"timestamp": "Date", "asset": "Ticker"}), {}),
    "names given": (
        LONG.rename({"timestamp": "when", "asset": "what"}),
        {"time_column": "when", "asset_column": "what"},
    ),
    "unsorted": (LONG.reverse(), {}),
    "dates": (LONG.with_columns(pl.col("timestamp").cast(pl.Date)), {}),
    "milliseconds": (LONG.with_columns(pl.col("timestamp").cast(pl.Datetime("ms"))), {}),
    "integers": (LONG.with_columns(pl.col("close").cast(pl.Int32)), {}),
    "other columns": (LONG.with_columns(sector=pl.lit("tech")), {}),
}


def _warned(expected: bool) -> AbstractContextManager[object]:
    """Expect the warning that rows were sorted; any other warning is an error anyway."""
    return pytest.warns(DataWarning, match="sorted") if expected else nullcontext()


@pytest.mark.parametrize("name", SAME_FRAMES)
def test_the_same_bars_from_any_frame(name: str) -> None:
    frame, options = SAME_FRAMES[name]
    with _warned("unsorted" in name):
        feed = DataFeed(frame, **options)
    assert feed.assets == ("A", "B")
    assert feed.timestamps == [day(0), day(1)]
    assert (feed.n_bars, feed.n_assets) == (2, 2)
    np.testing.assert_array_equal(feed.bars.close, [[10.0, 20.0], [11.0, NAN]])


def test_arrays_are_plain_and_locked() -> None:
    signals = LONG.select("timestamp", "asset", score="close")
    frame = LONG.with_columns(open="close", high="close", low="close", volume="close")
    bars = DataFeed(frame, signals).bars
    fields = ("open", "high", "low", "close", "volume", "mark")
    for matrix in [*(getattr(bars, name) for name in fields), bars.signals["score"]]:
        assert matrix.dtype == np.float64
        assert matrix.flags.c_contiguous
        with pytest.raises(ValueError, match="read-only"):
            matrix[0, 0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        bars.times[0] = 0


def test_assets_are_sorted_by_name() -> None:
    closes = {"b": [1.0], "C": [2.0], "A": [3.0], "a": [4.0]}
    feed = DataFeed(long_frame(closes))
    assert feed.assets == ("A", "C", "a", "b")  # as Python sorts strings
    np.testing.assert_array_equal(feed.bars.close, [[3.0, 2.0, 4.0, 1.0]])


@pytest.mark.parametrize("zone", ["America/New_York", "UTC", "Asia/Tokyo"])
def test_aware_times_come_back_in_their_zone(zone: str) -> None:
    noon = datetime(2024, 1, 2, 12, tzinfo=ZoneInfo(zone))
    frame = pl.DataFrame({"timestamp": [noon], "asset": ["A"], "close": [1.0]})
    (found,) = DataFeed(frame).timestamps
    assert found == noon
    assert found.tzinfo is not None
    assert (found.hour, found.utcoffset()) == (12, noon.utcoffset())


def test_aware_pandas_times_come_back_in_their_zone() -> None:
    times = pd.to_datetime(["2024-01-02 16:00"]).tz_localize("America/New_York")
    feed = DataFeed(pd.DataFrame({"date": times, "asset": ["A"], "close": [1.0]}))
    # 16:00 in New York is 21:00 UTC in January: 1704229200 s after 1970
    assert feed.bars.times.tolist() == [1_704_229_200 * 10**9]
    assert feed.timestamps == [datetime(2024, 1, 2, 16, tzinfo=ZoneInfo("America/New_York"))]
    assert feed.timestamps[0].hour == 16


def test_naive_times_are_utc_and_stay_naive() -> None:
    feed = DataFeed(LONG)
    # 2024-01-01 00:00 UTC is 1704067200 s after 1970; a day has 86400 s
    assert feed.bars.times.tolist() == [1_704_067_200 * 10**9, 1_704_153_600 * 10**9]
    assert feed.timestamps[0].tzinfo is None


def test_what_is_missing_in_a_bar() -> None:
    frame = pl.DataFrame(
        {
            "timestamp": [day(0), day(1), day(2), day(3)],
            "asset": ["A"] * 4,
            "open": [9.0, None, 9.5, 9.0],
            "high": [12.0, 13.0, float("inf"), 12.0],
            "low": [8.0, 8.0, NAN, 8.0],
            "close": [10.0, 11.0, 12.0, NAN],
            "volume": [100.0, NAN, None, 50.0],
        }
    )
    with pytest.warns(DataWarning, match="infinities: 1, the first: 2024-01-03"):
        bars = DataFeed(frame, checks="warn").bars
    # an open, high or low that is no number is the close; no close, no bar; no volume, 0
    np.testing.assert_array_equal(bars.open[:, 0], [9.0, 11.0, 9.5, NAN])
    np.testing.assert_array_equal(bars.high[:, 0], [12.0, 13.0, 12.0, NAN])
    np.testing.assert_array_equal(bars.low[:, 0], [8.0, 8.0, 12.0, NAN])
    np.testing.assert_array_equal(bars.close[:, 0], [10.0, 11.0, 12.0, NAN])
    assert bars.volume is not None
    np.testing.assert_array_equal(bars.volume[:, 0], [100.0, 0.0, 0.0, 0.0])


def test_without_other_columns_the_close_is_the_whole_bar() -> None:
    bars = DataFeed(LONG).bars
    for field in ("open", "high", "low"):
        np.testing.assert_array_equal(getattr(bars, field), bars.close)
    assert bars.volume is None


def test_marks_carry_the_last_close_that_is_a_price() -> None:
    # B: nothing before its first bar, then 20, a gap, a close of 0 (no price), 22
    closes = {"A": [1.0, 2.0, 3.0, 4.0, 5.0], "B": [None, 20.0, None, 0.0, 22.0]}
    with pytest.warns(DataWarning, match="zero or negative prices: 1"):
        bars = DataFeed(long_frame(closes), checks="warn").bars
    np.testing.assert_array_equal(bars.mark[:, 1], [NAN, 20.0, 20.0, 20.0, 22.0])
    np.testing.assert_array_equal(bars.mark[:, 0], [1.0, 2.0, 3.0, 4.0, 5.0])
    assert DataFeed(long_frame({"A": [1.0, 2.0]})).bars.mark.flags.c_contiguous


# ---------------------------------------------------------------------- wide frames

WIDE_PANDAS = pd.DataFrame(
    {"B": [20.0, NAN], "A": [10.0, 11.0]}, index=pd.DatetimeIndex([day(0), day(1)], name="Date")
)
WIDE_POLARS = pl.DataFrame({"B": [20.0, None], "date": [day(0), day(1)], "A": [10.0, 11.0]})
WIDE_FRAMES: dict[str, tuple[object, dict[str, Any]]] = {
    "pandas": (WIDE_PANDAS, {}),
    "pandas, index without a name": (WIDE_PANDAS.rename_axis(None), {}),
    "pandas, other name": (WIDE_PANDAS.rename_axis("when"), {"time_column": "when"}),
    "pandas, columns with a name": (WIDE_PANDAS.rename_axis(columns="Ticker"), {}),
    "polars": (WIDE_POLARS, {}),
    "unsorted": (WIDE_POLARS.reverse(), {}),
    "dict": ({"close": WIDE_PANDAS}, {}),
}


@pytest.mark.parametrize("name", WIDE_FRAMES)
def test_wide_frames(name: str) -> None:
    frame, options = WIDE_FRAMES[name]
    with _warned("unsorted" in name):
        feed = DataFeed.from_wide(frame, **options)
    assert feed.assets == ("A", "B")
    assert feed.timestamps == [day(0), day(1)]
    np.testing.assert_array_equal(feed.bars.close, [[10.0, 20.0], [11.0, NAN]])


def test_wide_fields() -> None:
    opens = WIDE_POLARS.with_columns(A=pl.Series([9.0, 9.5]))
    volumes = WIDE_POLARS.with_columns(A=pl.Series([100.0, None]))
    for feed in (
        DataFeed.from_wide(WIDE_POLARS, open=opens, volume=volumes),
        DataFeed.from_wide({"close": WIDE_POLARS, "open": opens, "volume": volumes}),
        DataFeed.from_wide({"close": WIDE_POLARS, "open": opens}, volume=volumes),
    ):
        np.testing.assert_array_equal(feed.bars.open, [[9.0, 20.0], [9.5, NAN]])
        np.testing.assert_array_equal(feed.bars.volume, [[100.0, 20.0], [0.0, 0.0]])
        np.testing.assert_array_equal(feed.bars.high, feed.bars.close)


def test_wide_frames_are_not_changed() -> None:
    opens = WIDE_PANDAS.copy()
    opens.loc[day(0), "A"] = NAN
    before = opens.copy()
    DataFeed.from_wide(WIDE_PANDAS, open=opens)
    pd.testing.assert_frame_equal(opens, before)


def test_a_wide_feed_takes_signals() -> None:
    signals = LONG.select("timestamp", "asset", score="close")
    feed = DataFeed.from_wide(WIDE_POLARS, signals=signals)
    np.testing.assert_array_equal(feed.bars.signals["score"], [[10.0, 20.0], [11.0, NAN]])


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"open": WIDE_POLARS.drop("B")}, "open: columns differ.*'B'"),
        ({"open": WIDE_POLARS.head(1)}, "open: times differ"),
        ({"dollars": WIDE_POLARS}, "'dollars' are not fields"),
    ],
)
def test_wide_fields_must_agree(fields: dict[str, pl.DataFrame], match: str) -> None:
    with pytest.raises(DataError, match=match):
        DataFeed.from_wide({"close": WIDE_POLARS, **fields})


@pytest.mark.parametrize(
    ("frame", "match"),
    [
        (pl.DataFrame({"A": [1.0]}), "no column timestamp or date or datetime.*'A'"),
        (WIDE_POLARS.head(0), "no rows"),
        (WIDE_POLARS.select("date"), "no columns besides 'date'"),
        (pl.concat([WIDE_POLARS, WIDE_POLARS.head(1)]), "more than once: 1, the first: 2024-01-01"),
        (WIDE_POLARS.with_columns(A=pl.lit("x")), "'A' has type String"),
        ({"open": WIDE_POLARS}, "no close among the fields 'open'"),
    ],
)
def test_unusable_wide_frames(frame: object, match: str) -> None:
    with pytest.raises(DataError, match=match):
        DataFeed.from_wide(frame)


# ---------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("frame", "match"),
    [
        (
            PANDAS.assign(close=pd.Series([True, *PANDAS["close"][1:]], dtype=object).values),
            "'close' has type Object, not numbers: 1, the first: .* True",
        ),
        (LONG.with_columns(timestamp=pl.lit("2024-01-01")), "'timestamp' has type String"),
        (LONG.with_columns(asset=pl.lit(5)), "'asset' has type Int32; names must be strings"),
        (LONG.with_columns(asset=pl.lit(None, pl.String)), "'asset' is empty in 3 rows"),
        (
            LONG.with_columns(timestamp=pl.lit(None, pl.Datetime)),
            "'timestamp' is empty in 3 rows",
        ),
        (PANDAS.rename(columns={"close": 5}), "column names 5 are not strings"),
    ],
)
def test_unusable_prices(frame: object, match: str) -> None:
    with pytest.raises(ValueError, match=match) as caught:
        DataFeed(frame)
    assert isinstance(caught.value, DataError)
    assert str(caught.value).startswith("prices: ")


def test_a_column_that_is_there_twice() -> None:
    with pytest.raises(ValueError, match="'close'"):
        DataFeed(pd.concat([PANDAS, PANDAS[["close"]]], axis=1))


SIGNALS = LONG.select("timestamp", "asset", score="close")


def test_signals_are_laid_out_over_the_bars() -> None:
    signals = pl.DataFrame(
        {
            "date": [date(2024, 1, 2), date(2024, 1, 1)],
            "Asset": ["A", "B"],
            "score": [0.5, -1.0],
            "Rank": [None, 2],
        }
    )
    bars = DataFeed(LONG, signals).bars
    assert set(bars.signals) == {"score", "Rank"}
    np.testing.assert_array_equal(bars.signals["score"], [[NAN, -1.0], [0.5, NAN]])
    np.testing.assert_array_equal(bars.signals["Rank"], [[NAN, 2.0], [NAN, NAN]])


@pytest.mark.parametrize(
    ("signals", "match"),
    [
        (SIGNALS.with_columns(asset=pl.lit("AA")).head(1), "'AA' .nearest: 'A'. have no prices"),
        (
            SIGNALS.with_columns(pl.col("timestamp").dt.offset_by("12h")),
            "2 of their times are no bar of prices, the first: 2024-01-01 12:00:00",
        ),
        (
            SIGNALS.with_columns(pl.col("timestamp").dt.replace_time_zone("UTC")),
            "times are in UTC, those of prices in no zone",
        ),
        (SIGNALS.with_columns(label=pl.lit([1])), "'label' has type List"),
        (
            pl.DataFrame({"timestamp": [datetime(2024, 1, 2)], "asset": ["B"], "score": [1.0]}),
            "1 values of 'score' are for an asset that has no bar then, the first: 2024-01-02",
        ),
        (pl.concat([SIGNALS, SIGNALS]), "pairs that appear more than once: 3"),
        (SIGNALS.drop("asset"), "no column symbol"),
    ],
)
def test_unusable_signals(signals: pl.DataFrame, match: str) -> None:
    with pytest.raises(DataError, match=match) as caught:
        DataFeed(LONG, signals)
    assert str(caught.value).startswith("signals: ")


def test_as_feed() -> None:
    feed = DataFeed(LONG)
    assert as_feed(feed) is feed
    assert as_feed(LONG).assets == ("A", "B")
    with pytest.raises(DataError, match="pass the signals to DataFeed"):
        as_feed(feed, SIGNALS)


def test_repr_shows_size_and_range() -> None:
    expected = (
        "DataFeed(n_bars=2, n_assets=2, 2024-01-01 00:00:00 to 2024-01-02 00:00:00, 1 end early)"
    )
    assert repr(DataFeed(LONG)) == expected
