"""A weight schedule is the same whatever it came in as, and in whatever order."""

from __future__ import annotations

import warnings
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import START
from ml4t.backtest import WeightSchedule
from ml4t.backtest.errors import DataWarning, InputError

NAN = float("nan")
ZONES = st.sampled_from([None, "UTC", "America/New_York"])
#: Rows by time: weights by name, the same names in each, None where there is none.
Rows = dict[Any, dict[str, float | None]]


@st.composite
def tables(draw: Any, zone: str | None = None) -> Rows:
    """Rows in any order, in each and in each column at least one weight."""
    hours = draw(st.lists(st.integers(0, 200), min_size=1, max_size=6, unique=True))
    names = draw(st.lists(st.sampled_from("ABCDEF"), min_size=1, max_size=4, unique=True))
    weights = st.one_of(st.none(), st.floats(-2.0, 2.0))
    times = pl.Series([START + timedelta(hours=hour) for hour in hours])
    if zone:
        times = times.dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    rows: Rows = {}
    for i, time in enumerate(times):
        rows[time] = {name: draw(weights) for name in names}
        rows[time][names[i % len(names)]] = draw(st.floats(-2.0, 2.0))
    for i, name in enumerate(names):
        first = next(iter(rows.values()))
        if i >= len(rows):
            first[name] = draw(st.floats(-2.0, 2.0))
    return rows


def without_none(rows: Rows) -> dict[Any, dict[str, float]]:
    return {t: {a: w for a, w in row.items() if w is not None} for t, row in rows.items()}


def wide_polars(rows: Rows) -> pl.DataFrame:
    names = list(next(iter(rows.values())))
    columns = {
        name: pl.Series([row[name] for row in rows.values()], dtype=pl.Float64) for name in names
    }
    return pl.DataFrame({"timestamp": list(rows), **columns})


def long_polars(rows: Rows) -> pl.DataFrame:
    cells = [(t, a, w) for t, row in without_none(rows).items() for a, w in row.items()]
    times, assets, weights = (list(column) for column in zip(*cells, strict=True))
    return pl.DataFrame({"date": times, "asset": assets, "weight": weights})


def wide_pandas(rows: Rows) -> pd.DataFrame:
    frame = wide_polars(rows).to_pandas().set_index("timestamp")
    return frame.astype(float)


def made_of(rows: Rows) -> WeightSchedule:
    names = list(next(iter(rows.values())))
    matrix = [[NAN if w is None else w for w in row.values()] for row in rows.values()]
    return WeightSchedule(list(rows), names, np.array(matrix, dtype=float))


def read(source: object) -> WeightSchedule:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # rows come in any order here
        return WeightSchedule.from_frame(source)


@settings(max_examples=60, deadline=None)
@given(ZONES.flatmap(tables))
def test_one_schedule_in_every_make(rows: Rows) -> None:
    expected = without_none(rows)
    schedule = made_of(rows)
    assert dict(schedule.rows()) == expected
    assert list(schedule.timestamps) == sorted(expected)
    makes = [
        wide_polars(rows),
        wide_polars(rows).to_arrow(),
        long_polars(rows),
        wide_pandas(rows),
        long_polars(rows).to_pandas(),
        expected,
        {time: pd.Series(row) for time, row in expected.items()},
        schedule.to_frame(),
        schedule.to_frame().to_pandas().set_index("timestamp"),
        schedule.to_frame().unpivot(index="timestamp", variable_name="asset", value_name="weight"),
        dict(schedule.rows()),
    ]
    assert [read(source) == schedule for source in makes] == [True] * len(makes)


@settings(max_examples=60, deadline=None)
@given(tables(), st.randoms(use_true_random=False))
def test_the_order_of_rows_and_columns_changes_nothing(rows: Rows, random: Any) -> None:
    times, names = list(rows), list(next(iter(rows.values())))
    random.shuffle(times)
    random.shuffle(names)
    shuffled = {time: {name: rows[time][name] for name in names} for time in times}
    schedule = made_of(rows)
    assert made_of(shuffled) == schedule
    assert read(wide_polars(shuffled)) == schedule
    assert read(long_polars(shuffled)) == schedule
    assert hash(made_of(shuffled)) == hash(schedule)


@settings(max_examples=60, deadline=None)
@given(tables(), st.integers(0, 6))
def test_a_schedule_is_the_sum_of_its_parts(rows: Rows, cut: int) -> None:
    parts = [dict(list(rows.items())[:cut]), dict(list(rows.items())[cut:])]
    whole = WeightSchedule.concat([made_of(part) for part in parts if part])
    assert whole == made_of(rows)


@settings(max_examples=60, deadline=None)
@given(tables(), st.integers(0, 3))
def test_a_shift_by_bars_is_one_by_rows_where_every_bar_has_a_row(rows: Rows, n: int) -> None:
    schedule = made_of(rows)
    if n >= len(schedule):
        return
    assert schedule.shift(n, timestamps=list(rows)) == schedule.shift(n)


CELLS = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([None, True, "0.5", 10**400, 1j, 1]),
)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.one_of(st.datetimes(), st.none(), st.sampled_from(["x", 3])), max_size=3),
    st.lists(st.sampled_from(["A", "B", "", 5]), max_size=3),
    st.data(),
)
def test_anything_is_a_schedule_or_an_input_error(times: Any, names: Any, data: Any) -> None:
    width = st.sampled_from([len(names)] * 4 + [len(names) + 1])
    row = width.flatmap(lambda n: st.lists(CELLS, min_size=n, max_size=n))
    matrix = data.draw(st.lists(row, min_size=len(times), max_size=len(times)))
    try:
        schedule = WeightSchedule(times, names, matrix)
    except InputError:
        return
    assert (np.diff(schedule.times) > 0).all()
    assert list(schedule.assets) == sorted(set(names))
    assert schedule.matrix.shape == (len(times), len(names))
    assert not np.isinf(schedule.matrix).any()
    assert schedule.decides.any()
