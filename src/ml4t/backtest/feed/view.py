"""What a strategy sees of the feed at one bar: everything up to it, nothing after."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from math import isnan
from numbers import Integral

import numpy as np
import polars as pl

from ml4t.backtest.errors import DataError, listed
from ml4t.backtest.feed.bars import Bars, times_series
from ml4t.backtest.records import Floats, Ints

_FIELDS = ("open", "high", "low", "close", "volume", "vwap")


class Bar(Mapping[str, object]):
    """One asset's bar: ``bar["close"]``; a value is read from the arrays when it is asked for.

    Keys are open, high, low, close, volume and vwap (where the feed has them) and signals
    (likewise, a dict of the values that the asset has now).
    """

    __slots__ = ("_bars", "_column", "_row")

    def __init__(self, bars: Bars, row: int, column: int) -> None:
        self._bars = bars
        self._row = row
        self._column = column

    def __getitem__(self, key: str) -> object:
        """Return a value of the bar."""
        if key in _FIELDS:
            matrix: Floats | None = getattr(self._bars, key)
            if matrix is not None:
                return matrix.item(self._row, self._column)
        elif key == "signals" and self._bars.signals:
            values = {
                name: matrix.item(self._row, self._column)
                for name, matrix in self._bars.signals.items()
            }
            # NaN is not equal to itself; strings and bools have None.
            return {
                name: value
                for name, value in values.items()
                if value is not None and value == value
            }
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the keys."""
        for name in _FIELDS:
            if getattr(self._bars, name) is not None:
                yield name
        if self._bars.signals:
            yield "signals"

    def __len__(self) -> int:
        """Count the keys."""
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        """Show the values."""
        return f"Bar({dict(self)!r})"


class BarData(Mapping[str, Bar]):
    """The bars of one time by asset; only assets that have a bar now are in it.

    Nothing is computed before it is asked for. The vectors (`close` and the others) and
    `history` cover all assets of the feed, in the order of `assets`, NaN where there is no bar.
    """

    __slots__ = ("_bars", "_row")

    def __init__(self, bars: Bars, row: int) -> None:
        self._bars = bars
        self._row = row

    def __getitem__(self, asset: str) -> Bar:
        """Return an asset's bar of now."""
        column = self._bars.index.get(asset)
        if column is None or not self._has_bar(column):
            raise KeyError(asset)
        return Bar(self._bars, self._row, column)

    def is_of(self, bars: Bars, row: int) -> bool:
        """Whether these are the bars of that row."""
        return self._bars is bars and self._row == row

    def _has_bar(self, column: int) -> bool:
        return not isnan(self._bars.close.item(self._row, column))

    def __iter__(self) -> Iterator[str]:
        """Iterate over the assets that have a bar now."""
        for column in np.flatnonzero(np.isfinite(self.close)):
            yield self._bars.assets[column]

    def __len__(self) -> int:
        """Count the assets that have a bar now."""
        return int(np.isfinite(self.close).sum())

    @property
    def timestamp(self) -> datetime:
        """The time of the bars."""
        return self._bars.timestamps[self._row]

    @property
    def assets(self) -> tuple[str, ...]:
        """All assets of the feed, sorted: the labels of the vectors."""
        return self._bars.assets

    @property
    def open(self) -> Floats:
        """Opens of now, (n_assets,)."""
        return self._vector("open")

    @property
    def high(self) -> Floats:
        """Highs of now, (n_assets,)."""
        return self._vector("high")

    @property
    def low(self) -> Floats:
        """Lows of now, (n_assets,)."""
        return self._vector("low")

    @property
    def close(self) -> Floats:
        """Closes of now, (n_assets,)."""
        return self._vector("close")

    @property
    def volume(self) -> Floats:
        """Volumes of now, (n_assets,)."""
        return self._vector("volume")

    def history(self, field: str, n_bars: int) -> Floats:
        """Return the last values of a field, the present bar included, nothing later.

        Parameters
        ----------
        field : str
            "open", "high", "low", "close", "volume" or the name of a signal.
        n_bars : int
            How many bars; fewer come back where the feed has not had so many yet, and one only
            where a broker is stepped by hand. >= 1.

        Returns
        -------
        (n, n_assets) array, read-only
            The oldest first; NaN where an asset had no bar.

        Raises
        ------
        ValueError
            For a field that the feed does not have, or `n_bars` below 1.
        """
        _check_count("history", n_bars)
        values: Floats = self._matrix(field)[max(0, self._row + 1 - n_bars) : self._row + 1]
        return values

    def times(self, n_bars: int) -> pl.Series:
        """Return the times of the last `n_bars` bars, the present one included, oldest first.

        Parameters
        ----------
        n_bars : int
            As in `history`, whose rows these are the times of.

        Returns
        -------
        polars.Series of Datetime("ns")
            Naive if the prices came so, else in their zone.
        """
        _check_count("times", n_bars)
        return times_series(*moments_of(self, n_bars))

    def _vector(self, field: str) -> Floats:
        values: Floats = self._matrix(field)[self._row]
        return values

    def _matrix(self, field: str) -> Floats:
        matrix: Floats | None = (
            getattr(self._bars, field) if field in _FIELDS else self._bars.signals.get(field)
        )
        if matrix is None:
            known = [name for name in _FIELDS if getattr(self._bars, name) is not None]
            raise DataError(
                f"the feed has no {field!r}; it has {listed([*known, *self._bars.signals], 20)}"
            )
        return matrix

    def __repr__(self) -> str:
        """One line: time and number of bars."""
        return f"BarData({self.timestamp}, {len(self)} of {len(self.assets)} assets)"


def place_of(data: BarData) -> tuple[Bars, int]:
    """Return the whole feed that a view is a bar of, and the row of that bar.

    For the calendar of a schedule and for records alone: the feed holds the future.
    """
    return data._bars, data._row


def moments_of(data: BarData, n_bars: int) -> tuple[Ints, str | None]:
    """Return `BarData.times` as UTC nanoseconds, read-only, and their zone (None: naive)."""
    bars, row = data._bars, data._row
    return bars.times[max(0, row + 1 - n_bars) : row + 1], bars.time_zone


def _check_count(what: str, n_bars: object) -> None:
    if isinstance(n_bars, bool) or not isinstance(n_bars, Integral) or n_bars < 1:
        raise DataError(f"{what}: n_bars={n_bars!r} must be a whole number >= 1")
