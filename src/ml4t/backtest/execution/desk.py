"""The order desk: what goes into the book of working orders, and what is taken out."""

from __future__ import annotations

import math
import numbers
from typing import TypeGuard

import numpy as np

from ml4t.backtest.enums import OrderType, Reason
from ml4t.backtest.errors import OrderError, listed, shown
from ml4t.backtest.execution.plan import RebalancePlan
from ml4t.backtest.feed.market import Market
from ml4t.backtest.kernel import book
from ml4t.backtest.ledger.ledger import Ledger
from ml4t.backtest.records import PLANNED_ORDER, Ints, Records
from ml4t.backtest.types import Order, Orders

#: The number of no plan, for orders that nobody planned.
NO_PLAN = -1


class OrderDesk:
    """Accepts and cancels checked orders and plans.

    Parameters
    ----------
    ledger : Ledger
        Whose book is written.
    market : Market
        Whose present bar stamps what happens.
    """

    def __init__(self, ledger: Ledger, market: Market) -> None:
        self._ledger = ledger
        self._market = market

    def submit(
        self,
        column: int,
        quantity: float,
        kind: OrderType,
        limit_price: float,
        stop_price: float,
        reduce_only: bool,
    ) -> Order:
        """Put one order into the book.

        `column` is the index of the asset, `quantity` signed, a price NaN where the type has none.
        """
        planned = np.zeros(1, PLANNED_ORDER)
        planned["asset"] = column
        planned["quantity"] = quantity
        planned["step"] = 1 if quantity == math.floor(quantity) else 0
        order = self._accept(planned, NO_PLAN)[0]
        record = self._ledger.working[-1]
        record["type"] = kind.code
        record["limit_price"] = limit_price
        record["stop_price"] = stop_price
        record["reduce_only"] = reduce_only
        return order

    def cancel(self, order_id: object, reason: Reason) -> bool:
        """Take a working order out of the book; False if there is none of this id."""
        row = self._row(order_id)
        if row is None:
            return False
        self._cancel_rows([row], reason)
        return True

    def order(self, order_id: object) -> Order:
        """Return an order by its id; raises `ValueError` for an unknown one."""
        if not _is_order_id(order_id):
            submitted = self._ledger.n_submitted
            raise OrderError(
                f"order {shown(order_id)} is unknown; {submitted} orders were submitted so far, "
                "numbered from 0"
            )
        self._ledger.order_record(int(order_id))
        return Order(self._ledger, order_id)

    def check(self, plan: RebalancePlan) -> None:
        """Raise `ValueError` if an order that a plan cancels does not work any more."""
        plan.check_cancels()
        stale = [order_id for order_id in plan.cancels if self._row(order_id) is None]
        if stale:
            raise OrderError(
                f"plan: orders {listed(stale)} that it cancels do not work any more; "
                "make a new plan from the account as it is now"
            )

    def apply(self, plan: RebalancePlan, plan_idx: int, reason: Reason) -> Orders:
        """Cancel and submit what a checked plan says; the ledger knows all its assets."""
        planned = plan.order_records
        columns = self._columns_of(plan)
        if columns is not None:
            planned = planned.copy()
            planned["asset"] = columns[planned["asset"]]
        if plan.cancels:
            found = (self._row(order_id) for order_id in plan.cancels)
            self._cancel_rows([row for row in found if row is not None], reason)
        return self._accept(planned, plan_idx)

    def record(self, plan: RebalancePlan) -> None:
        """Keep the rows of a plan that was applied, under the next number."""
        ledger = self._ledger
        rows = ledger.plan_rows.append(plan.row_records)
        columns = self._columns_of(plan)
        if columns is not None:
            rows["asset"] = columns[rows["asset"]]
        book.record_plan(
            rows,
            plan.totals,
            self._market.bar,
            ledger.account,
            ledger.plans.room(1),
            ledger.plans.used,
        )

    def _accept(self, planned: Records, plan_idx: int) -> Orders:
        ledger = self._ledger
        first = ledger.n_submitted
        room = ledger.book_with_room(planned.size)
        book.accept_orders(planned, plan_idx, self._market.bar, room, ledger.account)
        return Orders(ledger, range(first, first + planned.size))

    def _cancel_rows(self, rows: list[int], reason: Reason) -> None:
        ledger = self._ledger
        book.cancel_orders(
            np.array(rows, np.int64),
            reason.code,
            self._market.bar,
            ledger.book,
            ledger.account,
            ledger.done.room(len(rows)),
            ledger.done.used,
        )

    def _row(self, order_id: object) -> int | None:
        return self._ledger.book_row(int(order_id)) if _is_order_id(order_id) else None

    def _columns_of(self, plan: RebalancePlan) -> Ints | None:
        """Return the ledger's indices of a plan's assets, None where they are the same."""
        names = plan.inputs.assets
        if names is self._ledger.assets:
            return None
        return np.array([self._ledger.index[name] for name in names], np.int64)


def _is_order_id(order_id: object) -> TypeGuard[int]:
    return isinstance(order_id, numbers.Integral) and not isinstance(order_id, bool)
