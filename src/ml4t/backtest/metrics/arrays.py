"""What every figure asks of its arrays, and how it stays silent where it is not defined."""

from __future__ import annotations

import math
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ml4t.backtest.errors import InputError, shown
from ml4t.backtest.numeric import finite_or_nan, is_finite, is_real
from ml4t.backtest.records import Floats, Ints

#: Decorates what may meet numbers that are too large, or divides by zero: the outcome is NaN then,
#: which the figure itself sees to, and no warning of numpy.
quiet = np.errstate(all="ignore")

#: Moments in UTC, of any unit, or nanoseconds since 1970.
Times = NDArray[np.datetime64] | Ints

Number = TypeVar("Number", float, Floats)

# Kinds of numpy whose values are real numbers; objects, such as decimals, may be.
_REAL = "biufO"

# The rounding of a return, which is a ratio near 1 less 1.
_ROUNDING = 1e-15


def vector(values: Any, name: str) -> Floats:
    """Return values as floats, (n,).

    Raises
    ------
    ValueError
        For what is no array of real numbers of one dimension, and for a masked array.
    """
    found = _as_array(values, name, "numbers")
    try:
        if found.dtype.kind not in _REAL:
            raise TypeError
        found = found.astype(np.float64, copy=False)
    except (TypeError, ValueError):
        raise InputError(f"{name}: {shown(values)} is no array of real numbers") from None
    return _one_dimension(found, name)


def moments(times: Any, name: str) -> Ints:
    """Return times as nanoseconds since 1970, (n,).

    Raises
    ------
    ValueError
        For what is neither datetime64 of a known unit nor whole numbers, for NaT, and for times
        that nanoseconds cannot count.
    """
    found = _one_dimension(_as_array(times, name, "times"), name)
    if found.size == 0:
        return np.zeros(0, np.int64)
    if found.dtype.kind == "i":
        return found.astype(np.int64, copy=False)
    if found.dtype.kind != "M":
        raise InputError(
            f"{name}: {shown(times)} is no array of times; pass datetime64 in UTC, as "
            'np.array(times, "datetime64[ns]") is, or int64 nanoseconds since 1970'
        )
    if np.isnat(found).any():
        raise InputError(f"{name}: holds NaT; leave out what has no time")
    exact = found.astype("datetime64[ns]")
    # What is too far from 1970 wraps around.
    if (exact.astype("datetime64[D]") != found.astype("datetime64[D]")).any():
        raise InputError(f"{name}: nanoseconds count the years 1678 to 2261 only; leave others out")
    return exact.view(np.int64)


def increasing(times: Any, name: str) -> Ints:
    """Return times that increase from each to the next as nanoseconds since 1970, (n,).

    Raises
    ------
    ValueError
        As `moments`, and where they do not increase.
    """
    found = moments(times, name)
    if (np.diff(found) <= 0).any():
        raise InputError(f"{name}: they do not increase from each to the next; sort them")
    return found


def _as_array(values: Any, name: str, of: str) -> NDArray[Any]:
    if isinstance(values, np.ma.MaskedArray):
        raise InputError(
            f"{name}: is a masked array; pass .compressed(), without what is masked, or "
            ".filled(np.nan)"
        )
    try:
        return np.asarray(values)
    except (TypeError, ValueError):
        raise InputError(f"{name}: {shown(values)} is no array of {of}") from None


def _one_dimension(array: NDArray[Any], name: str) -> NDArray[Any]:
    if array.ndim != 1:
        raise InputError(f"{name}: has the shape {array.shape}; pass an array of one dimension")
    return array


def same_length(**arrays: NDArray[Any]) -> None:
    """Raise a `ValueError` unless all arrays, by name, have one length."""
    sizes = {name: len(array) for name, array in arrays.items()}
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{name} has {size:,}" for name, size in sizes.items())
        raise InputError(f"the arrays differ in length: {told} values; align them by time first")


def is_known(values: Floats, least: int) -> bool:
    """Whether there are at least so many values, and every one of them is a finite number."""
    return values.size >= least and bool(np.isfinite(values).all())


def number(value: Any) -> float:
    """Return the value of a figure: NaN where it is beyond all floats."""
    return float(value) if math.isfinite(value) else math.nan


def varies(values: Floats, deviation: float) -> bool:
    """Whether values differ by more than the rounding of the computation that they come from.

    `deviation` is theirs; one that is beyond all floats says nothing.
    """
    return math.isfinite(deviation) and deviation > rounding_of(float(np.max(np.abs(values))))


def rounding_of(largest: Number) -> Number:
    """Return the deviation that returns have by rounding alone, of the size of the largest."""
    return _ROUNDING * (1.0 + largest)


def checked_periods(periods_per_year: Any) -> float:
    """Return periods a year, > 0; NaN (nobody knows) passes.

    Raises
    ------
    ValueError
    """
    if not is_real(periods_per_year) or periods_per_year <= 0.0 or periods_per_year == math.inf:
        raise InputError(
            f"periods_per_year={shown(periods_per_year)}: must be a number above 0; 252 for daily "
            "bars of stocks"
        )
    return float(periods_per_year)


def checked_years(n_years: Any) -> float:
    """Return a number of years; NaN (nobody knows) for one that is not finite.

    Raises
    ------
    ValueError
        For what is no number.
    """
    if not is_real(n_years):
        raise InputError(f"n_years={shown(n_years)}: must be a number, years from first to last")
    return finite_or_nan(n_years)


@quiet
def per_bar(annual_rate: Any, periods_per_year: float, name: str = "risk_free_rate") -> float:
    """Return the rate of a bar that compounds to an annual one in `periods_per_year` bars.

    Raises
    ------
    ValueError
        For what is no rate.
    """
    if not is_real(annual_rate) or not is_finite(annual_rate) or annual_rate <= -1.0:
        raise InputError(
            f"{name}={shown(annual_rate)}: must be a finite number above -1, the rate of a year "
            "as a fraction"
        )
    return float(np.power(1.0 + annual_rate, 1.0 / periods_per_year) - 1.0)


def checked_share(share: Any, name: str) -> float:
    """Return a share strictly between 0 and 1.

    Raises
    ------
    ValueError
    """
    if not is_real(share) or not 0.0 < share < 1.0:
        raise InputError(f"{name}={shown(share)}: must be between 0 and 1, a fraction")
    return float(share)


def checked_count(count: Any, name: str, least: int) -> int:
    """Return a whole number that is at least `least`.

    Raises
    ------
    ValueError
    """
    if isinstance(count, (bool, np.bool_)) or not isinstance(count, (int, np.integer)):
        raise InputError(f"{name}={shown(count)}: must be a whole number")
    if count < least:
        raise InputError(f"{name}={shown(count)}: must be at least {least}")
    return int(count)
