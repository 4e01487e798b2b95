"""What cash can pay for: the policies for purchases that cost more than there is.

`turn` holds the places of purchases in the book, in sequence; `granted` is the quantity that
volume allows each of them, 0 where nothing is bought; `price` is by order of the book.
`tolerance` is the amount by which cash may fall below zero.
"""

from __future__ import annotations

import numpy as np

from ml4t.backtest.kernel.fills import terms_of
from ml4t.backtest.kernel.jit import kernel
from ml4t.backtest.kernel.quantities import rounded_down
from ml4t.backtest.records import CostParams, Floats, Ints, Record, Records

# How often the common factor of purchases is lowered before they are given up.
MOST_ROUNDS = 50
# Halvings of an interval of quantities; more than a float has bits.
MOST_HALVINGS = 120


@kernel
def cash_tolerance(cash: float) -> float:
    """Return by how much cash may fall below zero, given cash at the start of the group."""
    return 1e-6 + 1e-12 * max(cash, 0.0)


@kernel
def cost_of_buy(order: Record, quantity: float, price: float, costs: CostParams) -> float:
    """Return what a purchase takes out of cash, slippage and commission included."""
    _, notional, commission = terms_of(order, quantity, price, costs)
    return notional + commission


@kernel
def total_cost(
    book: Records, turn: Ints, granted: Floats, price: Floats, factor: float, costs: CostParams
) -> float:
    """Sum the costs of all purchases under a common factor, in sequence."""
    total = 0.0
    for at in range(turn.size):
        if granted[at] > 0.0:
            order = book[turn[at]]
            quantity = scaled(granted[at], factor, order["step"])
            if quantity > 0.0:
                total += cost_of_buy(order, quantity, price[turn[at]], costs)
    return total


@kernel
def affordable_factor(
    book: Records,
    turn: Ints,
    granted: Floats,
    price: Floats,
    cash: float,
    tolerance: float,
    costs: CostParams,
) -> float:
    """Find the common factor by which purchases are scaled so that cash pays for them.

    1 means the granted quantities themselves.
    """
    factor = 1.0
    for _ in range(MOST_ROUNDS + 1):
        total = total_cost(book, turn, granted, price, factor, costs)
        if total <= cash + tolerance:
            return factor
        if total <= 0.0:
            break
        factor *= min(max(cash, 0.0) / total, 1.0 - 2e-9)
    return 0.0


@kernel
def scaled(granted: float, factor: float, step: int) -> float:
    """Return a granted quantity under the common factor, rounded down unless that is 1."""
    if factor == 1.0:
        return granted
    return rounded_down(factor * granted, step)


@kernel
def is_affordable(
    order: Record,
    quantity: float,
    price: float,
    cash: float,
    tolerance: float,
    costs: CostParams,
) -> bool:
    """Whether cash pays for a purchase; an order without steps gets no tolerance."""
    limit = cash + tolerance if order["step"] > 0 else cash
    return bool(cost_of_buy(order, quantity, price, costs) <= limit)


@kernel
def largest_affordable(
    order: Record, granted: float, price: float, cash: float, tolerance: float, costs: CostParams
) -> float:
    """Return the largest quantity of the order's step that cash pays for, `granted` at most.

    Costs do not fall when the quantity rises, so that halving finds it.
    """
    if is_affordable(order, granted, price, cash, tolerance, costs):
        return granted
    step = float(order["step"])
    if step > 0.0:
        # Whole numbers as floats: no integer is large enough for every float.
        low = 0.0
        high = np.ceil(granted / step)
        while high - low > 1.0:
            middle = np.floor(0.5 * (low + high))
            if middle <= low or middle >= high:
                break
            if is_affordable(order, middle * step, price, cash, tolerance, costs):
                low = middle
            else:
                high = middle
        return low * step
    least, most = 0.0, granted
    for _ in range(MOST_HALVINGS):
        half = 0.5 * (least + most)
        if half <= least or half >= most:
            break
        if is_affordable(order, half, price, cash, tolerance, costs):
            least = half
        else:
            most = half
    return least
