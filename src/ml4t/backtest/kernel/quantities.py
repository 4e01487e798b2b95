"""What counts as zero, and how a quantity is rounded down."""

from __future__ import annotations

import numpy as np

from ml4t.backtest.kernel.jit import kernel

#: A quantity smaller than this, in absolute value, is zero.
ZERO_QUANTITY = 1e-9
#: Amounts of money that differ by less than this are the same.
MONEY_TOLERANCE = 1e-9


@kernel
def rounded_down(quantity: float, step: float) -> float:
    """Round a signed quantity toward zero to a multiple of `step`; a step of 0 leaves it.

    The tolerance lets a quotient that is a whole number but for float noise stay whole:
    0.58 * 100000 / 100 is 579.9999999999999, and is 580 shares.
    """
    if step == 0.0:
        return quantity
    n = abs(quantity) / step
    whole = np.floor(n + 1e-9 + 1e-12 * n) * step
    if whole == 0.0:
        return 0.0
    return whole if quantity > 0.0 else -whole


@kernel
def without_dust(quantity: float) -> float:
    """Return the quantity, or 0 if it is too small to be one."""
    return 0.0 if abs(quantity) < ZERO_QUANTITY else quantity


@kernel
def reduces(trade: float, position: float) -> bool:
    """Whether a signed trade brings a position nearer to zero without crossing it."""
    return trade * position < 0.0 and abs(trade) <= abs(position) + ZERO_QUANTITY
