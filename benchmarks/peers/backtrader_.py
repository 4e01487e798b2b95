"""backtrader: `order_target_value` with cheat-on-close, sales sent before purchases.

`order_target_percent` does the same, but values the whole account anew for every order.

An order that is sent at a close fills at that close, but is matched when the next bar comes: a bar
with the same closes follows the last one. Its sizes are whole numbers unless the commission scheme
says otherwise. A run reads the frames anew, since backtrader does that inside `run`.
"""

from __future__ import annotations

from typing import Any

import backtrader
import numpy as np
import pandas as pd

from benchmarks.contender import Contender, Run
from benchmarks.scenarios import CASH, RATE, Workload


class Fractions(backtrader.CommInfoBase):
    """A rate of the notional, and sizes that are no whole numbers."""

    params = (
        ("commission", RATE),
        ("commtype", backtrader.CommInfoBase.COMM_PERC),
        ("percabs", True),
        ("stocklike", True),
    )

    def getsize(self, price: float, cash: float) -> float:
        """Return what a sum of cash buys."""
        return cash / price


class CloseOnly(backtrader.feeds.PandasDirectData):
    """The quickest feed that comes with backtrader; every price of a bar is its close."""

    params = (
        ("open", 1),
        ("high", 1),
        ("low", 1),
        ("close", 1),
        ("volume", -1),
        ("openinterest", -1),
    )


class Schedule(backtrader.Strategy):
    """Sends the orders of a row of weights at every bar that has one."""

    params = (("rows", ()), ("weights", ()))

    def next(self) -> None:
        """Trade the row of this bar, if there is one."""
        row = self.p.rows[len(self) - 1]
        if row < 0:
            return
        value = self.broker.getvalue()
        weights = self.p.weights[row]
        above = []
        for data, weight in zip(self.datas, weights, strict=True):
            if weight * value < self.getposition(data).size * data.close[0]:
                self.order_target_value(data, weight * value)
            else:
                above.append((data, weight))
        for data, weight in above:
            self.order_target_value(data, weight * value)


def order_target_value(workload: Workload) -> Run:
    """Use a data feed for each asset and one strategy."""
    index = pd.DatetimeIndex(workload.times.to_numpy())
    index = index.append(index[-1:] + pd.Timedelta(days=1))
    closes = np.vstack([workload.closes, workload.closes[-1]])
    frames = [pd.DataFrame({"close": close}, index=index) for close in closes.T]
    rows = [*workload.row_of_bar.tolist(), -1]
    weights = workload.weights.tolist()

    def run() -> Any:
        cerebro = backtrader.Cerebro(stdstats=False)
        for frame in frames:
            cerebro.adddata(CloseOnly(dataname=frame))
        cerebro.broker.setcash(CASH)
        cerebro.broker.set_coc(True)
        cerebro.broker.addcommissioninfo(Fractions())
        cerebro.addstrategy(Schedule, rows=rows, weights=weights)
        cerebro.run()
        return cerebro.broker

    return run


def final_equity(broker: Any) -> float:
    """Return the equity at the last close."""
    return float(broker.getvalue())


CONTENDERS = [
    Contender("backtrader", "backtrader", order_target_value, final_equity, slow=True),
]
