"""What is wrong with data: collected over a whole frame, then told in one message."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ml4t.backtest.errors import DataError, DataWarning
from ml4t.backtest.feed.bars import times_series
from ml4t.backtest.feed.table import Table
from ml4t.backtest.records import Floats

#: Relative; wider than the rounding of 32-bit floats, in which many data sets are kept.
TOLERANCE = 1e-6
_SHOWN = 3
_PRICES = ("open", "high", "low", "close")
_CHECKS = ("raise", "warn")


class Fault(NamedTuple):
    """A kind of fault: how often it is there, its first rows, and what to do."""

    kind: str
    n: int
    rows: tuple[str, ...]
    remedy: str

    def __str__(self) -> str:
        """All of it in one line."""
        return f"{self.kind}: {self.n}, the first: {'; '.join(self.rows)}. {self.remedy}"


class Faults:
    """The faults of one input, by kind.

    Parameters
    ----------
    what : str
        What the input is, for messages.
    checks : {"raise", "warn"}
        Whether oddities (values that make no sense) raise or warn. Structural faults, which leave
        no way to read the input, always raise.
    """

    def __init__(self, what: str, checks: str = "raise") -> None:
        if checks not in _CHECKS:
            raise DataError(f'checks: {checks!r} is unknown; use "raise" or "warn"')
        self.what = what
        self._raises = checks == "raise"
        self._structural: list[Fault] = []
        self._odd: list[Fault] = []
        self._unsorted: list[str] = []

    def of(self, what: str) -> Faults:
        """Return the same faults, for a part of the input that has a name of its own."""
        part = copy.copy(self)  # the lists are shared
        part.what = what
        return part

    def add(
        self, kind: str, count: int, rows: Iterable[str], remedy: str, structural: bool = True
    ) -> None:
        """Note a kind of fault: how often it is there, its first rows, and what to do."""
        fault = Fault(kind, count, tuple(rows), remedy)
        (self._structural if structural else self._odd).append(fault)

    def add_unsorted(self) -> None:
        """Note that rows were put in order: no fault, but to be told."""
        self._unsorted.append(self.what)

    @property
    def found(self) -> tuple[Fault, ...]:
        """All that was noted, what leaves no way to read the input first."""
        return (*self._structural, *self._odd)

    @property
    def leaves_a_way(self) -> bool:
        """Whether the input can be read in spite of them."""
        return not self._structural

    @property
    def was_unsorted(self) -> bool:
        """Whether rows were put in order."""
        return bool(self._unsorted)

    def settle(self) -> None:
        """Raise one error, or warn, about all that was noted.

        Raises
        ------
        ValueError
            With a line for each kind of fault.
        """
        if self._structural or (self._odd and self._raises):
            hint = "" if self._structural else '\nTo use the prices as they are: checks="warn"'
            raise DataError(self._message(self.found) + hint)
        if self._odd:
            warnings.warn(self._message(self._odd), DataWarning, stacklevel=4)
        if self._unsorted:
            warnings.warn(
                f"{', '.join(self._unsorted)}: rows were not in the order of time, and were "
                "sorted; sort the frame by time, or see whether its times are what they seem",
                DataWarning,
                stacklevel=4,
            )

    def _message(self, faults: Sequence[Fault]) -> str:
        if len(faults) == 1:
            return f"{self.what}: {faults[0]}"
        return "\n- ".join([f"{self.what}: {len(faults)} kinds of faults", *map(str, faults)])


def check_prices(table: Table, faults: Faults) -> None:
    """Note prices and volumes that make no sense; a row whose close is NaN is no bar, and passes.

    Infinities become NaN and negative volumes 0 in the table, in case the caller goes on.
    """
    columns = table.columns
    close = columns["close"]
    is_bar = ~np.isnan(close)

    def note(kind: str, at: NDArray[np.bool_], names: Iterable[str], remedy: str) -> None:
        count = int(np.count_nonzero(at))
        if count:
            shown = [name for name in names if name in columns]
            faults.add(kind, count, _rows_of(table, at, shown), remedy, structural=False)

    present = [name for name in (*_PRICES, "vwap", "volume") if name in columns]
    infinite = _any_of([np.isinf(columns[name]) for name in present]) & is_bar
    note("infinities", infinite, present, "Make them NaN")
    if infinite.any():
        for name in present:
            columns[name][np.isinf(columns[name])] = np.nan
    prices = [name for name in _PRICES if name in columns]
    # Comparisons with NaN are False: what is missing is no fault.
    priced = [name for name in (*_PRICES, "vwap") if name in columns]
    not_positive = _any_of([columns[name] <= 0.0 for name in priced]) & is_bar
    note("zero or negative prices", not_positive, priced, "Make them NaN where there was no trade")
    if "high" in columns and "low" in columns:
        crossed = _above(columns["low"], columns["high"]) & is_bar
        note("high < low", crossed, ("high", "low"), "See whether columns are swapped")
    else:
        crossed = np.zeros_like(is_bar)
    outside = [
        beyond
        for name in ("open", "close")
        if name in columns
        for beyond in (
            *([_above(columns[name], columns["high"])] if "high" in columns else []),
            *([_above(columns["low"], columns[name])] if "low" in columns else []),
        )
    ]
    if outside:
        # A bar whose high is below its low is told of already.
        note(
            "open or close outside [low, high]",
            _any_of(outside) & is_bar & ~crossed,
            prices,
            "See whether some columns are adjusted for splits and others are not",
        )
    if "volume" in columns:
        negative = (columns["volume"] < 0.0) & is_bar
        note("negative volume", negative, ("volume",), "It is taken as 0 where it is let through")
        if negative.any():
            columns["volume"][negative] = 0.0


def _above(values: Floats, limits: Floats) -> NDArray[np.bool_]:
    """Whether values are above limits by more than rounding."""
    above: NDArray[np.bool_] = values > limits
    if above.any():  # the exact comparison is enough for good data, and cheap
        with np.errstate(invalid="ignore", over="ignore"):
            above &= values - limits > TOLERANCE * np.abs(limits)
    return above


def _any_of(masks: list[NDArray[np.bool_]]) -> NDArray[np.bool_]:
    result = masks[0]
    for mask in masks[1:]:
        result = result | mask
    return result


def _rows_of(table: Table, at: NDArray[np.bool_], names: list[str]) -> list[str]:
    """Write the first rows of a fault: time, asset and the values of columns."""
    cells = np.flatnonzero(at)[:_SHOWN]
    rows = []
    for cell in cells.tolist():
        bar, asset = divmod(cell, len(table.assets))
        values = " ".join(f"{name}={table.columns[name][bar, asset]:g}" for name in names)
        rows.append(f"{time_text(table, bar)} {table.assets[asset]} {values}")
    return rows


def time_text(table: Any, bar: int) -> str:
    """Write the time of a bar of anything that has times and a zone."""
    return str(times_series(table.times[bar : bar + 1], table.time_zone)[0])
