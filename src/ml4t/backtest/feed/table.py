"""Table: an input laid out as matrices, before it becomes bars."""

from __future__ import annotations

from typing import Any, NamedTuple

from numpy.typing import NDArray

from ml4t.backtest.records import Ints

TIME_COLUMNS = ("timestamp", "date", "datetime")
#: How the index of a pandas frame is called in a file, where it had no name.
INDEX_COLUMNS = ("", "index", "unnamed: 0", "__index_level_0__")
ASSET_COLUMNS = ("symbol", "asset", "ticker")
PRICE_COLUMNS = ("open", "high", "low", "close", "volume", "vwap")


class Numbers(NamedTuple):
    """The columns of numbers that a long frame is read for, and the one it cannot do without."""

    known: tuple[str, ...]
    needed: str


PRICES = Numbers(PRICE_COLUMNS, "close")


class Table(NamedTuple):
    """Matrices (n_bars, n_assets) by column name, with their labels.

    Numbers are float64, NaN where there is none; strings and bools are objects, None likewise.
    """

    times: Ints
    time_zone: str | None
    assets: tuple[str, ...]
    columns: dict[str, NDArray[Any]]
