"""What a provider is given to fit on: the past of the assets that have enough of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from ml4t.backtest.errors import ConfigError, InputError, MissingExtraError, nearest, shown
from ml4t.backtest.feed.bars import times_series
from ml4t.backtest.feed.view import BarData, moments_of
from ml4t.backtest.records import Floats, Ints

VALUES = ("prices", "returns", "log_returns")
FRAMES = ("pandas", "polars")


class Past(NamedTuple):
    """The bars up to now of the assets that can be fitted.

    Attributes
    ----------
    times : (n_rows,) int64
        UTC nanoseconds; the last one is now.
    time_zone : str or None
        None: the times are naive.
    assets : tuple of str
        Sorted by name.
    values : (n_rows, n_assets) float64
        Prices, returns or log returns; complete.
    """

    times: Ints
    time_zone: str | None
    assets: tuple[str, ...]
    values: Floats

    def to_polars(self) -> pl.DataFrame:
        """Return a wide frame: ``timestamp``, and a column an asset."""
        times = times_series(self.times, self.time_zone)
        return pl.DataFrame([times, *pl.DataFrame(self.values, list(self.assets), orient="row")])

    def to_pandas(self) -> Any:
        """Return a wide frame indexed by time."""
        # An extra, and slow to import.
        import pandas as pd  # noqa: PLC0415

        index = pd.DatetimeIndex(self.times.view("M8[ns]"), name="timestamp")
        if self.time_zone is not None:
            index = index.tz_localize("UTC").tz_convert(self.time_zone)
        # A view: whoever names the columns names those of one frame.
        columns = _pandas_labels(self.assets).view()
        return pd.DataFrame(self.values, index=index, columns=columns, copy=False)


@lru_cache(maxsize=16)
def _pandas_labels(assets: tuple[str, ...]) -> Any:
    """Return names as a pandas index; to make one takes as long as the rest of a frame."""
    import pandas as pd  # noqa: PLC0415

    return pd.Index(list(assets))


class Selection(NamedTuple):
    """What can be fitted now, and what cannot.

    Attributes
    ----------
    past : Past or None
        None: there is no decision yet, or none now.
    problem : str
        Why there is none.
    excluded : dict of asset to str
        The reason of each asset that is not in `past`.
    """

    past: Past | None
    problem: str
    excluded: dict[str, str]


@dataclass(frozen=True)
class HistoryRules:
    """How much of the past a provider is given, and which assets are in it.

    Parameters
    ----------
    lookback : int
        Rows of the history. Returns need one bar more than that.
    values : {"prices", "returns", "log_returns"}
        Returns are those between closes.
    frame : {"pandas", "polars"}
        A pandas frame has its times in the index, a polars frame in a column ``timestamp``.
    min_history : int, optional
        Rows that an asset must have, counted from its first bar among the last `lookback`. None:
        `lookback`, so that the history always has that many rows. With less it begins where the
        youngest of its assets does.
    max_missing : int
        Bars without a price that an asset may have among these; its last price stands in for
        them.

    Raises
    ------
    ValueError
        For numbers that are no integers or are out of range, and for unknown choices.
    ImportError
        If `frame` is "pandas", which is not installed.
    """

    lookback: int
    values: str = "returns"
    frame: str = "pandas"
    min_history: int | None = None
    max_missing: int = 0

    def __post_init__(self) -> None:
        """Check the numbers and the choices."""
        least = 1 if self.values == "prices" else 2
        _check_whole("lookback", self.lookback, least, None)
        if self.min_history is not None:
            _check_whole("min_history", self.min_history, least, self.lookback)
        _check_whole("max_missing", self.max_missing, 0, self.n_rows - 1)
        for name, known in (("values", VALUES), ("frame", FRAMES)):
            choice = getattr(self, name)
            if choice not in known:
                raise ConfigError(
                    f"history: {name}={shown(choice)} is unknown{nearest(choice, known, most=1)}; "
                    f"use one of {', '.join(known)}"
                )
        if self.frame == "pandas" and find_spec("pandas") is None:
            raise MissingExtraError(
                'history: frame="pandas" needs pandas; run: pip install "ml4t-backtest[pandas]", '
                'or use frame="polars"'
            )

    @property
    def n_rows(self) -> int:
        """The least number of rows."""
        return self.lookback if self.min_history is None else self.min_history

    def select(self, data: object) -> Selection:
        """Return the past of all assets that have enough of it; nothing later than now.

        Parameters
        ----------
        data : BarData
            What `Strategy.on_data` got.

        Raises
        ------
        ValueError
            For other mappings, which have no past.
        """
        if not isinstance(data, BarData):
            raise InputError(
                f"history: a {type(data).__name__} has no past; pass the data that "
                "Strategy.on_data got"
            )
        extra = 0 if self.values == "prices" else 1
        n_bars, least = self.lookback + extra, self.n_rows + extra
        # Before the first row there may be the price that stands in for its missing one.
        closes = data.history("close", n_bars + self.max_missing)
        before = max(len(closes) - n_bars, 0)
        if len(closes) - before < least:
            problem = (
                f"{len(closes) - before} bars, of which {least} are needed "
                f"({self.n_rows} rows of {self.values.replace('_', ' ')})"
            )
            return Selection(None, problem, {})
        there = closes > 0.0  # False for NaN
        if there.all():  # as nearly always; the same as below with less work
            prices = np.array(closes[before:], order="F")
            return Selection(self._past(prices, data.assets, data), "", {})
        filled = _filled(closes, there)[before:]
        there = there[before:]
        known = filled > 0.0
        n_known = known.sum(axis=0)
        n_missing = n_known - (there & known).sum(axis=0)
        eligible = there[-1] & (n_known >= least) & (n_missing <= self.max_missing)
        excluded: dict[str, str] = {}
        for i in np.flatnonzero(~eligible).tolist():
            if not there[-1, i]:
                reason = "no bar now"
            elif n_known[i] < least:
                reason = f"{n_known[i]} bars, of which {least} are needed"
            else:
                reason = f"{n_missing[i]} bars missing (max_missing={self.max_missing})"
            excluded[data.assets[i]] = reason
        columns = np.flatnonzero(eligible)
        if not columns.size:
            return Selection(None, "no asset has enough history", excluded)
        # An asset is known from its first bar on, so the latest start is where all are complete.
        start = int(len(filled) - n_known[columns].min())
        prices = np.array(filled[start:, columns], order="F")
        assets = tuple(data.assets[i] for i in columns.tolist())
        return Selection(self._past(prices, assets, data), "", excluded)

    def to_frame(self, past: Past) -> Any:
        """Return the past as the frame that was asked for."""
        return past.to_pandas() if self.frame == "pandas" else past.to_polars()

    def _past(self, prices: Floats, assets: tuple[str, ...], data: BarData) -> Past:
        """Return what is made of prices; they are no view, since a function may write into them.

        An asset's values lie together: the order in memory can change the last bit of a fit.
        """
        values = prices
        if self.values != "prices":
            ratio = prices[1:] / prices[:-1]
            values = ratio - 1.0 if self.values == "returns" else np.log(ratio)
        return Past(*moments_of(data, len(values)), assets, values)


def _filled(closes: Floats, there: Any) -> Floats:
    """Carry prices forward; NaN before the first."""
    rows = np.arange(len(closes))[:, None]
    last = np.maximum.accumulate(np.where(there, rows, -1), axis=0)
    carried: Floats = np.where(
        last < 0, np.nan, np.take_along_axis(closes, np.maximum(last, 0), axis=0)
    )
    return carried


def _check_whole(name: str, value: object, least: int, most: int | None) -> None:
    is_whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not is_whole or value < least or (most is not None and value > most):  # type: ignore[operator]
        until = "or more" if most is None else f"to {most}"
        raise ConfigError(f"history: {name}={shown(value)} must be an integer, {least} {until}")
