"""What a strategy sees at a bar: what there is now, the past, nothing of the future."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
import pytest

from helpers import Script, day, long_frame
from ml4t.backtest import DataFeed, Engine
from ml4t.backtest.errors import DataError
from ml4t.backtest.feed.view import BarData

NAN = float("nan")
CLOSE = {"A": [10.0, 11.0, 12.0], "B": [None, 21.0, None]}
VOLUME = {"A": [100.0, 110.0, 120.0], "B": [None, 210.0, None]}
SIGNALS = pl.DataFrame(
    {"timestamp": [day(1), day(2)], "asset": ["A", "A"], "score": [0.1, 0.2], "rank": [1.0, None]}
)


@pytest.fixture
def feed() -> DataFeed:
    return DataFeed(long_frame(CLOSE, volume=VOLUME), SIGNALS)


@pytest.fixture
def now(feed: DataFeed) -> BarData:
    return BarData(feed.bars, 1)


@pytest.fixture
def plain() -> BarData:
    """A bar of a feed without volume and signals."""
    return BarData(DataFeed(long_frame(CLOSE)).bars, 1)


def test_only_assets_with_a_bar_now(feed: DataFeed) -> None:
    first, second, third = (BarData(feed.bars, row) for row in range(3))
    assert [list(data) for data in (first, second, third)] == [["A"], ["A", "B"], ["A"]]
    assert [len(data) for data in (first, second, third)] == [1, 2, 1]
    assert "B" not in first
    assert "B" in second
    assert "C" not in second
    with pytest.raises(KeyError, match="B"):
        third["B"]
    with pytest.raises(KeyError, match="C"):
        second["C"]


def test_get_falls_back(feed: DataFeed) -> None:
    first = BarData(feed.bars, 0)
    assert first.get("A", {}).get("close") == 10.0
    assert first.get("B", {}).get("close") is None
    assert first.get("B") is None
    assert first["A"].get("vwap", 5.0) == 5.0


def test_a_bar_is_a_mapping_of_its_fields(now: BarData) -> None:
    bar = now["B"]
    assert isinstance(bar, Mapping)
    assert list(bar) == ["open", "high", "low", "close", "volume", "signals"]
    assert len(bar) == 6
    assert (bar["open"], bar["close"], bar["volume"]) == (21.0, 21.0, 210.0)
    assert type(bar["close"]) is float
    with pytest.raises(KeyError, match="vwap"):
        bar["vwap"]
    assert repr(now["B"]).startswith("Bar({'open': 21.0")


def test_signals_of_now(feed: DataFeed) -> None:
    rows = [BarData(feed.bars, row) for row in range(3)]
    # a signal that has no value now is not there
    assert [data["A"]["signals"] for data in rows] == [
        {},
        {"score": 0.1, "rank": 1.0},
        {"score": 0.2},
    ]
    assert rows[1]["B"]["signals"] == {}


def test_a_feed_without_volume_and_signals(plain: BarData) -> None:
    assert list(plain["A"]) == ["open", "high", "low", "close"]
    for key in ("volume", "signals"):
        assert key not in plain["A"]
    with pytest.raises(DataError, match="no 'volume'; it has 'open', 'high', 'low', 'close'"):
        _ = plain.volume


def test_vectors_cover_all_assets(feed: DataFeed) -> None:
    data = BarData(feed.bars, 2)
    assert data.assets == ("A", "B")
    for vector in (data.open, data.high, data.low, data.close):
        np.testing.assert_array_equal(vector, [12.0, NAN])
    np.testing.assert_array_equal(data.volume, [120.0, 0.0])
    assert data.timestamp == day(2)
    assert repr(data) == "BarData(2024-01-03 00:00:00, 1 of 2 assets)"


def test_history_ends_now(now: BarData) -> None:
    np.testing.assert_array_equal(now.history("close", 2), [[10.0, NAN], [11.0, 21.0]])
    np.testing.assert_array_equal(now.history("close", 1), [[11.0, 21.0]])
    np.testing.assert_array_equal(now.history("volume", 2), [[100.0, 0.0], [110.0, 210.0]])
    np.testing.assert_array_equal(now.history("score", 2), [[NAN, NAN], [0.1, NAN]])


def test_times_are_those_of_the_history(now: BarData) -> None:
    assert now.times(2).to_list() == [day(0), day(1)]
    assert now.times(9).to_list() == [day(0), day(1)]
    with pytest.raises(DataError, match=r"times: n_bars=0"):
        now.times(0)


def test_history_is_short_at_the_start(now: BarData, feed: DataFeed) -> None:
    assert now.history("close", 252).shape == (2, 2)
    assert BarData(feed.bars, 0).history("close", 252).shape == (1, 2)


def test_history_is_read_only(now: BarData) -> None:
    with pytest.raises(ValueError, match="read-only"):
        now.history("close", 2)[0, 0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        now.close[0] = 1.0


@pytest.mark.parametrize(
    ("field", "n_bars", "match"),
    [
        ("close", 0, "n_bars=0 must be a whole number >= 1"),
        ("close", -1, ">= 1"),
        ("vwap", 1, "no 'vwap'.*score"),
    ],
)
def test_history_errors(now: BarData, field: str, n_bars: int, match: str) -> None:
    with pytest.raises(DataError, match=match):
        now.history(field, n_bars)


def test_a_strategy_never_sees_past_now(feed: DataFeed) -> None:
    seen: list[list[float]] = []

    def look(data: Any, broker: Any) -> None:
        seen.append(data.history("close", 100)[:, 0].tolist())
        assert broker.data.timestamp == data.timestamp

    Engine(feed, Script({0: look, 1: look, 2: look})).run()
    assert seen == [[10.0], [10.0, 11.0], [10.0, 11.0, 12.0]]


def test_before_the_first_bar_there_is_nothing_to_see(feed: DataFeed) -> None:
    seen: list[float] = []

    class Peek(Script):
        def on_start(self, broker: Any) -> None:
            try:
                seen.extend(broker.data["A"].values())
            except Exception:  # whatever it raises: nothing was seen
                return

    Engine(feed, Peek()).run()
    assert seen == []
