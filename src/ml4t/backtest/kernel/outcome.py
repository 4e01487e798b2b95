"""What fills came to: by asset, and at the decisions that traded at their own close."""

from __future__ import annotations

import math

import numpy as np

from ml4t.backtest.kernel.jit import kernel
from ml4t.backtest.kernel.limits import adjust_weights
from ml4t.backtest.records import Floats, Ints, PlanParams, Records


@kernel
def gather_outcome(
    fills: Records,
    bar_of_plan: Ints,
    row_of_bar: Ints,
    marks: Floats,
    pnl: Floats,
    moved: Floats,
) -> None:
    """Sum fills up.

    Parameters
    ----------
    fills : records of `FILL`
    bar_of_plan : (n_plans,) array
        The bar at which each plan was made.
    row_of_bar : (n_bars,) array
        The number of the decision at each bar, -1 for none.
    marks : (n_bars, n_assets) array
    pnl : (n_assets,) zeros; written: profit and loss, what is held at the end at its last mark.
    moved : (n_decisions,) zeros; written: by how much the fills of a decision at its own close
        lowered the equity of that close.
    """
    held = np.zeros(pnl.size)
    for k in range(fills.size):
        record = fills[k]
        i = record["asset"]
        quantity = record["quantity"]
        spent = quantity * record["price"] + record["commission"]
        pnl[i] -= spent
        held[i] += quantity
        bar = record["bar"]
        plan = record["plan_idx"]
        if plan >= 0 and bar_of_plan[plan] == bar:
            moved[row_of_bar[bar]] += spent - quantity * marks[bar, i]
    last = marks.shape[0] - 1
    for i in range(pnl.size):
        if held[i] != 0.0:  # an asset without a mark is not
            pnl[i] += held[i] * marks[last, i]


@kernel
def some_adjusted(weights: Floats, params: PlanParams) -> bool:
    """Whether the limits of a plan change any row of requested weights, (n_rows, n_assets)."""
    n_rows, n_assets = weights.shape
    row = np.empty(n_assets)
    held = np.zeros(n_assets, np.int64)
    adjustments = np.zeros(n_assets, np.int64)
    for at in range(n_rows):
        for i in range(n_assets):
            row[i] = 0.0 if math.isnan(weights[at, i]) else weights[at, i]
        adjust_weights(row, adjustments, held, params)
        if np.any(adjustments != 0):
            return True
    return False
