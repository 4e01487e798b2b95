"""Limits on target weights: shorts, caps, exposure (rule 3 of a plan)."""

from __future__ import annotations

from ml4t.backtest.enums import Adjustment
from ml4t.backtest.kernel.jit import kernel
from ml4t.backtest.records import Floats, Ints, PlanParams

SHORT_NOT_ALLOWED_BIT = Adjustment.SHORT_NOT_ALLOWED.bit
CAPPED_BIT = Adjustment.CAPPED.bit
SCALED_BIT = Adjustment.SCALED.bit

# How far a sum of weights may exceed its limit before all are scaled: optimizers round.
EXPOSURE_TOLERANCE = 1e-6


@kernel
def adjust_weights(weight: Floats, adjustments: Ints, held: Ints, params: PlanParams) -> None:
    """Apply rule 3 to `weight` in place and note in `adjustments` what was done to which."""
    n = weight.size
    for i in range(n):
        if held[i] or weight[i] == 0.0:
            continue
        if weight[i] < 0.0 and not params.allow_short:
            weight[i] = 0.0
            adjustments[i] |= SHORT_NOT_ALLOWED_BIT
        elif abs(weight[i]) > params.max_single_weight:
            cap = params.max_single_weight
            weight[i] = cap if weight[i] > 0.0 else -cap
            adjustments[i] |= CAPPED_BIT
    net = 0.0
    for i in range(n):
        if not held[i]:
            net += weight[i]
    scale_weights(weight, adjustments, held, abs(net), params.max_net_exposure)
    gross = 0.0
    for i in range(n):
        if not held[i]:
            gross += abs(weight[i])
    scale_weights(weight, adjustments, held, gross, params.max_gross_exposure)


@kernel
def scale_weights(
    weight: Floats, adjustments: Ints, held: Ints, exposure: float, limit: float
) -> None:
    """Scale all weights by one factor if their exposure exceeds its limit; changes both arrays."""
    if exposure <= limit + EXPOSURE_TOLERANCE:
        return
    factor = limit / exposure
    for i in range(weight.size):
        if not held[i] and weight[i] != 0.0:
            weight[i] *= factor
            adjustments[i] |= SCALED_BIT
