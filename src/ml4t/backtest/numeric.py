"""What counts as a number in what a caller passes: the one home of that rule."""

from __future__ import annotations

import math
import numbers
from typing import Any


def is_real(value: object) -> bool:
    """Whether a value is a real number, of Python or numpy; a bool is none.

    Examples
    --------
    >>> is_real(1), is_real(float("nan")), is_real(True), is_real("1")
    (True, True, False, False)
    """
    # numpy's bool is no numbers.Real
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def is_finite(number: Any) -> bool:
    """Whether a real number is finite as a float; an integer may be too large for one."""
    try:
        return math.isfinite(number)
    except OverflowError:
        return False


def finite_or_nan(number: Any) -> float:
    """Return a real number as a float, NaN for one that is not finite as a float."""
    return float(number) if is_finite(number) else math.nan
