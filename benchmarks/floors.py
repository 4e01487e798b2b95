"""The least that has to be done: loops without orders, fills, reasons or tables."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from benchmarks.contender import Contender, Run
from benchmarks.scenarios import CASH, RATE, Workload


def numpy_loop(workload: Workload) -> Run:
    """Weights -> shares -> cash -> equity, a vector at a time."""
    closes, weights, rows = workload.closes, workload.weights, workload.row_of_bar.tolist()

    def run() -> Any:
        cash = CASH
        shares = np.zeros(closes.shape[1])
        equity = np.empty(closes.shape[0])
        for bar, row in enumerate(rows):
            price = closes[bar]
            if row >= 0:
                value = cash + shares @ price
                wanted = weights[row] * value / price
                traded = (wanted - shares) * price
                cash -= traded.sum() + RATE * np.abs(traded).sum()
                shares = wanted
            equity[bar] = cash + shares @ price
        return equity

    return run


@njit
def _loop(closes: Any, weights: Any, rows: Any, shares: Any, equity: Any) -> None:
    cash = CASH
    n_bars, n_assets = closes.shape
    for bar in range(n_bars):
        value = cash
        for i in range(n_assets):
            value += shares[i] * closes[bar, i]
        row = rows[bar]
        if row >= 0:
            cash = value
            for i in range(n_assets):
                wanted = weights[row, i] * value / closes[bar, i]
                cost = RATE * abs(wanted - shares[i]) * closes[bar, i]
                cash -= wanted * closes[bar, i] + cost
                shares[i] = wanted
            value = cash
            for i in range(n_assets):
                value += shares[i] * closes[bar, i]
        equity[bar] = value


def numba_loop(workload: Workload) -> Run:
    """Weights -> shares -> cash -> equity, compiled."""
    closes, weights, rows = workload.closes, workload.weights, workload.row_of_bar

    def run() -> Any:
        equity = np.empty(closes.shape[0])
        _loop(closes, weights, rows, np.zeros(closes.shape[1]), equity)
        return equity

    return run


def one_pass(workload: Workload) -> Run:
    """Read every close once and add it."""
    return workload.closes.sum


def _last(equity: Any) -> float:
    return float(equity[-1])


FLOORS = (
    Contender("numpy loop", "numpy", numpy_loop, _last),
    Contender("bare numba loop", "numba", numba_loop, _last),
    Contender("one pass over the closes", "numpy", one_pass, None),
)
