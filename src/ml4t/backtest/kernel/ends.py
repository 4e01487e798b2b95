"""The end of an asset: what becomes of its orders and of what is held of it."""

from __future__ import annotations

import math

from ml4t.backtest.enums import CostKind, Delisting, OrderStatus, Reason
from ml4t.backtest.kernel.book import clear_finished, write_order
from ml4t.backtest.kernel.fills import fill, finish
from ml4t.backtest.kernel.jit import kernel
from ml4t.backtest.records import CostParams, Floats, Ints, Records

HOLD = Delisting.HOLD.code
WRITE_OFF = Delisting.WRITE_OFF.code
CANCELLED = OrderStatus.CANCELLED.code
DELISTED = Reason.DELISTED.code
NO_PLAN = -1
CONTINUOUS = 0

# A settlement is no trade: nobody is left to trade with.
FREE = CostParams(CostKind.NONE.code, 0.0, 0.0, math.inf, CostKind.NONE.code, 0.0)


@kernel
def end_assets(
    bar: int,
    gone_from: Ints,
    mark: Floats,
    policy: int,
    book: Records,
    account: Records,
    holdings: Records,
    done: Records,
    n_done: Ints,
    fills: Records,
    n_fills: Ints,
    ends: Records,
    n_ends: Ints,
) -> None:
    """Cancel the orders of the assets that are gone from this bar on, and settle what is held.

    Parameters
    ----------
    bar : int
        Number of the bar.
    gone_from : (n_assets,) array
        The first bar at which an asset is known to be gone.
    mark : (n_assets,) array
        Last marks; NaN where there never was one: such an asset is not settled.
    policy : int
        Code of `Delisting`.
    book, account, holdings
        The state of the account; changed. The book has room for an order of each asset.
    done, fills, ends : records with room for a row per working order and per asset; appended to.
    n_done, n_fills, n_ends : (1,) arrays: rows used in the three tables; changed.
    """
    n_working = account[0]["n_working"]
    n_settled = 0
    for i in range(gone_from.size):
        if gone_from[i] != bar:
            continue
        for k in range(n_working):
            if book[k]["asset"] == i:
                finish(book[k], CANCELLED, DELISTED, bar)
        held = holdings[i]["quantity"]
        end = ends[n_ends[0]]
        end["asset"] = i
        end["bar"] = bar
        end["quantity"] = held
        end["value"] = held * mark[i] if held != 0.0 else 0.0
        n_ends[0] += 1
        if held == 0.0 or policy == HOLD or math.isnan(mark[i]):
            continue
        order = book[n_working + n_settled]
        n_settled += 1
        write_order(order, account[0]["next_order_id"], i, -held, CONTINUOUS, NO_PLAN, bar)
        account[0]["next_order_id"] += 1
        price = 0.0 if policy == WRITE_OFF else mark[i]
        fill(order, -held, price, bar, account[0], holdings[i], fills[n_fills[0]], FREE)
        n_fills[0] += 1
        order["reason"] = DELISTED
    account[0]["n_working"] = n_working + n_settled
    clear_finished(book, account, done, n_done)
