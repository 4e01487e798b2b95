"""Context: values of now that belong to no asset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import polars as pl
import pytest

from helpers import day, long_frame
from ml4t.backtest import DataFeed, Engine, Strategy
from ml4t.backtest.errors import DataError, DataWarning

PRICES = long_frame({"A": [1.0, 2.0, 3.0]})
CONTEXT = pl.DataFrame(
    {
        "date": [day(0), day(2)],
        "vix": [15.0, None],
        "regime": ["calm", "wild"],
        "open": [True, False],
    }
)


class Listener(Strategy):
    def __init__(self) -> None:
        self.heard: list[Mapping[str, Any]] = []

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        self.heard.append(context)


def heard(context: object | None) -> list[dict[str, Any]]:
    listener = Listener()
    Engine(DataFeed(PRICES, context=context), listener).run()
    assert all(isinstance(values, Mapping) for values in listener.heard)
    return [dict(values) for values in listener.heard]


EXPECTED = [{"vix": 15.0, "regime": "calm", "open": True}, {}, {"regime": "wild", "open": False}]


@pytest.mark.parametrize(
    "frame", [CONTEXT, CONTEXT.lazy(), CONTEXT.to_pandas(), CONTEXT.to_pandas().set_index("date")]
)
def test_a_strategy_gets_the_values_of_exactly_its_bar(frame: object) -> None:
    assert heard(frame) == EXPECTED


def test_unsorted_context_is_sorted() -> None:
    with pytest.warns(DataWarning, match="context: rows were not in the order"):
        assert heard(CONTEXT.reverse()) == EXPECTED


def test_without_context_there_is_an_empty_mapping() -> None:
    assert heard(None) == [{}, {}, {}]


def test_a_strategy_cannot_change_it() -> None:
    context = DataFeed(PRICES, context=CONTEXT).context
    assert context is not None
    with pytest.raises(TypeError):
        context.at(0)["vix"] = 1.0  # type: ignore[index]


def test_a_wide_feed_takes_context() -> None:
    wide = pd.DataFrame({"A": [1.0, 2.0, 3.0]}, index=[day(t) for t in range(3)])
    context = DataFeed.from_wide(wide, context=CONTEXT).context
    assert context is not None
    assert context.at(0)["vix"] == 15.0


@pytest.mark.parametrize(
    ("frame", "match"),
    [
        (CONTEXT.drop("date"), "no column timestamp"),
        (CONTEXT.select("date"), "0 columns besides"),
        (CONTEXT.head(0), "0 rows"),
        (pl.concat([CONTEXT, CONTEXT.tail(1)]), "1 times appear more than once.*2024-01-03"),
        (CONTEXT.with_columns(pl.col("date").dt.offset_by("1h")), "2 of their times are no bar"),
        (CONTEXT.with_columns(pl.col("date").dt.replace_time_zone("UTC")), "in UTC, those of"),
        (CONTEXT.with_columns(ticker=pl.lit("A")), "'ticker' says.*signals="),
        (CONTEXT.with_columns(vix=pl.lit([1])), "'vix' has type List"),
    ],
)
def test_unusable_context(frame: pl.DataFrame, match: str) -> None:
    with pytest.raises(DataError, match=match) as caught:
        DataFeed(PRICES, context=frame)
    assert str(caught.value).startswith("context: ")
