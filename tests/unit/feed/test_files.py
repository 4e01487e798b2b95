"""Paths: parquet and csv files are read right, or an error says what to pass."""

from __future__ import annotations

import gzip
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from helpers import day, long_frame
from ml4t.backtest import DataFeed, WeightSchedule
from ml4t.backtest.errors import DataError

CLOSE = {"A": [1234.5, 1250.25], "B": [20.0, 21.0]}
VOLUME = {"A": [1_000_000.0, 2_500.0], "B": [100.0, 200.0]}
FRAME = long_frame(CLOSE, volume=VOLUME)
DATES = ("2024-01-01", "2024-01-02")


def csv_text(
    separator: str = ",",
    dates: tuple[str, str] = DATES,
    a: tuple[str, str] = ("1234.5", "1250.25"),
    volumes: tuple[str, str] = ("1000000", "2500"),
) -> str:
    rows = [["date", "ticker", "close", "volume"]]
    rows += [[dates[t], "A", a[t], volumes[t]] for t in range(2)]
    rows += [[dates[0], "B", "20", "100"], [dates[1], "B", "21", "200"]]
    return "\n".join(separator.join(row) for row in rows) + "\n"


PLAIN = csv_text()
GERMAN = csv_text(";", ("01.01.2024", "02.01.2024"), ("1.234,5", "1250,25"), ("1.000.000", "2.500"))
READABLE = {
    "plain": PLAIN.encode(),
    "utf-16": PLAIN.encode("utf-16"),
    "windows lines": PLAIN.replace("\n", "\r\n").encode(),
    "semicolons, decimal commas, points in thousands": GERMAN.encode(),
    "spaces in thousands": csv_text(",", DATES, ("1 234.5", "1 250.25")).encode(),
    "tabs": csv_text("\t").encode(),
    "bars": csv_text("|").encode(),
    "Excel's first line": b"sep=;\n" + csv_text(";").encode(),
    "gzip": gzip.compress(PLAIN.encode()),
    "slashes": csv_text(dates=("2024/01/01", "2024/1/2")).encode(),
    "compact": csv_text(dates=("20240101", "20240102")).encode(),
    "with a clock": csv_text(dates=("2024-01-01 00:00:00", "2024-01-02T00:00")).encode(),
    "names of months": csv_text(dates=("1-Jan-2024", "Jan 2 2024")).encode(),
    "spaces in the header": PLAIN.replace("close", " Close ").encode(),
    "missing volume": PLAIN.replace("2500", "NA").encode(),
}


@pytest.mark.parametrize("name", READABLE)
def test_a_csv_is_read_right(name: str, tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_bytes(READABLE[name])
    for given in (path, str(path)):
        feed = DataFeed(given)
        assert feed.assets == ("A", "B")
        assert feed.timestamps == [day(0), day(1)]
        np.testing.assert_array_equal(feed.bars.close, [[1234.5, 20.0], [1250.25, 21.0]])
        assert feed.bars.volume is not None
        second = 0.0 if name == "missing volume" else 2500.0
        np.testing.assert_array_equal(feed.bars.volume, [[1_000_000.0, 100.0], [second, 200.0]])


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "prices.parquet"
    FRAME.write_parquet(path)
    for given in (path, str(path)):
        np.testing.assert_array_equal(DataFeed(given).bars.close, DataFeed(FRAME).bars.close)


def test_paths_of_signals_context_and_wide_frames(tmp_path: Path) -> None:
    signals, context, wide = (tmp_path / f"{name}.csv" for name in ("signals", "context", "wide"))
    signals.write_text("date;asset;score;label\n2024-01-01;A;0,5;up\n")
    context.write_text("date,vix,regime\n2024-01-02,17.5,calm\n")
    wide.write_text("Date,A,B\n2024-01-01,1234.5,20\n2024-01-02,1250.25,\n")
    feed = DataFeed(FRAME, signals, context)
    assert feed.bars.signals["score"][0, 0] == 0.5
    assert feed.bars.signals["label"][0, 0] == "up"
    assert feed.context is not None
    assert feed.context.at(1) == {"vix": 17.5, "regime": "calm"}
    np.testing.assert_array_equal(
        DataFeed.from_wide(wide).bars.close, [[1234.5, 20.0], [1250.25, np.nan]]
    )


def test_names_that_look_like_something_else(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text("date,asset,close\n2024-01-01,NA,1\n2024-01-01,005930,2\n2024-01-01,TRUE,3\n")
    assert DataFeed(path).assets == ("005930", "NA", "TRUE")


def test_day_or_month_first(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    for dates, expected in (
        (("02/01/2024", "13/01/2024"), [datetime(2024, 1, 2), datetime(2024, 1, 13)]),
        (("01/02/2024", "01/13/2024"), [datetime(2024, 1, 2), datetime(2024, 1, 13)]),
    ):
        path.write_text(csv_text(dates=dates))
        assert DataFeed(path).timestamps == expected


def test_offsets_are_read_as_utc(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    # New York in winter and in summer, as pandas writes it
    path.write_text(csv_text(dates=("2024-01-02 00:00:00-05:00", "2024-07-02 00:00:00-04:00")))
    feed = DataFeed(path)
    assert feed.bars.time_zone == "UTC"
    assert [time.hour for time in feed.timestamps] == [5, 4]


def test_a_lazy_frame_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be collected"):
        DataFeed(pl.scan_parquet(tmp_path / "none.parquet"))


# ---------------------------------------------------------------------- an index without a name


def save(frame: Any, path: Path) -> Path:
    if path.suffix == ".csv":
        frame.to_csv(path)
    else:
        frame.to_parquet(path)
    return path


@pytest.mark.parametrize("name", ["frame.csv", "frame.parquet"])
@pytest.mark.parametrize("time_column", [None, "as it is called"])
def test_pandas_index_without_a_name(time_column: str | None, name: str, tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    if time_column is not None:
        time_column = {"frame.csv": "", "frame.parquet": "__index_level_0__"}[name]
    moments = [datetime(2024, 1, 2, 16), datetime(2024, 1, 3, 16)]
    wide = pd.DataFrame({"A": [1.0, 2.0], "B": [3.0, 4.0]}, index=pd.DatetimeIndex(moments))
    path = save(wide, tmp_path / name)
    feed = DataFeed.from_wide(path, time_column=time_column)
    assert list(feed.bars.timestamps) == moments
    assert feed.bars.assets == ("A", "B")
    assert feed.bars.close.tolist() == [[1.0, 3.0], [2.0, 4.0]]
    weights = WeightSchedule.from_frame(save(wide / 10.0, path), time_column=time_column)
    assert list(weights.timestamps) == moments
    assert weights.assets == ("A", "B")
    assert weights.matrix == pytest.approx(np.array([[0.1, 0.3], [0.2, 0.4]]))
    long = pd.DataFrame(
        {"asset": ["A", "A"], "close": [1.0, 2.0], "weight": [0.1, 0.2]}, index=wide.index
    )
    path = save(long, path)
    assert DataFeed(path, time_column=time_column).bars.close.tolist() == [[1.0], [2.0]]
    weights = WeightSchedule.from_frame(path, time_column=time_column)
    assert weights.matrix.tolist() == [[0.1], [0.2]]
    assert list(weights.timestamps) == moments


def test_columns_that_are_called_as_pandas_calls_an_index(tmp_path: Path) -> None:
    for label in ("index", "Unnamed: 0"):
        path = tmp_path / "frame.csv"
        path.write_text(f"{label},A\n2024-01-02,1\n2024-01-03,2\n")
        assert list(DataFeed.from_wide(path).bars.timestamps) == [
            datetime(2024, 1, 2),
            datetime(2024, 1, 3),
        ]


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        (",A\n0,1\n1,2\n", "'', 'A'"),  # numbers of rows are no times
        (",A\nx,1\n", "'', 'A'"),
        ("moment,A\n2024-01-02,1\n", "'moment', 'A'"),  # a name of its own
    ],
)
def test_a_first_column_that_is_no_such_index(text: str, columns: str, tmp_path: Path) -> None:
    path = tmp_path / "frame.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=f"no column timestamp.*columns found: {columns}"):
        DataFeed.from_wide(path)


def test_a_known_name_of_times_comes_first(tmp_path: Path) -> None:
    path = tmp_path / "frame.csv"
    path.write_text("index,date,asset,close\n2020-01-01,2024-01-02,A,1\n")
    assert list(DataFeed(path).bars.timestamps) == [datetime(2024, 1, 2)]
