"""Whatever comes in: a feed that keeps its promises, or a `DataError`; nothing else."""

from __future__ import annotations

import tempfile
import warnings
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import assert_promises
from ml4t.backtest import DataFeed
from ml4t.backtest.errors import DataError, DataWarning

START = datetime(2024, 1, 1)
NUMBERS = st.one_of(
    st.floats(0.5, 200.0),
    st.sampled_from([None, float("nan"), float("inf"), -float("inf"), 0.0, -1.0, 1e308, 5e-324]),
)


def _column(draw: Any, n: int) -> pl.Series:
    kind = draw(st.sampled_from(["float"] * 8 + ["int", "string", "bool", "null", "list"]))
    if kind == "float":
        return pl.Series(draw(st.lists(NUMBERS, min_size=n, max_size=n)), dtype=pl.Float64)
    if kind == "int":
        return pl.Series(
            draw(st.lists(st.integers(-2, 99), min_size=n, max_size=n)), dtype=pl.Int32
        )
    if kind == "string":
        texts = st.sampled_from(["1.5", "x", "", None])
        return pl.Series(draw(st.lists(texts, min_size=n, max_size=n)), dtype=pl.String)
    if kind == "bool":
        return pl.Series([True] * n, dtype=pl.Boolean)
    return pl.Series([None if kind == "null" else [1]] * n, dtype=None if n else pl.Null)


@st.composite
def frames(draw: Any) -> object:
    n = draw(st.integers(0, 8))
    days = draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    names = draw(st.lists(st.sampled_from(["A", "B", "C", ""]), min_size=n, max_size=n))
    if draw(st.booleans()):  # no duplicates, in order
        pairs = sorted(set(zip(days, names, strict=True)))
        days, names = [d for d, _ in pairs], [a for _, a in pairs]
        n = len(pairs)
    times = pl.Series([START + timedelta(days=d) for d in days], dtype=pl.Datetime("us"))
    zone = draw(st.sampled_from([None, None, "UTC", "Asia/Tokyo"]))
    if zone:
        times = times.dt.replace_time_zone(zone)
    columns = {"date": times, "asset": pl.Series(names, dtype=pl.String)}
    for name in ("open", "high", "low", "close", "volume", "vwap"):
        if name == "close" or draw(st.booleans()):
            columns[name] = _column(draw, n)
    for name in ("date", "asset", "close"):
        change = draw(st.sampled_from(["no"] * 12 + ["drop", "rename", "null", "text"]))
        if change == "drop":
            del columns[name]
        elif change == "rename":
            columns["Other " + name] = columns.pop(name)
        elif change == "null":
            columns[name] = pl.Series([None] * n, dtype=columns[name].dtype)
        elif change == "text":
            columns[name] = pl.Series(["?"] * n, dtype=pl.String)
    frame = pl.DataFrame(columns)
    make = draw(st.sampled_from(["polars", "polars", "lazy", "pandas", "arrow"]))
    if make == "lazy":
        return frame.lazy()
    if make == "pandas":
        return frame.to_pandas()
    return frame.to_arrow() if make == "arrow" else frame


def _check(source: object, checks: str = "raise", wide: bool = False, **options: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        try:
            make = DataFeed.from_wide if wide else DataFeed
            feed = make(source, checks=checks, **options)
        except DataError:
            return
    assert_promises(feed, checks)


@settings(max_examples=150, deadline=None)
@given(frames(), st.sampled_from(["raise", "warn"]), st.booleans())
def test_any_frame(frame: object, checks: str, wide: bool) -> None:
    _check(frame, checks, wide)


@settings(max_examples=60, deadline=None)
@given(frames(), st.booleans())
def test_any_signals_and_context(frame: object, is_context: bool) -> None:
    days = [START + timedelta(days=d) for d in range(4) for _ in "ABC"]
    prices = pl.DataFrame({"date": days, "asset": list("ABC") * 4, "close": [1.0] * 12})
    _check(prices, **{"context" if is_context else "signals": frame})


STARTS = [b"", b"PAR1", b"\x1f\x8b", b"\xff\xfe", b"date,asset,close\n"]


def _check_file(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "prices.csv"
        path.write_bytes(content)
        _check(path)
        _check(path, wide=True)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([b"", b"PAR1", b"\x1f\x8b", b"\xff\xfe", b"date,asset,close\n"]), st.binary()
)
def test_any_bytes(start: bytes, rest: bytes) -> None:
    _check_file(start + rest)


CELLS = st.one_of(
    st.sampled_from(
        [
            "2024-01-01",
            "2024-01-02",
            "01.02.2024",
            "13/01/2024",
            "2024-01-01T00:00Z",
            "A",
            "B",
            "1.5",
            *("1,5", "1.234,5", '"1,234"', "NA", "", "inf", "-1", '"', "1e400", "9999-12-31"),
            "1500-01-01",
        ]
    ),
    st.text(max_size=6),
)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([",", ";", "\t"]),
    st.lists(st.tuples(CELLS, CELLS, CELLS, CELLS), max_size=5),
    st.sampled_from(["date asset close volume", "date A close B", "date date close x", "a b c d"]),
)
def test_any_csv(separator: str, rows: list[tuple[str, ...]], header: str) -> None:
    lines = [separator.join(row) for row in [header.split(), *rows]]
    _check_file("\n".join(lines).encode("utf-8", "replace"))
