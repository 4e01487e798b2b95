"""What every figure asks of its arrays, and how it stays silent where it is not defined."""

from __future__ import annotations

import math
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ml4t.backtest.errors import InputError, shown
from ml4t.backtest.numeric import is_finite, is_real
from ml4t.backtest.records import Floats

#: Decorates what may meet numbers that are too large, or divides by zero: the outcome is NaN then,
#: which the figure itself sees to, and no warning of numpy.
quiet = np.errstate(all="ignore")

Number = TypeVar("Number", float, Floats)

# The rounding of a return, which is a ratio near 1 less 1.
_ROUNDING = 1e-15


def vector(values: Any, name: str) -> Floats:
    """Return values as floats, (n,).

    Raises
    ------
    ValueError
        For what is no array of numbers of one dimension.
    """
    try:
        found = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name}: {shown(values)} is no array of numbers") from None
    if found.ndim != 1:
        raise InputError(f"{name}: has the shape {found.shape}; pass an array of one dimension")
    return found


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
