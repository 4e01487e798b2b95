"""Any frames beside or instead of long prices: a feed that keeps its promises, or a `DataError`."""

from __future__ import annotations

import warnings
from typing import Any

import pandas as pd
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import assert_promises, attempt, day
from ml4t.backtest import (
    DataFeed,
)
from ml4t.backtest.errors import (
    DataError,
    DataWarning,
)

NUMBERS = st.one_of(
    st.floats(0.5, 200.0),
    st.sampled_from([None, float("nan"), float("inf"), 0.0, -1.0, 1e308, 5e-324]),
)
CELLS = NUMBERS | st.sampled_from(["x", True, "1.5", 10**400, day(0)])
LABELS = st.sampled_from(["A", "B", "Close", "close", "", "date", 5, None])
NAMES = LABELS | st.just(("A", "B"))


@st.composite
def _index(draw: Any, n: int) -> Any:
    days = draw(st.lists(st.integers(0, 4), min_size=n, max_size=n))
    if draw(st.booleans()):
        days = list(range(n))
    kind = draw(st.sampled_from(["times"] * 6 + ["aware", "numbers", "text", "missing", "pairs"]))
    if kind == "numbers":
        return pd.Index(days)
    if kind == "text":
        return pd.Index([str(day(d)) for d in days], dtype=object)
    if kind == "pairs":
        return pd.MultiIndex.from_arrays([[day(d) for d in days], ["A"] * n])
    times = pd.DatetimeIndex([day(d) for d in days])
    if kind == "missing" and n:
        times = pd.DatetimeIndex([pd.NaT, *times[1:]])
    return times.tz_localize("Asia/Tokyo") if kind == "aware" else times


@st.composite
def _pandas_frames(draw: Any, two_levels: bool) -> pd.DataFrame:
    n, width = draw(st.integers(0, 4)), draw(st.integers(0, 4))
    cells = draw(st.sampled_from([NUMBERS, NUMBERS, CELLS]))
    rows = draw(st.lists(st.lists(cells, min_size=width, max_size=width), min_size=n, max_size=n))
    is_plain = draw(st.booleans())  # labels that are good ones
    if is_plain and two_levels:
        fields_of_a = ["Close", "Open", "High", "Low"][:width]
        columns: Any = pd.MultiIndex.from_arrays([fields_of_a, ["A"] * width])
    elif is_plain:
        columns = pd.Index(list("ABCD")[:width], dtype=object)
    elif two_levels:
        fields = st.sampled_from(["Close", "Open", "High", "Low", "Volume", "Adj Close", "x", 5])
        pairs = draw(st.lists(st.tuples(fields, LABELS), min_size=width, max_size=width))
        turned = draw(st.booleans())
        labels = [pair[::-1] if turned else pair for pair in pairs]
        columns = pd.MultiIndex.from_arrays(list(zip(*labels, strict=True)) or [[], []])
    else:
        columns = pd.Index(
            draw(st.lists(NAMES, min_size=width, max_size=width)), dtype=object, tupleize_cols=False
        )
    index = draw(_index(n))
    frame = pd.DataFrame(rows, index=index, columns=columns) if width else pd.DataFrame(index=index)
    return frame.infer_objects() if draw(st.booleans()) else frame


def _feed_or_error(make: Any, checks: str = "raise", **options: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        feed, refusal = attempt(lambda: make(checks=checks, **options), DataError)
    if not refusal:
        assert_promises(feed, checks)


CHECKS = st.sampled_from(["raise", "warn"])


@settings(max_examples=200, deadline=None)
@given(_pandas_frames(two_levels=False), _pandas_frames(two_levels=False), CHECKS)
def test_any_wide_frames(close: pd.DataFrame, other: pd.DataFrame, checks: str) -> None:
    _feed_or_error(lambda **options: DataFeed.from_wide(close, **options), checks)
    _feed_or_error(lambda **options: DataFeed.from_wide(close, volume=other, **options), checks)
    _feed_or_error(lambda **options: DataFeed.from_wide({"close": close, "open": close}), checks)


@settings(max_examples=200, deadline=None)
@given(
    _pandas_frames(two_levels=True), CHECKS, st.sampled_from(["Close", "Adj Close", "x", 5, None])
)
def test_any_frame_of_two_levels(frame: pd.DataFrame, checks: str, close_field: Any) -> None:
    _feed_or_error(
        lambda **options: DataFeed.from_wide(frame, close_field=close_field, **options), checks
    )


LONG = pl.DataFrame(
    {"date": [day(d) for d in range(4) for _ in "AB"], "asset": list("AB") * 4, "close": [1.0] * 8}
)


@st.composite
def _values_of_times(draw: Any) -> pd.DataFrame:
    """Signals or context: times and names that mostly exist, values of any kind."""
    n = draw(st.integers(0, 4))
    columns: dict[Any, Any] = {"date": [day(d) for d in draw(st.permutations(range(4)))[:n]]}
    if draw(st.booleans()):
        names = draw(st.lists(st.sampled_from(["A", "B", "B", "C"]), min_size=n, max_size=n))
        columns["asset"] = names
    for _ in range(draw(st.integers(0, 2))):
        values = draw(st.lists(CELLS, min_size=n, max_size=n))
        columns[draw(st.sampled_from(["score", "label", "close", "Date", 5]))] = pd.Series(
            values, dtype=object
        )
    return pd.DataFrame(columns).infer_objects()


@settings(max_examples=200, deadline=None)
@given(_values_of_times(), st.sampled_from(["signals", "context"]))
def test_any_values_beside_the_prices(frame: pd.DataFrame, what: str) -> None:
    _feed_or_error(lambda **options: DataFeed(LONG, **options), **{what: frame})
