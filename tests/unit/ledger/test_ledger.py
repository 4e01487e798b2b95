"""The ledger's book of working orders, and its assets."""

from __future__ import annotations

import numpy as np
import pytest

from ml4t.backtest.errors import OrderError
from ml4t.backtest.kernel import book, fills
from ml4t.backtest.ledger.ledger import Ledger
from ml4t.backtest.records import FILL, PLANNED_ORDER


def ledger_with(*orders: tuple[str, float]) -> Ledger:
    """A ledger of B and D with 100 in cash and these working orders (asset, signed quantity)."""
    ledger = Ledger(("B", "D"), 100.0, [])
    planned = np.zeros(len(orders), PLANNED_ORDER)
    for k, (asset, quantity) in enumerate(orders):
        planned[k] = (quantity, ledger.index[asset], 1)
    book.accept_orders(planned, -1, 0, ledger.book_with_room(planned.size), ledger.account)
    return ledger


def finish(ledger: Ledger, *rows: int) -> None:
    """Cancel orders by their row in the book."""
    for row in rows:
        fills.finish(ledger.book[row], 4, 0, 1)
    book.clear_finished(ledger.book, ledger.account, ledger.done.room(len(rows)), ledger.done.used)


def test_a_new_ledger() -> None:
    ledger = Ledger(("A", "B"), 50.0, [])
    assert (ledger.cash, ledger.n_working) == (50.0, 0)
    assert ledger.index == {"A": 0, "B": 1}
    assert ledger.holdings["quantity"].tolist() == [0.0, 0.0]
    assert np.isnan(ledger.holdings["entry_price"]).all()
    assert ledger.all_orders().size == 0


def test_working_orders_are_found_by_id() -> None:
    ledger = ledger_with(("B", 1.0), ("D", -2.0), ("B", 3.0))
    finish(ledger, 1)
    assert ledger.n_working == 2
    assert ledger.working["order_id"].tolist() == [0, 2]
    assert [ledger.book_row(k) for k in range(4)] == [0, None, 1, None]
    assert [ledger.order_record(k)["quantity"] for k in range(3)] == [1.0, 2.0, 3.0]
    with pytest.raises(OrderError, match="order 3 is unknown; 3 orders were submitted"):
        ledger.order_record(3)


def test_orders_that_are_done_later_are_found_too() -> None:
    ledger = ledger_with(*[("B", float(k + 1)) for k in range(6)])
    finish(ledger, 4)
    assert ledger.order_record(4)["quantity"] == 5.0
    finish(ledger, 0, 1)
    assert [ledger.order_record(k)["quantity"] for k in range(6)] == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert ledger.all_orders()["order_id"].tolist() == [0, 1, 2, 3, 4, 5]
    assert ledger.all_orders()["status"].tolist() == [4, 4, 0, 0, 4, 0]


def test_the_book_grows() -> None:
    ledger = ledger_with(("B", 1.0), ("D", 2.0))
    before = ledger.working.copy()
    book = ledger.book_with_room(1_000)
    assert book.size >= 1_002
    assert book is ledger.book
    assert ledger.book_with_room(1_000) is book
    assert ledger.working.tobytes() == before.tobytes()


def test_new_assets_move_the_indices() -> None:
    ledger = ledger_with(("B", 1.0), ("D", 2.0), ("D", 3.0))
    finish(ledger, 1)
    ledger.holdings["quantity"] = [10.0, 20.0]
    ledger.volume_used["quantity"] = [1.0, 2.0]
    ledger.volume_used["bar"] = [5, 6]
    fills = np.zeros(2, FILL)
    fills["asset"] = [1, 0]
    ledger.fills.append(fills)
    ledger.add_assets(["C", "A", "B"])
    assert ledger.assets == ("A", "B", "C", "D")
    assert ledger.index == {"A": 0, "B": 1, "C": 2, "D": 3}
    assert ledger.holdings["quantity"].tolist() == [0.0, 10.0, 0.0, 20.0]
    assert ledger.volume_used.tolist() == [(0.0, -1), (1.0, 5), (0.0, -1), (2.0, 6)]
    assert ledger.multiplier.tolist() == [1.0] * 4
    assert [ledger.assets[i] for i in ledger.all_orders()["asset"]] == ["B", "D", "D"]
    assert [ledger.assets[i] for i in ledger.fills.records()["asset"]] == ["D", "B"]
