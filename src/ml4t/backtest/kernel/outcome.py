"""What fills came to: by asset, and at the decisions that traded at their own close."""

from __future__ import annotations

import math

import numpy as np

from ml4t.backtest.kernel.jit import kernel
from ml4t.backtest.kernel.limits import adjust_weights
from ml4t.backtest.records import Bools, Floats, Ints, PlanParams, Records


@kernel
def gather_outcome(
    fills: Records,
    at_once: Bools,
    row_of_bar: Ints,
    marks: Floats,
    pnl: Floats,
    moved: Floats,
    traded: Bools,
) -> None:
    """Sum fills up.

    Parameters
    ----------
    fills : records of `FILL`
    at_once : (n_fills,) array
        Whether it happened at the close of the bar at which its order was decided.
    row_of_bar : (n_bars,) array
        The number of the decision at each bar, -1 for none.
    marks : (n_bars, n_assets) array
    pnl : (n_assets,) zeros; written: profit and loss, what is held at the end at its last mark.
    moved : (n_decisions,) zeros; written: by how much the fills at the close of a decision that
        was made there lowered the equity of that close.
    traded : (n_assets,) all False; written: whether an asset has a fill.
    """
    held = np.zeros(pnl.size)
    for k in range(fills.size):
        record = fills[k]
        i = record["asset"]
        quantity = record["quantity"]
        spent = quantity * record["price"] + record["commission"]
        pnl[i] -= spent
        held[i] += quantity
        traded[i] = True
        bar = record["bar"]
        if at_once[k] and row_of_bar[bar] >= 0:
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
