"""vectorbt: target percentages in a group that shares its cash, sales before purchases.

Only the simulation is timed: `Portfolio` computes its equity from the order records later.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import vectorbt as vbt
from numba import njit
from vectorbt.portfolio import nb
from vectorbt.portfolio.enums import Direction, SizeType

from benchmarks.contender import Contender, Run
from benchmarks.scenarios import CASH, RATE, Workload


def closes_frame(workload: Workload) -> pd.DataFrame:
    """Return the closes as a pandas frame."""
    index = pd.DatetimeIndex(workload.times.to_numpy())
    return pd.DataFrame(workload.closes, index=index, columns=workload.assets)


def from_orders(workload: Workload, engine: str) -> Run:
    """Pass a matrix of sizes, NaN where there is no order."""
    close = closes_frame(workload)
    sizes = np.full(workload.closes.shape, np.nan)
    sizes[workload.bars] = workload.weights
    size = pd.DataFrame(sizes, index=close.index, columns=close.columns)

    def run() -> Any:
        return vbt.Portfolio.from_orders(
            close,
            size,
            size_type="targetpercent",
            direction="longonly",
            fees=RATE,
            init_cash=CASH,
            cash_sharing=True,
            group_by=True,
            call_seq="auto",
            max_orders=workload.n_orders,
            freq="1D",
            engine=engine,
        )

    return run


def numba_engine(workload: Workload) -> Run:
    """`from_orders`, simulated by the numba engine."""
    return from_orders(workload, "numba")


def rust_engine(workload: Workload) -> Run:
    """`from_orders`, simulated by the rust engine."""
    return from_orders(workload, "rust")


@njit
def _before_segment(c: Any, weights: Any, rows: Any) -> Any:
    """Value the group at this close, and call sales before purchases."""
    for col in range(c.from_col, c.to_col):
        c.last_val_price[col] = c.close[c.i, col]
    value = nb.get_group_value_ctx_nb(c)
    row = rows[c.i]
    first, last = 0, c.group_len - 1
    for k in range(c.group_len):
        col = c.from_col + k
        if weights[row, col] * value < c.last_position[col] * c.last_val_price[col]:
            c.call_seq_now[first] = k
            first += 1
        else:
            c.call_seq_now[last] = k
            last -= 1
    return (row,)


@njit
def _order(c: Any, row: int, weights: Any) -> Any:
    return nb.order_nb(
        size=weights[row, c.col],
        price=c.close[c.i, c.col],
        size_type=SizeType.TargetPercent,
        direction=Direction.LongOnly,
        fees=RATE,
    )


def order_function(workload: Workload) -> Run:
    """Pass an order function, which is called at the bars that decide."""
    close, weights = closes_frame(workload), workload.weights
    mask = (workload.row_of_bar >= 0)[:, None]

    def run() -> Any:
        return vbt.Portfolio.from_order_func(
            close,
            _order,
            weights,
            pre_segment_func_nb=_before_segment,
            pre_segment_args=(weights, workload.row_of_bar),
            segment_mask=mask,
            init_cash=CASH,
            cash_sharing=True,
            group_by=True,
            ffill_val_price=False,
            fill_pos_record=False,
            max_orders=workload.n_orders,
            freq="1D",
        )

    return run


def final_equity(portfolio: Any) -> float:
    """Return the equity at the last close."""
    return float(portfolio.final_value())


CONTENDERS = [
    Contender("vectorbt from_orders, numba", "vectorbt", numba_engine, final_equity),
    Contender("vectorbt from_orders, rust", "vectorbt-rust", rust_engine, final_equity),
    Contender("vectorbt from_order_func", "vectorbt", order_function, final_equity),
]
