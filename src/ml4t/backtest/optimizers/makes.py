"""Frames of pandas and polars, taken apart into columns and put together again.

However its columns were changed, a frame that is put together here is laid out in memory as every
other: libraries add numbers up in the order in which they lie, and sums in another order differ in
the last digits.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from ml4t.backtest.optimizers.future import Mask
from ml4t.backtest.records import Floats, Ints


class Make(ABC):
    """What can be done with the columns of a frame."""

    n_columns: int

    @abstractmethod
    def column(self, place: int) -> Any:
        """Return a column."""

    @abstractmethod
    def is_float(self, column: Any) -> bool:
        """Whether a column holds floats."""

    @abstractmethod
    def as_floats(self, column: Any) -> Any:
        """Return a column as one of floats."""

    @abstractmethod
    def numbers(self, column: Any) -> Floats:
        """Return the numbers of a column of floats, NaN where there is none."""

    @abstractmethod
    def replaced(self, column: Any, at: Mask, numbers: Floats) -> Any:
        """Return a column with other numbers somewhere."""

    @abstractmethod
    def taken(self, column: Any, rows: Ints) -> Any:
        """Return a column with the values of other rows."""

    @abstractmethod
    def without(self, column: Any, gone: Mask) -> Any:
        """Return a column without a value somewhere, or with 0 in one of integers."""

    @abstractmethod
    def frame(self, columns: Sequence[Any], kept: Mask | None) -> Any:
        """Return a frame of columns; None: of all rows."""


def make_of(frame: Any) -> Make:
    """Return what takes a pandas or polars frame apart."""
    return _Pandas(frame) if hasattr(frame, "iloc") else _Polars(frame)


class _Pandas(Make):
    def __init__(self, frame: Any) -> None:
        self._frame = frame
        self.n_columns = frame.shape[1]

    def column(self, place: int) -> Any:
        return self._frame.iloc[:, place]

    def is_float(self, column: Any) -> bool:
        return bool(column.dtype.kind == "f")

    def as_floats(self, column: Any) -> Any:
        return column.astype("float64")

    def numbers(self, column: Any) -> Floats:
        numbers: Floats = column.to_numpy(dtype=np.float64, na_value=np.nan)
        return numbers

    def replaced(self, column: Any, at: Mask, numbers: Floats) -> Any:
        made = type(column)(numbers, index=column.index).astype(column.dtype)
        return column.where(~at, made)

    def taken(self, column: Any, rows: Ints) -> Any:
        return column.iloc[rows]

    def without(self, column: Any, gone: Mask) -> Any:
        if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iub":
            return column.mask(gone, column.dtype.type(0))
        return column.mask(gone)

    def frame(self, columns: Sequence[Any], kept: Mask | None) -> Any:
        index = self._frame.index
        if kept is not None and not kept.all():
            rows = np.flatnonzero(kept)
            columns = [column.iloc[rows] for column in columns]
            # The numbers 0, 1, 2, ... of a frame without labels have no gaps.
            index = index[: rows.size] if hasattr(index, "step") else index[rows]
        labelled = {i: column.set_axis(index) for i, column in enumerate(columns)}
        made = type(self._frame)(labelled, index=index)
        made = made.set_axis(self._frame.columns, axis=1).copy()
        made.attrs = dict(self._frame.attrs)
        return made


class _Polars(Make):
    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame
        self.n_columns = frame.width

    def column(self, place: int) -> pl.Series:
        return self._frame.to_series(place)

    def is_float(self, column: pl.Series) -> bool:
        return column.dtype.is_float()

    def as_floats(self, column: pl.Series) -> pl.Series:
        return column.cast(pl.Float64)

    def numbers(self, column: pl.Series) -> Floats:
        return column.cast(pl.Float64).to_numpy()

    def replaced(self, column: pl.Series, at: Mask, numbers: Floats) -> pl.Series:
        made = pl.Series(column.name, numbers).cast(column.dtype)
        return made.zip_with(pl.Series(at), column)

    def taken(self, column: pl.Series, rows: Ints) -> pl.Series:
        return column[rows]

    def without(self, column: pl.Series, gone: Mask) -> pl.Series:
        # As the frame itself says that there is none.
        nothing = float("nan") if column.dtype.is_float() and column.is_nan().any() else None
        nothings = pl.repeat(nothing, column.len(), dtype=column.dtype, eager=True)
        return nothings.alias(column.name).zip_with(pl.Series(gone), column)

    def frame(self, columns: Sequence[pl.Series], kept: Mask | None) -> pl.DataFrame:
        made = pl.DataFrame(columns)
        if kept is not None:
            made = made.filter(kept)
        return made.rechunk()
