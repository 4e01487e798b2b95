"""The weight schedule as a value: what it keeps, refuses, and gives back."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pytest

from helpers import day, feed_of
from ml4t.backtest import (
    BacktestConfig,
    Strategy,
    TargetWeightExecutor,
    WeightSchedule,
    run_backtest,
)
from ml4t.backtest.errors import InputError, WeightsError
from ml4t.backtest.execution.schedule import as_schedule

NAN = float("nan")
INF = float("inf")
DAYS = [day(0), day(1), day(2)]
# Nanoseconds of 2024-01-01, by hand: 54 years of 365 days and 13 leap days
START_NS = (54 * 365 + 13) * 86_400 * 10**9
DAY_NS = 86_400 * 10**9

A, B = [[0.25], [0.5], [0.75]], [[0.0], [NAN], [-0.5]]
PLAIN = WeightSchedule(DAYS, ["A", "B"], np.hstack([A, B]))


def test_what_it_holds() -> None:
    schedule = WeightSchedule(
        [day(2), day(0), day(1)], ("B", "A"), [[-0.5, 0.75], [0.0, 0.25], [NAN, 0.5]]
    )
    assert schedule.assets == ("A", "B")
    assert schedule.times.tolist() == [START_NS, START_NS + DAY_NS, START_NS + 2 * DAY_NS]
    assert schedule.time_zone is None
    assert schedule.timestamps == tuple(DAYS)
    np.testing.assert_array_equal(schedule.matrix, [[0.25, 0.0], [0.5, NAN], [0.75, -0.5]])
    assert schedule.matrix.flags.c_contiguous
    assert schedule.decides.tolist() == [True, True, True]
    assert len(schedule) == 3
    assert repr(schedule) == (
        "WeightSchedule(n_decisions=3, n_assets=2, 2024-01-01 00:00:00 to 2024-01-03 00:00:00)"
    )


def test_it_never_changes() -> None:
    matrix = np.array([[0.5], [0.25], [0.125]])
    schedule = WeightSchedule(DAYS, ["A"], matrix)
    matrix[:] = 9.0
    assert schedule.matrix.ravel().tolist() == [0.5, 0.25, 0.125]
    for array in (schedule.matrix, schedule.times, schedule.decides):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    with pytest.raises(AttributeError):
        schedule.assets = ("B",)  # type: ignore[misc]


@pytest.mark.parametrize(
    "times",
    [
        DAYS,
        tuple(time.date() for time in DAYS),
        [DAYS[0], DAYS[1].date(), DAYS[2]],
        np.array(DAYS, dtype="datetime64[D]"),
        np.array(DAYS, dtype="datetime64[s]"),
        np.array(DAYS, dtype="datetime64[h]"),
        np.array(DAYS, dtype="datetime64[ns]"),
        list(np.array(DAYS, dtype="datetime64[ns]")),
        np.array(DAYS, dtype=object),
        pd.DatetimeIndex(DAYS),
        pd.Series(DAYS),
        pd.Series(DAYS, index=["x", "y", "z"]),
        [pd.Timestamp(time) for time in DAYS],
        pl.Series(DAYS),
        pl.Series(DAYS).dt.date(),
        (time for time in DAYS),
    ],
    ids=lambda times: type(times).__name__,
)
def test_times_of_many_makes(times: Any) -> None:
    assert WeightSchedule(times, ["A", "B"], PLAIN.matrix) == PLAIN


NEW_YORK = ZoneInfo("America/New_York")


@pytest.mark.parametrize(
    ("times", "zone"),
    [
        ([time.replace(tzinfo=UTC) for time in DAYS], "UTC"),
        (pd.DatetimeIndex(DAYS, tz="UTC"), "UTC"),
        # 2024-01-01 00:00 UTC is 19:00 of the day before in New York
        ([(t - timedelta(hours=5)).replace(tzinfo=NEW_YORK) for t in DAYS], "America/New_York"),
        (pd.DatetimeIndex(DAYS, tz="UTC").tz_convert("America/New_York"), "America/New_York"),
        ([t.replace(tzinfo=timezone(timedelta(0))) for t in DAYS], "UTC"),
    ],
)
def test_times_in_a_zone(times: Any, zone: str) -> None:
    schedule = WeightSchedule(times, ["A", "B"], PLAIN.matrix)
    assert schedule.time_zone == zone
    assert schedule.times.tolist() == PLAIN.times.tolist()
    assert str(schedule.timestamps[0].tzinfo) == zone
    assert schedule != PLAIN
    assert schedule.to_frame().schema["timestamp"] == pl.Datetime("ns", zone)


def test_nanoseconds_are_kept() -> None:
    times = np.array([START_NS + 1, START_NS], dtype="datetime64[ns]")
    assert WeightSchedule(times, ["A"], [[0.1], [0.2]]).times.tolist() == [START_NS, START_NS + 1]


@pytest.mark.parametrize(
    "matrix",
    [
        [[1, 0], [0, 1], [1, 1]],
        np.array([[1, 0], [0, 1], [1, 1]], dtype=np.int8),
        np.array([[1, 0], [0, 1], [1, 1]], dtype=np.float32),
        np.asfortranarray([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]),
        [np.array([1.0, 0.0]), [0, Fraction(1)], (np.float32(1.0), 1)],
        pd.DataFrame({"x": [1, 0, 1], "y": [0.0, 1.0, 1.0]}),
        pl.DataFrame({"x": [1, 0, 1], "y": [0.0, 1.0, 1.0]}),
    ],
    ids=lambda matrix: type(matrix).__name__,
)
def test_matrices_of_many_makes(matrix: Any) -> None:
    schedule = WeightSchedule(DAYS, ["A", "B"], matrix)
    assert schedule.matrix.dtype == np.float64
    assert schedule.matrix.flags.c_contiguous
    assert schedule.matrix.tolist() == [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]


SHAPE = np.zeros((3, 2))
BAD: dict[str, tuple[Any, Any, Any, str]] = {
    "rows": (DAYS, ["A", "B"], SHAPE[:2], r"shape \(2, 2\), but 3 times and 2 assets need"),
    "columns": (DAYS, ["A", "B"], SHAPE[:, :1], r"shape \(3, 1\), .*need \(3, 2\)"),
    "one dimension": (DAYS, ["A", "B"], np.zeros(6), r"shape \(6,\)"),
    "ragged": (DAYS, ["A", "B"], [[1.0, 2.0], [1.0], [1.0, 2.0]], "has shape"),
    "no matrix": (DAYS, ["A", "B"], None, r"has shape \(\)"),
    "asset twice": (DAYS, ["A", "A"], SHAPE, "'A' appear more than once"),
    "asset no string": (DAYS, ["A", 5], SHAPE, "5 are not asset names"),
    "asset None": (DAYS, [None, "A"], SHAPE, "None are not asset names"),
    "assets a string": (DAYS, "AB", SHAPE, "assets='AB' must be a sequence"),
    "assets a number": (DAYS, 2, SHAPE, "assets=2 must be a sequence"),
    "inf": (
        [day(2), day(0), day(1)],
        ["B", "A"],
        [[INF, 0.1], [0.1, 0.1], [-INF, 0.1]],
        "2024-01-02 00:00:00 B is -inf",
    ),
    "string": (
        DAYS,
        ["A", "B"],
        [[0.1, 0.1], [0.1, "0.5"], ["x", 0.1]],
        "2 of them.*the first: 2024-01-02 00:00:00 B '0.5'",
    ),
    "strings": (DAYS, ["A", "B"], np.full((3, 2), "0.5"), "type <U3"),
    "bool": (DAYS, ["A", "B"], [[0.1, 0.1], [0.1, 0.1], [True, 0.1]], "2024-01-03 .* A True"),
    "bools": (DAYS, ["A", "B"], np.full((3, 2), True), "type bool"),
    "None": (DAYS, ["A"], [[0.1], [None], [0.1]], "2024-01-02 00:00:00 A None"),
    "complex": (DAYS, ["A", "B"], SHAPE + 0j, "type complex128"),
    "a huge integer": (DAYS, ["A"], [[0.1], [10**400], [0.1]], "beyond all floats"),
    "masked": (DAYS, ["A", "B"], np.ma.masked_equal(SHAPE, 0.0), "is masked; fill it with NaN"),
    "all NaN": (DAYS, ["A", "B"], np.full((3, 2), NAN), "of 3 rows and 2 assets not one"),
    "no assets": (DAYS, [], np.zeros((3, 0)), "of 3 rows and 0 assets not one"),
    "no times": ([], ["A"], np.zeros((0, 1)), "no times"),
    "time twice": ([DAYS[0], DAYS[1], DAYS[0]], ["A", "B"], SHAPE, "two rows for 2024-01-01 00:00"),
    "NaT": ([DAYS[0], None, DAYS[1]], ["A", "B"], SHAPE, "time column 'times' is empty in 1"),
    "naive and aware": (
        [DAYS[0], DAYS[1].replace(tzinfo=UTC), DAYS[2]],
        ["A", "B"],
        SHAPE,
        "mixed time zones in 'times'.*2024-01-02 00:00:00",
    ),
    "two zones": (
        [DAYS[0].replace(tzinfo=NEW_YORK), *(t.replace(tzinfo=UTC) for t in DAYS[1:])],
        ["A", "B"],
        SHAPE,
        "mixed time zones",
    ),
    "text times": (["2024-01-01", "2024-01-02", "2024-01-03"], ["A", "B"], SHAPE, "type String"),
    "number times": (np.arange(3), ["A", "B"], SHAPE, "type Int64; convert it to dates"),
    "a time": (DAYS[0], ["A", "B"], SHAPE, "is no sequence; pass a list"),
    "times of two dimensions": (
        np.array([DAYS], dtype="datetime64[ns]"),
        ["A", "B"],
        SHAPE,
        "must be a sequence of one dimension",
    ),
    "a year too late": ([datetime(2300, 1, 1)], ["A"], [[1.0]], "1678 to 2261"),
    "picoseconds": (np.arange(3).astype("datetime64[ps]"), ["A", "B"], SHAPE, r"to datetime64\[ns"),
    "a step of time": (np.arange(3).astype("timedelta64[D]"), ["A", "B"], SHAPE, "convert it"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_refused(name: str) -> None:
    times, assets, matrix, match = BAD[name]
    with pytest.raises(InputError, match=match) as caught:
        WeightSchedule(times, assets, matrix)
    assert str(caught.value).startswith("weights: ")


def test_rows() -> None:
    schedule = WeightSchedule(DAYS, ["B", "A"], [[NAN, 0.5], [NAN, NAN], [0.0, 0.25]])
    assert schedule.decides.tolist() == [True, False, True]
    assert list(schedule.rows()) == [(day(0), {"A": 0.5}), (day(2), {"A": 0.25, "B": 0.0})]


def test_to_frame() -> None:
    frame = PLAIN.to_frame()
    assert frame.schema == {"timestamp": pl.Datetime("ns"), "A": pl.Float64, "B": pl.Float64}
    assert frame.rows() == [(day(0), 0.25, 0.0), (day(1), 0.5, None), (day(2), 0.75, -0.5)]
    odd = WeightSchedule(DAYS, ["timestamp"], A)
    with pytest.raises(WeightsError, match="an asset is called 'timestamp'"):
        odd.to_frame()


def test_equality() -> None:
    same = WeightSchedule(DAYS, ["A", "B"], PLAIN.matrix.copy())
    assert same == PLAIN
    assert hash(same) == hash(PLAIN)
    other_matrix = PLAIN.matrix.copy()
    other_matrix[0, 0] = 0.26
    others = [
        WeightSchedule(DAYS, ["A", "B"], other_matrix),
        WeightSchedule(DAYS, ["A", "C"], PLAIN.matrix),
        WeightSchedule([day(0), day(1), day(3)], ["A", "B"], PLAIN.matrix),
        WeightSchedule([*DAYS, day(3)], ["A", "B"], np.vstack([PLAIN.matrix, [[NAN, NAN]]])),
        "schedule",
    ]
    assert all(other != PLAIN for other in others)
    assert pickle.loads(pickle.dumps(PLAIN)) == PLAIN


def test_a_strategy_trades_its_rows() -> None:
    schedule = WeightSchedule([day(0), day(1), day(2)], ["A"], [[0.5], [NAN], [0.0]])
    weights = dict(schedule.rows())

    class Scheduled(Strategy):
        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
            if timestamp in weights:
                TargetWeightExecutor().execute(weights[timestamp], data, broker)

    config = BacktestConfig(initial_cash=1_000.0)
    fills = run_backtest(feed_of({"A": [10.0] * 4}), Scheduled(), config=config).fills
    # half of 1 000 at 10 is 50 shares, bought and sold in the bars after the decisions
    assert fills.select("timestamp", "side", "quantity").rows() == [
        (day(1), "buy", 50.0),
        (day(3), "sell", 50.0),
    ]


# --------------------------------------------------------------------- shift


def test_shift_by_rows_is_that_of_pandas() -> None:
    frame = pd.DataFrame(
        {"A": [0.25, NAN, 0.75, 1.0], "B": [NAN, NAN, 0.5, 0.25]},
        index=pd.DatetimeIndex([day(0), day(1), day(3), day(7)], name="date"),
    )
    schedule = WeightSchedule.from_frame(frame)
    for n in range(3):
        expected = dict(WeightSchedule.from_frame(frame.shift(n)).rows())
        assert dict(schedule.shift(n).rows()) == expected
    assert schedule.shift(0) == schedule
    assert schedule.shift(1).shift(1) == schedule.shift(2)
    # by hand: the row of day 0 falls to day 1, the empty one of day 1 to day 3
    assert list(schedule.shift(1).rows()) == [
        (day(1), {"A": 0.25}),
        (day(7), {"A": 0.75, "B": 0.5}),
    ]


def test_shift_by_bars() -> None:
    bars = [day(number) for number in (4, 0, 1, 2, 3)]  # in any order
    schedule = WeightSchedule(
        [day(0), day(2), day(4), datetime(2020, 1, 1)], ["A"], [[0.1], [0.2], [0.3], [NAN]]
    )
    assert list(schedule.shift(1, bars).rows()) == [(day(1), {"A": 0.1}), (day(3), {"A": 0.2})]
    assert list(schedule.shift(2, timestamps=bars).rows()) == [
        (day(2), {"A": 0.1}),
        (day(4), {"A": 0.2}),
    ]
    assert len(schedule.shift(0, bars)) == 3


@pytest.mark.parametrize(
    ("shift", "match"),
    [
        (lambda s: s.shift(-1), "n=-1; n must be an integer of 0 or more"),
        (lambda s: s.shift(1.0), "n=1.0"),
        (lambda s: s.shift(True), "n=True"),
        (lambda s: s.shift(3), "beyond the last time; shift by less"),
        (lambda s: s.shift(3, DAYS), "beyond the last time"),
        (lambda s: s.shift(10**30, DAYS), "beyond the last time"),
        (lambda s: s.shift(1, DAYS[1:]), "1 of their times.*first: 2024-01-01"),
        (lambda s: s.shift(1, [t.replace(tzinfo=UTC) for t in DAYS]), "in no zone"),
        (lambda s: s.shift(1, []), "no times"),
        (lambda s: s.shift(1, ["x"]), "convert it"),
    ],
)
def test_shifts_that_are_refused(shift: Callable[[Any], Any], match: str) -> None:
    with pytest.raises(InputError, match=match):
        shift(PLAIN)


# -------------------------------------------------------------------- concat


def test_concat() -> None:
    first = WeightSchedule([day(2), day(0)], ["A", "C"], [[0.1, 0.2], [0.3, 0.4]])
    second = WeightSchedule([day(1)], ["B", "A"], [[0.5, 0.6]])
    both = first + second
    assert both.assets == ("A", "B", "C")
    assert list(both.rows()) == [
        (day(0), {"A": 0.3, "C": 0.4}),
        (day(1), {"A": 0.6, "B": 0.5}),
        (day(2), {"A": 0.1, "C": 0.2}),
    ]
    assert WeightSchedule.concat(iter([second, first])) == both
    assert WeightSchedule.concat([first]) == first


def test_concats_that_are_refused() -> None:
    again = WeightSchedule([day(1), day(5)], ["C"], [[0.5], [0.5]])
    aware = WeightSchedule([day(5).replace(tzinfo=UTC)], ["A"], [[0.5]])
    with pytest.raises(WeightsError, match="two rows for 2024-01-02 00:00:00"):
        PLAIN + again
    with pytest.raises(WeightsError, match="one schedule is in no zone, another in UTC"):
        PLAIN + aware
    with pytest.raises(WeightsError, match="not none"):
        WeightSchedule.concat([])
    with pytest.raises(WeightsError, match="not 'dict'"):
        WeightSchedule.concat([PLAIN, {}])  # type: ignore[list-item]
    with pytest.raises(TypeError):
        PLAIN + {}  # type: ignore[operator]


def test_as_schedule() -> None:
    assert as_schedule(PLAIN) is PLAIN
    assert as_schedule({date(2024, 1, 1): {"A": 0.5}}) == WeightSchedule([day(0)], ["A"], [[0.5]])


def test_a_copy_is_as_locked_as_the_original() -> None:
    schedule = WeightSchedule([datetime(2024, 1, 1)], ["A"], [[0.5]])
    for other in (copy.deepcopy(schedule), pickle.loads(pickle.dumps(schedule))):
        assert other == schedule
        with pytest.raises(ValueError, match="read-only"):
            other.matrix[0, 0] = 1.0


def test_an_asset_that_is_called_like_the_column_of_names() -> None:
    schedule = WeightSchedule([datetime(2024, 1, 1)], ["A", "SYMBOL"], [[0.5, 0.25]])
    assert WeightSchedule.from_frame(schedule.to_frame()) == schedule
