"""Weight schedules from frames, files and dicts."""

from __future__ import annotations

from datetime import UTC, date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from helpers import day
from ml4t.backtest import WeightSchedule
from ml4t.backtest.errors import DataWarning, InputError

NAN = float("nan")
DAYS = [day(0), day(1)]
EXPECTED = WeightSchedule(DAYS, ["A", "B"], [[0.25, NAN], [0.5, -0.5]])
WIDE = pl.DataFrame({"date": DAYS, "B": [None, -0.5], "A": [0.25, 0.5]})
LONG = pl.DataFrame(
    {
        "Ticker": ["A", "B", "A"],
        "weight": [0.25, -0.5, 0.5],
        "note": ["x", "y", "z"],
        "timestamp": [DAYS[0], DAYS[1], DAYS[1]],
    }
)
PANDAS = pd.DataFrame({"B": [NAN, -0.5], "A": [0.25, 0.5]}, index=pd.DatetimeIndex(DAYS))
SOURCES: dict[str, Any] = {
    "wide polars": WIDE,
    "wide lazy": WIDE.lazy(),
    "wide arrow": WIDE.to_arrow(),
    "wide pandas": WIDE.to_pandas(),
    "wide pandas, times in the index": PANDAS,
    "wide pandas, a named index": PANDAS.rename_axis(index="Date", columns="asset"),
    "wide pandas, objects": PANDAS.astype(object),
    "wide dates": WIDE.with_columns(pl.col("date").dt.date()),
    "long polars": LONG,
    "long pandas": LONG.to_pandas(),
    "long pandas, labels in the index": LONG.to_pandas().set_index(["timestamp", "Ticker"]),
    "long categories": LONG.with_columns(pl.col("Ticker").cast(pl.Categorical)),
    "dict of dicts": {DAYS[1]: {"B": -0.5, "A": 0.5}, DAYS[0]: {"A": 0.25}},
    "dict of series": {DAYS[0]: pd.Series({"A": 0.25}), DAYS[1]: pd.Series({"B": -0.5, "A": 0.5})},
    "dict by date": {date(2024, 1, 1): {"A": 0.25}, date(2024, 1, 2): {"B": -0.5, "A": 0.5}},
    "dict by numpy time": {
        np.datetime64(time, "s"): dict(row)
        for time, row in zip(DAYS, ({"A": 0.25}, {"B": -0.5, "A": 0.5}), strict=True)
    },
}


@pytest.mark.parametrize("name", SOURCES)
def test_sources(name: str) -> None:
    assert WeightSchedule.from_frame(SOURCES[name]) == EXPECTED


def test_columns_of_other_names() -> None:
    wide = WIDE.rename({"date": "when"})
    long = LONG.rename({"timestamp": "when", "Ticker": "who"})
    assert WeightSchedule.from_frame(wide, "when") == EXPECTED
    assert WeightSchedule.from_frame(long, time_column="when", asset_column="who") == EXPECTED


@pytest.mark.parametrize(
    "text",
    [
        "Date,A,B\n2024-01-01,0.25,\n2024-01-02,0.5,-0.5\n",
        "Date;A;B\n01.01.2024;0,25;NA\n02.01.2024;0,5;-0,5\n",
        "asset,date,weight\nA,2024-01-01,0.25\nA,2024-01-02,0.5\nB,2024-01-02,-0.5\n",
    ],
)
def test_csv(text: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.csv"
    path.write_text(text)
    assert WeightSchedule.from_frame(path) == WeightSchedule.from_frame(str(path)) == EXPECTED


def test_parquet(tmp_path: Path) -> None:
    for frame in (WIDE, LONG, EXPECTED.to_frame()):
        path = tmp_path / "weights.parquet"
        frame.write_parquet(path)
        assert WeightSchedule.from_frame(path) == EXPECTED


def test_zones_are_kept() -> None:
    aware = PANDAS.tz_localize("Asia/Tokyo")
    schedule = WeightSchedule.from_frame(aware)
    assert schedule.time_zone == "Asia/Tokyo"
    assert schedule.timestamps[0] == aware.index[0].to_pydatetime()
    by_time = {time.to_pydatetime(): dict(row.dropna()) for time, row in aware.iterrows()}
    assert WeightSchedule.from_frame(by_time) == schedule


@pytest.mark.parametrize("frame", [WIDE.reverse(), LONG.reverse()], ids=["wide", "long"])
def test_rows_out_of_order_are_sorted_and_told(frame: pl.DataFrame) -> None:
    with pytest.warns(DataWarning, match="weights: rows were not in the order of time"):
        assert WeightSchedule.from_frame(frame) == EXPECTED


def wide(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame(columns, index=pd.DatetimeIndex(DAYS))


BAD: dict[str, tuple[Any, str]] = {
    "strings": (WIDE.with_columns(B=pl.Series(["x", "0.5"])), "column 'B'.*2024-01-01.*'x'"),
    "numbers as strings": (WIDE.with_columns(B=pl.Series(["0.1", "0.5"])), "column 'B'"),
    "bools": (WIDE.with_columns(B=pl.Series([True, False])), "'B' has type Boolean"),
    "a bool among objects": (
        wide(A=pd.Series([0.5, True], dtype=object, index=DAYS)),
        "'A' has type Object, not numbers: 1, the first: 2024-01-02 00:00:00 True",
    ),
    "a string among objects": (wide(A=pd.Series([0.5, "x"], dtype=object, index=DAYS)), "'A'.*'x'"),
    "long bools": (LONG.with_columns(weight=pl.col("weight") > 0), "'weight' has type Boolean"),
    "infinity": (
        WIDE.with_columns(A=pl.Series([0.5, -np.inf])),
        "weights: 2024-01-02 00:00:00 A is -inf",
    ),
    "a time twice": (
        WIDE[[0, 0]],
        "weights: times that appear more than once: 1, the first: 2024-01-01",
    ),
    "a pair twice": (LONG[[0, 0]], "duplicate .time, asset.*2024-01-01 00:00:00 A"),
    "no weight": (LONG.drop("weight"), "no column weight; columns found: 'Ticker'.*Rename"),
    "no times": (WIDE.drop("date"), "no column timestamp or date or datetime"),
    "no assets": (WIDE.select("date"), "no columns besides 'date'"),
    "no rows": (WIDE.clear(), "has no rows"),
    "nothing": (WIDE.with_columns(A=None, B=None), "not one weight"),
    "two levels": (pd.concat({"w": PANDAS}, axis=1), "2 levels; make a long frame"),
    "asset twice": (
        pd.DataFrame([[0.1, 0.2]], columns=["A", "A"], index=pd.DatetimeIndex(DAYS[:1])),
        "'A' appear more than once",
    ),
    "no frame": (5, "what has the type int is not a dataframe"),
    "a list": ([0.5, 0.5], "what has the type list is not a dataframe"),
    "no file": ("no/such/file.csv", "cannot read the file"),
    "weights without times": ({"A": 0.5}, "'A' are no times; pass {time: {asset: weight}}"),
    "an empty dict": ({}, "no times"),
    "a row without assets": (
        {DAYS[0]: {"A": 1.0}, DAYS[1]: {}},
        "2024-01-02.*there is no asset",
    ),
    "a row of strings": ({DAYS[0]: {"A": "x"}}, "weights at 2024-01-01 00:00:00: .*A='x'"),
    "a row of NaN": ({DAYS[0]: {"A": NAN}}, "weights at 2024-01-01 00:00:00: .*A=nan"),
    "a row of a list": ({DAYS[0]: [0.5]}, "weights at 2024-01-01 00:00:00: a list"),
    "one time in two makes": (
        {DAYS[0]: {"A": 1.0}, date(2024, 1, 1): {"A": 1.0}},
        "two rows for 2024-01-01",
    ),
    "mixed zones": (
        {DAYS[0]: {"A": 1.0}, DAYS[1].replace(tzinfo=UTC): {"A": 1.0}},
        "mixed time zones",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_refused(name: str) -> None:
    source, match = BAD[name]
    with pytest.raises(InputError, match=match) as caught:
        WeightSchedule.from_frame(source)
    assert str(caught.value).startswith("weights")


def test_names_of_columns_that_a_dict_does_not_have() -> None:
    with pytest.raises(InputError, match="a mapping has no columns"):
        WeightSchedule.from_frame({DAYS[0]: {"A": 1.0}}, time_column="date")
