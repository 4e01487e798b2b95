"""The basket of whole units that tracks the target weights most closely (rule 10 of a plan)."""

from __future__ import annotations

from ml4t.backtest.kernel.costs import estimated_cost
from ml4t.backtest.kernel.jit import kernel
from ml4t.backtest.kernel.quantities import MONEY_TOLERANCE, ZERO_QUANTITY, without_dust
from ml4t.backtest.records import CostParams, Floats, Ints

# A gain below this part of a step's own square is float noise.
NO_GAIN = 1e-9


@kernel
def spend_leftover(
    trade: Floats,
    effective: Floats,
    chosen: Ints,
    weight: Floats,
    cash: float,
    equity: float,
    quantity: Floats,
    mark: Floats,
    multiplier: Floats,
    step: float,
    costs: CostParams,
) -> None:
    """Rule 10: buy single steps with the cash that rounding left, where they help most.

    Changes `trade` of the `chosen` assets, whose weights are not 0.
    """
    n = trade.size
    leftover = cash
    for i in range(n):
        change = effective[i] - quantity[i] + trade[i]
        if change != 0.0 and mark[i] > 0.0:
            leftover -= change * mark[i] * multiplier[i]
            if trade[i] != 0.0:
                leftover -= estimated_cost(i, trade[i], mark[i], multiplier[i], costs)
    while True:
        best = -1
        best_gain = 0.0
        best_cost = 0.0
        for i in range(n):
            if not chosen[i]:
                continue
            unit = mark[i] * multiplier[i]
            one = step if weight[i] > 0.0 else -step
            now = effective[i] + trade[i]
            goal = weight[i] * equity / unit
            overshoot = abs(now + one) - abs(goal)
            if overshoot >= step - ZERO_QUANTITY:
                continue
            gain = ((now - goal) * unit / equity) ** 2 - ((now + one - goal) * unit / equity) ** 2
            # Half a step short is no better than half a step over.
            least_gain = NO_GAIN * (one * unit / equity) ** 2
            if gain <= max(best_gain, least_gain):
                continue
            cost = one * unit + estimated_cost(i, trade[i] + one, mark[i], multiplier[i], costs)
            if trade[i] != 0.0:
                cost -= estimated_cost(i, trade[i], mark[i], multiplier[i], costs)
            if cost > leftover + MONEY_TOLERANCE:
                continue
            best, best_gain, best_cost = i, gain, cost
        if best < 0:
            return
        trade[best] = without_dust(trade[best] + (step if weight[best] > 0.0 else -step))
        leftover -= best_cost
