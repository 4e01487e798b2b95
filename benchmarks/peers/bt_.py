"""bt: fractional positions, traded at the close of the date of the weights.

`Rebalance` takes the commission out of what it buys, so that a position ends below its weight: its
equity differs. `Transact` sends the quantities that hit the weights and leaves the commission to
the cash, as the others do.
"""

from __future__ import annotations

from typing import Any

import bt
import pandas as pd

from benchmarks.contender import Contender, Run
from benchmarks.scenarios import CASH, RATE, Workload


class Transact(bt.Algo):
    """Trades the difference between ``temp["weights"]`` of the value now and what is held."""

    def __call__(self, target: Any) -> bool:
        """Trade; returns True, as an algo does."""
        value = target.value
        children = target.children
        for name, weight in target.temp["weights"].items():
            child = children[name]
            child.transact(weight * value / child.price - child.position, update=False)
        target.root.stale = True
        return True


def commission(quantity: float, price: float) -> float:
    """Return the commission of a trade, in currency."""
    return abs(quantity) * price * RATE


def _prepare(workload: Workload, trade: bt.Algo) -> Run:
    index = pd.DatetimeIndex(workload.times.to_numpy())
    prices = pd.DataFrame(workload.closes, index=index, columns=workload.assets)
    weights = pd.DataFrame(workload.weights, index=index[workload.bars], columns=workload.assets)

    def run() -> Any:
        algos = [bt.algos.WeighTarget(weights), trade]
        securities = [bt.Security(name) for name in workload.assets]
        backtest = bt.Backtest(
            bt.Strategy("schedule", algos, securities),
            prices,
            initial_capital=CASH,
            commissions=commission,
            integer_positions=False,
            progress_bar=False,
        )
        backtest.run()
        return backtest

    return run


def rebalance(workload: Workload) -> Run:
    """Use the algo that comes with bt."""
    return _prepare(workload, bt.algos.Rebalance())


def transact(workload: Workload) -> Run:
    """Use an algo of quantities."""
    return _prepare(workload, Transact())


def final_equity(backtest: Any) -> float:
    """Return the equity at the last close."""
    return float(backtest.strategy.values.iloc[-1])


CONTENDERS = [
    Contender("bt Rebalance", "bt", rebalance, final_equity, agrees=False, slow=True),
    Contender("bt transact", "bt", transact, final_equity, slow=True),
]
