"""Copies with another future: the past, the times and the last bars are those of the original."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

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
        # Not by rounding either, which the check of the feed would let pass.
        assert (made.low <= np.fmin(made.open, made.close))[NOW + 1 :][there].all()
        assert (made.high >= np.fmax(made.open, made.close))[NOW + 1 :][there].all()
        assert made.volume is not None
        assert was.volume is not None
        changed.append((made.volume[NOW + 1 :] != was.volume[NOW + 1 :])[there].mean())
    # Drawn from 40 bars, it is the same one now and then.
    assert np.mean(changed) > 0.9


def test_the_prices_of_a_bar_change_apart(source: Original) -> None:
    is_up, is_wider = [], []
    for feed in feeds(source, "values"):
        made, was = feed.bars, source.bars
        there = np.isfinite(was.close)
        there[: NOW + 1] = False
        up = (made.close > made.open)[there]
        # In the frame every close is the high and every open the low.
        assert (was.close > was.open)[there].all()
        is_up.append(up.mean())
        is_wider.append((made.high / made.low > was.high / was.low)[there].mean())
        # What is the same number in the original need not be afterwards.
        assert (made.high > made.close)[there].all()
    # 69 bars ten times: a half of them up would be 0.5 within 0.06 (three standard errors).
    assert 0.44 < np.mean(is_up) < 0.56
    assert 0.1 < np.mean(is_wider) < 0.9


def test_other_prices_of_a_bar() -> None:
    """A vwap stays in its bar, an adjusted close changes; missing prices stay missing."""
    prices = frame().with_columns(
        pl.when(pl.col("asset") == "A").then(pl.col("open")).alias("OPEN"),
        vwap=(pl.col("high") + pl.col("low")) / 2,
        adj_close=pl.col("close") / 2,
    )
    prices = prices.drop("open")
    source = original(prices)
    made = source.with_values(int(source.bars.times[NOW]), np.random.default_rng(3))
    now = source.bars.timestamps[NOW]
    assert made.filter(pl.col("timestamp") <= now).equals(prices.filter(pl.col("timestamp") <= now))
    later, was = (frame.filter(pl.col("timestamp") > now) for frame in (made, prices))
    assert later["OPEN"].is_null().equals(was["OPEN"].is_null())
    assert (later["vwap"] >= later["low"]).all()
    assert (later["vwap"] <= later["high"]).all()
    for name in ("vwap", "adj_close"):
        ratio = (later[name] / later["close"]) / (was[name] / was["close"])
        assert ((ratio - 1.0).abs() > 1e-9).mean() > 0.95


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


# --- how copies lie in memory --------------------------------------------------------------------

pd = pytest.importorskip("pandas")


def wide() -> Any:
    closes = frame().pivot(on="asset", index="timestamp", values="close").to_pandas()
    return closes.set_index("timestamp")


def long() -> Any:
    made = frame().to_pandas()
    made["sector"] = pd.Categorical(np.where(made["asset"] == "A", "x", "y"))
    made["note"] = made["asset"].astype(object)
    return made


def piecewise() -> Any:
    """A frame that was made column by column, which pandas keeps apart."""
    made = wide()
    for name in made:
        made[name] = made[name] * 2.0
    return made


def two_levels() -> Any:
    closes = wide().ffill().bfill()
    return pd.concat({"Close": closes, "Volume": (closes * 100).astype(int)}, axis=1)


PANDAS: dict[str, Any] = {
    "wide": wide,
    "wide by columns": lambda: pd.DataFrame(
        np.asfortranarray(wide()), index=wide().index, columns=wide().columns
    ),
    "wide piecewise": piecewise,
    "wide of single precision": lambda: wide().astype("float32"),
    "wide of two makes": lambda: wide().astype({"A": "float32", "B": "Float64"}),
    "two levels": two_levels,
    "long": long,
    "long of part": lambda: long()[long()["asset"] != "C"],
    "long with times as index": lambda: long().set_index("timestamp"),
    "long with an index": lambda: long().set_index(["timestamp", "asset"]),
}


def layout(prices: Any) -> list[Any]:
    """What decides in which order numbers are added up."""
    blocks = [block.values for block in prices._mgr.blocks]
    described: list[Any] = [
        (type(values), values.dtype, values.ndim, np.asarray(values).flags.c_contiguous)
        for values in blocks
    ]
    labels = [type(prices.index), prices.index.names, prices.columns.tolist()]
    return [*described, *labels, [block.mgr_locs.as_array.tolist() for block in prices._mgr.blocks]]


@pytest.mark.parametrize("form", PANDAS)
def test_copies_of_pandas_frames_lie_alike(form: str) -> None:
    prices = PANDAS[form]()
    source, rng = original(prices), np.random.default_rng(1)
    time = int(source.bars.times[NOW])
    base, values, rows = (
        source.copy(),
        source.with_values(time, rng),
        source.without_rows(time, rng),
    )
    assert layout(values) == layout(base)
    assert layout(rows) == layout(base)
    if form.startswith("wide") and "makes" not in form:
        # A frame of one kind of numbers is one block, as pandas has it after a copy.
        assert len(base._mgr.blocks) == 1
    pd.testing.assert_frame_equal(base, prices)
    pd.testing.assert_index_equal(values.index, prices.index)
    assert not values.equals(base)
    assert not rows.equals(base)


def test_rows_of_a_pandas_frame_are_numbered_anew() -> None:
    source = original(long())
    rows = source.without_rows(int(source.bars.times[NOW]), np.random.default_rng(1))
    assert len(rows) < len(long())
    assert rows.index.tolist() == list(range(len(rows)))


@pytest.mark.parametrize("form", ["wide", "long"])
def test_copies_of_polars_frames_lie_alike(form: str) -> None:
    prices = frame()
    if form == "wide":
        prices = prices.pivot(on="asset", index="timestamp", values="close")
    parts = [prices[:20], prices[20:]]
    source, rng = original(pl.concat(parts, rechunk=False)), np.random.default_rng(1)
    time = int(source.bars.times[NOW])
    base = source.copy()
    assert base.equals(prices)
    for made in (source.with_values(time, rng), source.without_rows(time, rng)):
        assert made.schema == base.schema
        assert made.n_chunks("all") == base.n_chunks("all") == [1] * base.width
        assert not made.equals(base)


def test_numbers_that_cannot_be_missing_are_nothing() -> None:
    source = original(two_levels())
    time = int(source.bars.times[NOW])
    made = source.without_rows(time, np.random.default_rng(1))
    is_gone = made["Close"].isna().to_numpy()
    assert is_gone.any()
    np.testing.assert_array_equal(made["Volume"].to_numpy() == 0, is_gone)
