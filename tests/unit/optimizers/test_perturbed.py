"""Copies with another future: the past, the times and the last bars are those of the original."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from ml4t.backtest import DataFeed
from ml4t.backtest.optimizers.perturbed import Original, original

N_BARS = 40
#: After this bar all is another one.
NOW = 15


def frame() -> pl.DataFrame:
    """B lists at bar 20, C ends at bar 30, A has every bar."""
    rng = np.random.default_rng(5)
    start = datetime(2024, 1, 1)
    rows = []
    for t in range(N_BARS):
        for asset in "ABC":
            if (asset == "B" and t < 20) or (asset == "C" and t > 30):
                continue
            low, high = np.sort(rng.uniform(90.0, 110.0, 2))
            rows.append(
                {
                    "timestamp": start + timedelta(days=t),
                    "asset": asset,
                    "open": low,
                    "high": high,
                    "low": low,
                    "close": high,
                    "volume": int(rng.integers(1, 10**9)),
                }
            )
    return pl.DataFrame(rows)


@pytest.fixture(params=["frame", "feed"])
def source(request: pytest.FixtureRequest) -> Original:
    return original(frame() if request.param == "frame" else DataFeed(frame()))


def feeds(source: Original, change: str) -> list[DataFeed]:
    make = source.with_values if change == "values" else source.without_rows
    time = int(source.bars.times[NOW])
    return [source.feed_of(make(time, np.random.default_rng(i)), None) for i in range(10)]


FIELDS = ("open", "high", "low", "close", "volume")


@pytest.mark.parametrize("change", ["values", "rows"])
def test_past_times_and_ends_stay(source: Original, change: str) -> None:
    bars = source.bars
    for feed in feeds(source, change):
        np.testing.assert_array_equal(feed.bars.times, bars.times)
        np.testing.assert_array_equal(feed.bars.last_bars, [39, 39, 30])
        assert feed.bars.assets == ("A", "B", "C")
        for name in FIELDS:
            made, was = getattr(feed.bars, name), getattr(bars, name)
            np.testing.assert_array_equal(made[: NOW + 1], was[: NOW + 1])


def test_every_later_price_is_another_and_bars_stay_whole(source: Original) -> None:
    changed = []
    for feed in feeds(source, "values"):
        made, was = feed.bars, source.bars
        there = np.isfinite(was.close[NOW + 1 :])
        np.testing.assert_array_equal(np.isfinite(made.close[NOW + 1 :]), there)
        for name in FIELDS[:4]:
            differs = getattr(made, name)[NOW + 1 :] != getattr(was, name)[NOW + 1 :]
            assert differs[there].all()
        # The feed has checked high and low; here the ratio says that one factor was used.
        np.testing.assert_allclose((made.high / made.low)[15:], (was.high / was.low)[15:])
        assert made.volume is not None
        assert was.volume is not None
        changed.append((made.volume[NOW + 1 :] != was.volume[NOW + 1 :])[there].mean())
    # Drawn from 40 bars, it is the same one now and then.
    assert np.mean(changed) > 0.9


def test_some_later_bars_are_missing_but_never_all_of_a_time(source: Original) -> None:
    missing = np.zeros(3)
    for feed in feeds(source, "rows"):
        is_there, was_there = np.isfinite(feed.bars.close), np.isfinite(source.bars.close)
        assert not (is_there & ~was_there).any()
        assert is_there.any(axis=1).all()
        assert (was_there & ~is_there).any()
        np.testing.assert_array_equal(
            feed.bars.close[is_there], source.bars.close[is_there], strict=True
        )
        missing += (was_there & ~is_there).sum(axis=0)
    assert (missing > 0).all()


def test_a_feed_of_one_asset_loses_no_bar() -> None:
    alone = original(frame().filter(pl.col("asset") == "A"))
    for feed in feeds(alone, "rows"):
        assert np.isfinite(feed.bars.close).all()


def test_missing_is_said_as_the_frame_says_it() -> None:
    days = [datetime(2024, 1, 1) + timedelta(days=t) for t in range(N_BARS)]
    for nothing in (None, float("nan")):
        columns = {"timestamp": days, "A": [1.0] * N_BARS, "B": [nothing] + [2.0] * (N_BARS - 1)}
        source = original(pl.DataFrame(columns))
        time = int(source.bars.times[NOW])
        copies = [source.without_rows(time, np.random.default_rng(i)) for i in range(10)]
        nulls = sum(copy["B"].null_count() for copy in copies)
        nans = sum(copy["B"].is_nan().sum() for copy in copies)
        # One of each ten is the first row.
        assert (nulls > 10, nans > 10) == (nothing is None, nothing is not None)
