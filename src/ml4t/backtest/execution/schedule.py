"""WeightSchedule: target weights by decision time and asset."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ml4t.backtest.errors import WeightsError, listed
from ml4t.backtest.execution.alignment import AlignedSchedule, bars_of, on_columns
from ml4t.backtest.execution.schedule_input import Clock, read_matrix, read_times, read_weights
from ml4t.backtest.execution.weight_readers import WHAT, read_names
from ml4t.backtest.execution.weights import check_known
from ml4t.backtest.feed.bars import Bars, times_series
from ml4t.backtest.feed.checks import time_text
from ml4t.backtest.feed.signals import bar_numbers
from ml4t.backtest.records import Floats, Ints


@dataclass(frozen=True, init=False, eq=False, repr=False)
class WeightSchedule:
    """Target weights by decision time and asset. It never changes.

    Parameters
    ----------
    times : sequence of datetimes, (n_decisions,)
        A list, numpy or pandas array, index or series, in any order. The decision is made at the
        close of the bar of that time.
    assets : sequence of str, (n_assets,)
        In any order.
    matrix : (n_decisions, n_assets) numbers
        Fractions of equity. NaN: not in the targets then (see `RebalanceConfig.unmentioned`);
        0.0: to be closed. A row that is all NaN asks for nothing: no rebalance at that time.

    Attributes
    ----------
    times : (n_decisions,) int64
        Nanoseconds since 1970-01-01 UTC, increasing.
    time_zone : str or None
        None: times were naive and stay so.
    assets : tuple of str
        Sorted by name.
    matrix : (n_decisions, n_assets) float64, C-contiguous, read-only
        In the order of `times` and `assets`.
    decides : (n_decisions,) bool, read-only
        Whether the row holds a number.

    Raises
    ------
    ValueError
        For a matrix of another shape, an infinity or what is no number (its time and asset are
        named), a name that is no string or is there twice, two rows for one time, times of mixed
        zones, and a schedule without a single weight.

    See Also
    --------
    WeightSchedule.from_frame : from frames, files, and dicts by time.

    Examples
    --------
    >>> from datetime import datetime
    >>> schedule = WeightSchedule(
    ...     [datetime(2024, 2, 29), datetime(2024, 1, 31)],
    ...     ["MSFT", "AAPL"],
    ...     [[0.5, 0.25], [0.6, float("nan")]],
    ... )
    >>> schedule
    WeightSchedule(n_decisions=2, n_assets=2, 2024-01-31 00:00:00 to 2024-02-29 00:00:00)
    >>> for time, weights in schedule.rows():
    ...     print(time.date(), weights)
    2024-01-31 {'MSFT': 0.6}
    2024-02-29 {'AAPL': 0.25, 'MSFT': 0.5}
    """

    times: Ints
    time_zone: str | None
    assets: tuple[str, ...]
    matrix: Floats
    decides: NDArray[np.bool_]

    def __init__(self, times: object, assets: Sequence[str], matrix: object) -> None:
        clock, names = read_times(times), read_names(assets)
        self._set(clock, names, read_matrix(matrix, clock, names))

    def _set(self, clock: Clock, assets: tuple[str, ...], matrix: Floats) -> None:
        """Sort, check, lock and keep; the arrays must be the schedule's own."""
        times, zone = clock
        if (np.diff(times) <= 0).any():
            order = np.argsort(times, kind="stable")
            times, matrix = times[order], matrix[order]
            twice = np.flatnonzero(np.diff(times) == 0)
            if twice.size:
                time = time_text(Clock(times, zone), int(twice[0]))
                raise WeightsError(f"{WHAT}: there are two rows for {time}; keep one")
        columns = sorted(range(len(assets)), key=assets.__getitem__)
        if columns != list(range(len(assets))):
            assets = tuple(assets[i] for i in columns)
            matrix = matrix[:, columns]
        matrix = np.ascontiguousarray(matrix)
        if np.isinf(matrix).any():
            row, column = (int(i) for i in np.argwhere(np.isinf(matrix))[0])
            raise WeightsError(
                f"{WHAT}: {time_text(Clock(times, zone), row)} {assets[column]} is "
                f"{matrix[row, column]}; pass a number, or NaN for what is not in the targets"
            )
        decides = ~np.isnan(matrix).all(axis=1)
        if not decides.any():
            raise WeightsError(
                f"{WHAT}: of {times.size} rows and {len(assets)} assets not one weight is a "
                "number, so there is nothing to decide"
            )
        for array in (times, matrix, decides):
            array.flags.writeable = False
        found = (times, zone, assets, matrix, decides)
        for name, value in zip(self.__dataclass_fields__, found, strict=True):
            object.__setattr__(self, name, value)

    @classmethod
    def _of(cls, clock: Clock, assets: tuple[str, ...], matrix: Floats) -> WeightSchedule:
        """Make one of arrays that nobody else writes to."""
        made = cls.__new__(cls)
        made._set(clock, assets, matrix)
        return made

    @classmethod
    def from_frame(
        cls, frame: object, time_column: str | None = None, asset_column: str | None = None
    ) -> WeightSchedule:
        """Read a frame, a file, or a dict by time; names, zones and files as `DataFeed` does.

        Parameters
        ----------
        frame : dataframe, str or Path, or mapping of time to weights
            A polars (eager or lazy), pandas or pyarrow frame, or the path of a parquet or csv
            file. Wide: a column ``timestamp`` (or ``date``, ``datetime``; the index of a pandas
            frame), and a column of weights for each asset. Long, if it has a column ``symbol``
            (or ``asset``, ``ticker``): that, the times, and ``weight``; others are not read.
            Null and NaN: not in the targets. The values of a mapping are whatever `as_weights`
            takes; they name at least one asset.
        time_column, asset_column : str, optional
            Names of the columns where they are others.

        Returns
        -------
        WeightSchedule

        Raises
        ------
        ValueError
            As for `WeightSchedule` and for `DataFeed`, strings and bools among the weights too.

        Warns
        -----
        DataWarning
            If the rows of a frame were not in the order of time; they are sorted.

        Examples
        --------
        >>> import polars as pl
        >>> from datetime import date, datetime
        >>> days = [date(2024, 1, 31), date(2024, 2, 29)]
        >>> wide = pl.DataFrame({"date": days, "AAPL": [0.6, 0.5], "MSFT": [None, 0.5]})
        >>> long = pl.DataFrame(
        ...     {
        ...         "date": [days[0], days[1], days[1]],
        ...         "asset": ["AAPL", "AAPL", "MSFT"],
        ...         "weight": [0.6, 0.5, 0.5],
        ...     }
        ... )
        >>> by_time = {days[0]: {"AAPL": 0.6}, days[1]: {"AAPL": 0.5, "MSFT": 0.5}}
        >>> schedule = WeightSchedule.from_frame(wide)
        >>> schedule == WeightSchedule.from_frame(long) == WeightSchedule.from_frame(by_time)
        True
        """
        return cls._of(*read_weights(frame, time_column, asset_column))

    @classmethod
    def concat(cls, schedules: Iterable[WeightSchedule]) -> WeightSchedule:
        """Put schedules of different times together; ``a + b`` does it with two.

        An asset that one of them does not have is not in the targets at its times.

        Raises
        ------
        ValueError
            For a time that is in two of them, for schedules of different zones, and for none.
        """
        parts = list(schedules)
        strange = [type(part).__name__ for part in parts if not isinstance(part, WeightSchedule)]
        if strange or not parts:
            raise WeightsError(
                f"{WHAT}: concat takes one or more schedules, not {listed(strange) or 'none'}; "
                "make them with WeightSchedule.from_frame"
            )
        zones = list(dict.fromkeys(part.time_zone for part in parts))
        if len(zones) > 1:
            raise WeightsError(
                f"{WHAT}: one schedule is in {zones[0] or 'no zone'}, another in "
                f"{zones[1] or 'no zone'}; make them agree"
            )
        assets = tuple(sorted(set().union(*(part.assets for part in parts))))
        matrix = np.concatenate([on_columns(part.matrix, part.assets, assets) for part in parts])
        times = np.concatenate([part.times for part in parts])
        return cls._of(Clock(times, zones[0]), assets, matrix)

    def __add__(self, other: object) -> WeightSchedule:
        """Return both together; see `concat`."""
        if not isinstance(other, WeightSchedule):
            return NotImplemented
        return self.concat([self, other])

    def shift(self, n: int, timestamps: object | None = None) -> WeightSchedule:
        """Move every row to a later time, to act later than the signal was known.

        Parameters
        ----------
        n : int
            How many rows, or how many of the `timestamps`, later; 0 or more.
        timestamps : sequence of datetimes, optional
            Such as ``feed.timestamps``: each row moves `n` of them later, and a row that is all
            NaN is left out. None: each row moves to the time of the row `n` rows later (rows that
            are all NaN count), as ``DataFrame.shift`` of pandas does.

        Returns
        -------
        WeightSchedule
            Without the rows that fall off the end.

        Raises
        ------
        ValueError
            For an `n` that is no integer or is negative (weights would be used before they were
            known), a time that is not among the timestamps, other zones, and if no row is left.

        Examples
        --------
        >>> from datetime import datetime
        >>> days = [datetime(2024, 1, day) for day in (1, 2, 3)]
        >>> schedule = WeightSchedule([days[0]], ["A"], [[0.5]])
        >>> list(schedule.shift(1, timestamps=days).rows())
        [(datetime.datetime(2024, 1, 2, 0, 0), {'A': 0.5})]
        """
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 0:
            raise WeightsError(
                f"{WHAT}: shift by n={n!r}; n must be an integer of 0 or more, since weights must "
                "not be used before they are known"
            )
        if timestamps is None:
            times, matrix = self.times[n:], self.matrix[: len(self.times[n:])]
        else:
            found = read_times(timestamps)
            bars = Clock(np.unique(found.times), found.time_zone)
            rows = np.flatnonzero(self.decides)
            moved = min(n, bars.times.size) + bar_numbers(
                self.times[rows], self.time_zone, bars, WHAT, "keep only rows whose time is there"
            )
            stays = moved < bars.times.size
            times, matrix = bars.times[moved[stays]], self.matrix[rows[stays]]
        if not times.size:
            raise WeightsError(
                f"{WHAT}: shift by n={n} moves every row beyond the last time; shift by less"
            )
        return self._of(Clock(times, self.time_zone), self.assets, matrix)

    def aligned(self, bars: Bars, align: str = "exact") -> AlignedSchedule:
        """Lay the schedule out over the bars of a feed.

        Rows that are all NaN ask for nothing, and are passed over whatever their time.

        Parameters
        ----------
        bars : Bars
            Of the feed, ``feed.bars``.
        align : {"exact", "next"}
            "exact": every decision time is the time of a bar. "next": one that is not moves to
            the next bar; of two rows on one bar the later wins.

        Returns
        -------
        AlignedSchedule

        Raises
        ------
        ValueError
            For a decision time that is no bar (with "next": that is after the last one), a schedule
            that ends before the first bar, an asset that the feed does not have, times in another
            zone than those of the feed, and an unknown `align`.

        Warns
        -----
        DataWarning
            With "next", for rows that a later row on the same bar replaces.
        """
        check_known(self.assets, bars.index)
        rows = np.flatnonzero(self.decides)
        row_of_bar = np.full(bars.times.size, -1, dtype=np.int64)
        at = bars_of(Clock(self.times[rows], self.time_zone), bars, align)
        row_of_bar[at] = rows  # of several, numpy keeps the last
        row_of_bar.flags.writeable = False
        return AlignedSchedule(row_of_bar, on_columns(self.matrix, self.assets, bars.assets))

    @property
    def timestamps(self) -> tuple[datetime, ...]:
        """The decision times as datetimes, naive if they came so, else in their own zone."""
        return tuple(times_series(self.times, self.time_zone).to_list())

    def rows(self) -> Iterator[tuple[datetime, dict[str, float]]]:
        """Yield time and weights of every row that has any, in order; NaN is left out."""
        times = self.timestamps
        for row in np.flatnonzero(self.decides).tolist():
            columns = np.flatnonzero(~np.isnan(self.matrix[row]))
            weights = self.matrix[row, columns].tolist()
            yield times[row], {self.assets[i]: w for i, w in zip(columns, weights, strict=True)}

    def to_frame(self) -> pl.DataFrame:
        """Return a wide frame: ``timestamp``, and a column an asset; null: not in the targets.

        Raises
        ------
        ValueError
            If an asset is called timestamp.
        """
        return wide_frame(times_series(self.times, self.time_zone), self.assets, self.matrix)

    def __len__(self) -> int:
        """How many rows there are, those that are all NaN too."""
        return len(self.times)

    def __eq__(self, other: object) -> bool:
        """Whether times, zone, assets and weights are the same; NaN is equal to NaN here."""
        if not isinstance(other, WeightSchedule):
            return NotImplemented
        return (
            self.assets == other.assets
            and self.time_zone == other.time_zone
            and np.array_equal(self.times, other.times)
            and np.array_equal(self.matrix, other.matrix, equal_nan=True)
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle by way of the constructor, which locks the arrays."""
        clock = Clock(self.times, self.time_zone)
        return WeightSchedule._of, (clock, self.assets, self.matrix)

    def __hash__(self) -> int:
        """Equal for equal schedules; the weights themselves are not looked at."""
        return hash((self.assets, self.time_zone, self.times.tobytes()))

    def __repr__(self) -> str:
        """One line: size and range."""
        first, last = (time_text(self, row) for row in (0, len(self) - 1))
        return (
            f"WeightSchedule(n_decisions={len(self)}, n_assets={len(self.assets)}, "
            f"{first} to {last})"
        )


def wide_frame(times: pl.Series, assets: tuple[str, ...], matrix: Floats) -> pl.DataFrame:
    """Return a matrix (times, assets) as a frame; NaN becomes null.

    Raises
    ------
    ValueError
        If an asset is called as the times are.
    """
    if times.name in assets:
        raise WeightsError(f"{WHAT}: an asset is called {times.name!r}; rename it for a frame")
    columns = pl.DataFrame(matrix, schema=list(assets)).fill_nan(None)
    return pl.DataFrame([times, *columns])


def as_schedule(weights: object) -> WeightSchedule:
    """Return a schedule as it is, or make one with `WeightSchedule.from_frame`.

    Parameters
    ----------
    weights : WeightSchedule, dataframe, path, or mapping of time to weights

    Returns
    -------
    WeightSchedule
    """
    return weights if isinstance(weights, WeightSchedule) else WeightSchedule.from_frame(weights)
