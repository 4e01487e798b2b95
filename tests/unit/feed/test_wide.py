"""Frames with two levels of columns, as downloads have them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from helpers import day
from ml4t.backtest import DataFeed
from ml4t.backtest.errors import DataError

NAN = np.nan
DAYS = pd.DatetimeIndex([day(0), day(1)], name="Date")
FIELDS = {
    "Adj Close": ([5.0, 11.0], [20.0, NAN]),
    "Close": ([10.0, 11.0], [20.0, NAN]),
    "High": ([12.0, 12.0], [21.0, NAN]),
    "Low": ([8.0, 9.0], [19.0, NAN]),
    "Open": ([9.0, 10.0], [20.0, NAN]),
    "Volume": ([100.0, 200.0], [50.0, NAN]),
}
# OPEN is a ticker as well as, in another case, a field
DOWNLOAD = pd.DataFrame(
    {
        (field, name): values[i]
        for field, values in FIELDS.items()
        for i, name in enumerate(("AAPL", "OPEN"))
    },
    index=DAYS,
)
DOWNLOAD.columns.names = ["Price", "Ticker"]
TURNED = DOWNLOAD.swaplevel(axis=1).sort_index(axis=1)


@pytest.mark.parametrize("frame", [DOWNLOAD, TURNED], ids=["field, ticker", "ticker, field"])
def test_a_download(frame: pd.DataFrame) -> None:
    feed = DataFeed.from_wide(frame)
    assert feed.assets == ("AAPL", "OPEN")
    assert feed.timestamps == [day(0), day(1)]
    np.testing.assert_array_equal(feed.bars.close, [[10.0, 20.0], [11.0, NAN]])
    np.testing.assert_array_equal(feed.bars.open, [[9.0, 20.0], [10.0, NAN]])
    np.testing.assert_array_equal(feed.bars.high, [[12.0, 21.0], [12.0, NAN]])
    assert feed.bars.volume is not None
    np.testing.assert_array_equal(feed.bars.volume, [[100.0, 50.0], [200.0, 0.0]])


def test_adjusted_closes_take_the_bar_along() -> None:
    bars = DataFeed.from_wide(DOWNLOAD, close_field="Adj Close").bars
    np.testing.assert_array_equal(bars.close, [[5.0, 20.0], [11.0, NAN]])
    # day 0 of AAPL: factor 5 / 10
    np.testing.assert_array_equal(bars.open[:, 0], [4.5, 10.0])
    np.testing.assert_array_equal(bars.high[:, 0], [6.0, 12.0])


def test_closes_of_one_level() -> None:
    feed = DataFeed.from_wide(DOWNLOAD["Close"])
    np.testing.assert_array_equal(feed.bars.close, [[10.0, 20.0], [11.0, NAN]])


@pytest.mark.parametrize(
    ("frame", "options", "match"),
    [
        (DOWNLOAD, {"close_field": "Last"}, "no field 'Last'.*'close'"),
        (DOWNLOAD.rename(columns={"Close": "Last"}), {}, "one must hold fields"),
        (pd.concat({"x": DOWNLOAD}, axis=1), {}, "3 levels"),
        (DOWNLOAD.xs("AAPL", axis=1, level=1), {}, "the fields of one asset"),
        (
            DOWNLOAD["Close"].iloc[[0, 0]],
            {},
            "prices: times of close that appear more than once: 1",
        ),
    ],
)
def test_unusable_downloads(frame: object, options: dict[str, str], match: str) -> None:
    with pytest.raises(DataError, match=match):
        DataFeed.from_wide(frame, **options)


def test_a_wide_frame_is_no_long_one() -> None:
    with pytest.raises(DataError, match=r"use DataFeed\.from_wide"):
        DataFeed(DOWNLOAD)
    with pytest.raises(DataError, match=r"no column symbol.*DataFeed\.from_wide"):
        DataFeed(DOWNLOAD["Close"].rename(columns={"AAPL": "Close"}))
