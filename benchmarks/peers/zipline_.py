"""zipline: `order_target_percent` for each asset, in whole shares, at the next close.

That is how zipline trades: it has neither fractions nor an order that fills at the close that
decided it, and it keeps prices to a tenth of a cent. So its equity differs. The prices are ingested
into a bundle on disk before a run; a run reads them from there. It knows days of exchanges only:
bar t of a workload is a session of the New York Stock Exchange, from the second of 1990 on.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from typing import Any

import pandas as pd
from zipline import run_algorithm
from zipline.api import order_target_percent, set_commission, set_slippage, symbol
from zipline.data import bundles
from zipline.finance.commission import PerDollar
from zipline.finance.slippage import NoSlippage
from zipline.utils.calendar_utils import get_calendar

from benchmarks.contender import Contender, Run
from benchmarks.scenarios import CASH, RATE, Workload

CALENDAR = "XNYS"


def ingested(workload: Workload, index: pd.DatetimeIndex) -> tuple[str, dict[str, str]]:
    """Write the closes to a bundle; return its name and the environment that finds it."""
    folder = tempfile.mkdtemp(prefix="zipline-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    name, environ = workload.scenario.name, {"ZIPLINE_ROOT": folder}

    def ingest(
        environ: Any, assets_db: Any, minutes: Any, days: Any, adjustments: Any, *others: Any
    ) -> None:
        exchange = {"exchange": ["X"], "canonical_name": ["X"], "country_code": ["US"]}
        listed = {
            "symbol": workload.assets,
            "start_date": index[0],
            "end_date": index[-1],
            "auto_close_date": index[-1] + pd.Timedelta(days=1),
            "exchange": "X",
        }
        assets_db.write(pd.DataFrame(listed), exchanges=pd.DataFrame(exchange))
        names = ["open", "high", "low", "close"]
        days.write(
            (k, pd.DataFrame(dict.fromkeys(names, close), index=index).assign(volume=10**6))
            for k, close in enumerate(workload.closes.T)
        )
        adjustments.write()

    bundles.register(name, ingest, CALENDAR)
    bundles.ingest(name, environ=environ)
    return name, environ


def order_target(workload: Workload) -> Run:
    """Use a strategy that sends the orders of a row of weights at every bar that has one."""
    # A run that begins with the first session looks for a minute before it.
    index = get_calendar(CALENDAR).sessions[1 : 1 + workload.scenario.n_bars]
    name, environ = ingested(workload, index)
    rows, weights = workload.row_of_bar.tolist(), workload.weights.tolist()

    def initialize(context: Any) -> None:
        set_commission(PerDollar(RATE))
        set_slippage(NoSlippage())
        context.assets = [symbol(asset) for asset in workload.assets]
        context.bar = 0

    def handle_data(context: Any, data: Any) -> None:
        row = rows[context.bar]
        context.bar += 1
        if row >= 0:
            for asset, weight in zip(context.assets, weights[row], strict=True):
                order_target_percent(asset, weight)

    def run() -> Any:
        return run_algorithm(
            start=index[0],
            end=index[-1],
            initialize=initialize,
            handle_data=handle_data,
            capital_base=CASH,
            bundle=name,
            benchmark_returns=pd.Series(0.0, index=index),
            environ=environ,
        )

    return run


def final_equity(performance: Any) -> float:
    """Return the equity at the last close."""
    return float(performance["portfolio_value"].iloc[-1])


CONTENDERS = [
    Contender("zipline", "zipline-reloaded", order_target, final_equity, agrees=False, slow=True),
]
