"""What a provider is given of the past, and which assets are not in it."""

from __future__ import annotations

import math
import pickle
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from helpers import Values, day, feed_of
from ml4t.backtest.errors import ConfigError, InputError
from ml4t.backtest.feed.datafeed import DataFeed
from ml4t.backtest.feed.view import BarData
from ml4t.backtest.optimizers.history import HistoryRules, Past


def selected(rules: HistoryRules, close: Values, bar: int) -> Any:
    return rules.select(BarData(feed_of(close).bars, bar))


def past_of(rules: HistoryRules, close: Values, bar: int) -> Past:
    past = selected(rules, close, bar).past
    assert isinstance(past, Past)
    return past


def test_prices_are_the_last_rows_up_to_now() -> None:
    past = past_of(HistoryRules(2, "prices"), {"A": [1, 2, 3, 4], "B": [5, 6, 7, 8]}, 2)
    assert past.assets == ("A", "B")
    assert past.values.tolist() == [[2, 6], [3, 7]]
    assert past.to_polars()["timestamp"].to_list() == [day(1), day(2)]


def test_returns_need_one_bar_more() -> None:
    rules = HistoryRules(2)
    close = {"A": [10.0, 20.0, 15.0]}
    assert selected(rules, close, 1).past is None
    assert "2 bars, of which 3 are needed" in selected(rules, close, 1).problem
    past = past_of(rules, close, 2)
    assert past.values.tolist() == [[1.0], [-0.25]]
    assert past.to_polars()["timestamp"].to_list() == [day(1), day(2)]


def test_log_returns() -> None:
    past = past_of(HistoryRules(2, "log_returns"), {"A": [1.0, math.e, math.e**3]}, 2)
    assert past.values.ravel() == pytest.approx([1.0, 2.0], abs=1e-15)


def test_an_asset_that_starts_late_ends_early_or_has_gaps_is_excluded_with_the_reason() -> None:
    close: Values = {
        "GAP": [1, None, 3, 4],
        "LATE": [None, 2, 3, 4],
        "OK": [1, 2, 3, 4],
        "OVER": [1, 2, 3, None],
    }
    found = selected(HistoryRules(4, "prices"), close, 3)
    assert found.past.assets == ("OK",)
    assert found.excluded == {
        "GAP": "1 bars missing (max_missing=0)",
        "LATE": "3 bars, of which 4 are needed",
        "OVER": "no bar now",
    }


def test_a_missing_bar_has_the_last_price() -> None:
    close: Values = {"GAP": [1, None, 3, 4], "OK": [1, 2, 3, 4]}
    past = past_of(HistoryRules(4, "prices", max_missing=1), close, 3)
    assert past.values[:, 0].tolist() == [1, 1, 3, 4]
    # The first row is a gap: the price before the window stands in for it.
    past = past_of(HistoryRules(3, "prices", max_missing=1), close, 3)
    assert past.values[:, 0].tolist() == [1, 3, 4]


def test_the_history_begins_where_the_youngest_asset_does() -> None:
    close: Values = {"LATE": [None, None, 3, 4], "OK": [1, 2, 3, 4], "NEW": [None, None, None, 4]}
    found = selected(HistoryRules(4, "prices", min_history=2), close, 3)
    assert found.past.assets == ("LATE", "OK")
    assert found.past.values.tolist() == [[3, 3], [4, 4]]
    assert found.excluded == {"NEW": "1 bars, of which 2 are needed"}


def test_no_asset_at_all_is_no_decision() -> None:
    found = selected(HistoryRules(2, "prices"), {"A": [1, None, 3], "B": [None, 2, 3]}, 1)
    assert found.past is None
    assert found.problem == "no asset has enough history"
    assert set(found.excluded) == {"A", "B"}


def test_frames_have_times_and_names() -> None:
    rules = HistoryRules(2, "prices")
    past = past_of(rules, {"A": [1, 2], "B": [3, 4]}, 1)
    times = pd.DatetimeIndex([day(0), day(1)], name="timestamp").as_unit("ns")
    expected = pd.DataFrame({"A": [1.0, 2.0], "B": [3.0, 4.0]}, index=times)
    pd.testing.assert_frame_equal(rules.to_frame(past), expected, check_freq=False)
    plain = HistoryRules(2, "prices", "polars").to_frame(past)
    assert plain.columns == ["timestamp", "A", "B"]
    assert plain["timestamp"].to_list() == [day(0), day(1)]
    assert plain["B"].to_list() == [3.0, 4.0]


def test_a_pandas_frame_is_in_the_zone_of_the_feed() -> None:
    days = [datetime(2024, 1, 2) + timedelta(days=i) for i in range(2)]
    frame = pl.DataFrame({"timestamp": days, "asset": "A", "close": [1.0, 2.0]}).with_columns(
        pl.col("timestamp").dt.replace_time_zone("America/New_York")
    )
    past = HistoryRules(2, "prices").select(BarData(DataFeed(frame).bars, 1)).past
    assert past is not None
    index = past.to_pandas().index
    assert str(index.tz) == "America/New_York"
    assert [str(time)[:19] for time in index] == ["2024-01-02 00:00:00", "2024-01-03 00:00:00"]


def test_a_function_cannot_write_into_the_feed() -> None:
    feed = feed_of({"A": [1, 2, 3]})
    rules = HistoryRules(3, "prices")
    past = rules.select(BarData(feed.bars, 2)).past
    assert past is not None
    frame = past.to_pandas()
    frame.iloc[:, :] = 99.0
    assert feed.bars.close.tolist() == [[1], [2], [3]]


def test_a_function_that_names_the_columns_names_its_own() -> None:
    past = past_of(HistoryRules(2, "prices"), {"A": [1, 2], "B": [3, 4]}, 1)
    past.to_pandas().columns.name = "mine"
    past.to_pandas().index.name = "mine"
    assert past.to_pandas().columns.name is None
    assert past.to_pandas().index.name == "timestamp"


@pytest.mark.parametrize("values", ["prices", "returns", "log_returns"])
@pytest.mark.parametrize("has_gap", [True, False])
def test_values_of_an_asset_lie_together(values: str, has_gap: bool) -> None:
    """Whether or not assets are left out, here and in another process: sums must not differ."""
    close: Values = {"A": [1, 2, 4], "B": [3, 4, 5], "C": [None if has_gap else 2, 2, 3]}
    past = past_of(HistoryRules(2, values, max_missing=0), close, 2)
    if values == "prices" or not has_gap:
        assert past.assets == ("A", "B", "C")
    for each in (past, pickle.loads(pickle.dumps(past))):
        assert each.values.flags.f_contiguous
        assert not each.values.flags.c_contiguous
        assert each.values.flags.writeable


@pytest.mark.parametrize(
    "settings",
    [
        {"lookback": 0},
        {"lookback": 1},  # one return has no variance
        {"lookback": True},
        {"lookback": 2.5},
        {"lookback": 5, "min_history": 6},
        {"lookback": 5, "min_history": 1},
        {"lookback": 5, "max_missing": -1},
        {"lookback": 5, "max_missing": 5},
        {"lookback": 5, "values": "return"},
        {"lookback": 5, "frame": "arrow"},
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"history: {list(settings)[-1]}="):
        HistoryRules(**settings)


def test_data_without_a_past_is_refused() -> None:
    with pytest.raises(InputError, match="a dict has no past"):
        HistoryRules(2).select({"A": {"close": 1.0}})


def test_what_comes_later_changes_nothing() -> None:
    rng = np.random.default_rng(5)
    prices = rng.uniform(1.0, 2.0, (30, 3))
    prices[rng.random(prices.shape) < 0.1] = np.nan
    changed = prices.copy()
    changed[20:] = rng.uniform(5.0, 9.0, (10, 3))

    def found(values: Any) -> Any:
        close = {
            name: [None if x != x else x for x in values[:, i]] for i, name in enumerate("ABC")
        }
        return selected(HistoryRules(10, max_missing=3, min_history=4), close, 19)

    first, second = found(prices), found(changed)
    assert first.excluded == second.excluded
    assert first.past.assets == second.past.assets
    assert np.array_equal(first.past.values, second.past.values)
