"""What a caller has as a weight schedule, turned into a table of times by assets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

import numpy as np

from ml4t.backtest.errors import WeightsError, listed
from ml4t.backtest.execution.weight_readers import WHAT, refuse_study
from ml4t.backtest.execution.weights import as_weights
from ml4t.backtest.feed.checks import Faults, time_text
from ml4t.backtest.feed.columns import is_number, times_of
from ml4t.backtest.feed.frames import column_of, load
from ml4t.backtest.feed.long import read_long
from ml4t.backtest.feed.table import ASSET_COLUMNS, Numbers
from ml4t.backtest.feed.wide import read_wide
from ml4t.backtest.numeric import is_real
from ml4t.backtest.records import Floats, Ints

#: What a long frame is read for.
_WEIGHT = Numbers(("weight",), "weight")


class Clock(NamedTuple):
    """Times, (n,) UTC nanoseconds, and their zone (None: they are naive)."""

    times: Ints
    time_zone: str | None


class Weights(NamedTuple):
    """Weights (n_decisions, n_assets) with their labels; NaN where there is none."""

    clock: Clock
    assets: tuple[str, ...]
    matrix: Floats


def read_weights(source: object, time_column: str | None, asset_column: str | None) -> Weights:
    """Read a frame, a file, or a mapping of time to weights.

    Raises
    ------
    ValueError
        For whatever the readers of the feed or `as_weights` do not take.
    """
    if isinstance(source, Mapping):
        if time_column is not None or asset_column is not None:
            raise WeightsError(f"{WHAT}: a mapping has no columns; leave their names out")
        return _read_mapping(source)
    refuse_study(source)
    loaded = load(source, WHAT)
    faults = Faults(WHAT)
    # A column of numbers is weights, also of an asset that is called SYMBOL.
    is_long = asset_column is not None or any(
        name.lower() in ASSET_COLUMNS and not is_number(loaded.frame[name])
        for name in loaded.frame.columns
    )
    if is_long:
        table = read_long(loaded, asset_column, time_column, faults, _WEIGHT)
    else:
        table = read_wide(loaded, WHAT, time_column, faults)
    faults.settle()
    (matrix,) = table.columns.values()
    return Weights(Clock(table.times, table.time_zone), table.assets, matrix)


def _read_mapping(rows: Mapping[Any, object]) -> Weights:
    strange = [time for time in rows if not isinstance(time, (date, np.datetime64))]
    if strange:
        raise WeightsError(
            f"{WHAT}: {listed(strange)} are no times; pass {{time: {{asset: weight}}}} with "
            "datetimes, or a frame"
        )
    clock = read_times(list(rows))
    found = [_weights_at(time, weights) for time, weights in rows.items()]
    assets = tuple(sorted(set().union(*found)))
    index = {name: i for i, name in enumerate(assets)}
    matrix = np.full((len(found), len(assets)), np.nan)
    for i, weights in enumerate(found):
        for name, weight in weights.items():
            matrix[i, index[name]] = weight
    return Weights(clock, assets, matrix)


def _weights_at(time: object, weights: object) -> dict[str, float]:
    try:
        found = as_weights(weights)
    except WeightsError as error:
        raise WeightsError(f"{WHAT} at {time}: {str(error).removeprefix('weights: ')}") from None
    if not found:
        raise WeightsError(
            f"{WHAT} at {time}: there is no asset; give 0.0 to what is to be closed, or leave the "
            "time out if nothing is to be done"
        )
    return found


def read_times(times: object) -> Clock:
    """Return times in the order in which they came.

    Raises
    ------
    ValueError
        For what are no datetimes, for none at all, and for mixed zones.
    """
    column = column_of(times, "times", WHAT)
    if not len(column):
        raise WeightsError(f"{WHAT}: there are no times; pass at least one")
    faults = Faults(WHAT)
    found = Clock(*times_of(column, False, faults))
    faults.settle()
    return found


def read_matrix(matrix: object, clock: Clock, assets: Sequence[str]) -> Floats:
    """Return a matrix of numbers as a new float64 array.

    Raises
    ------
    ValueError
        For another shape than (times, assets), and for a cell that is no real number.
    """
    if isinstance(matrix, np.ma.MaskedArray):  # whose mask numpy would drop
        raise WeightsError(f"{WHAT}: the matrix is masked; fill it with NaN, matrix.filled(np.nan)")
    # Numpy would make a bool in a list a number.
    values = np.asarray(matrix, dtype=None if hasattr(matrix, "__array__") else object)
    shape = (clock.times.size, len(assets))
    if values.shape != shape:
        raise WeightsError(
            f"{WHAT}: the matrix has shape {values.shape}, but {shape[0]} times and {shape[1]} "
            f"assets need {shape}"
        )
    if values.dtype == object:
        wrong = [i for i, value in enumerate(values.flat) if not is_real(value)]
        if wrong:
            row, column = divmod(wrong[0], shape[1])
            place = f"{time_text(clock, row)} {assets[column]}"
            raise WeightsError(
                f"{WHAT}: {len(wrong)} of them are not numbers, the first: {place} "
                f"{values.flat[wrong[0]]!r}; pass floats, NaN for what is not in the targets"
            )
    elif values.dtype.kind not in "fiu":
        raise WeightsError(f"{WHAT}: the matrix has type {values.dtype}, not numbers; convert it")
    try:
        return np.array(values, dtype=np.float64, order="C")
    except OverflowError:
        raise WeightsError(
            f"{WHAT}: the matrix holds an integer beyond all floats; weights are fractions of "
            "equity"
        ) from None
