"""The audit of a run: a list of small checks, each of which returns what is wrong as data.

After beancount's ``ops/validation.py``. The checks read the frames that a user sees and recompute
them in another way than the kernel does. They assume a cash account: no shorts, no debts.

Here are the checks of the account and its orders; `audit_trades`, `audit_plans` and `audit_ends`
have those of round trips, of rebalances, and of assets that ended.
"""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from ml4t.backtest.enums import ExecutionMode, OrderStatus
from ml4t.backtest.kernel.funding import cash_tolerance
from ml4t.backtest.kernel.quantities import ZERO_QUANTITY
from ml4t.backtest.ledger.audit_ends import check_ends, settles
from ml4t.backtest.ledger.audit_plans import check_plan_orders, check_plan_rows, check_plan_weights
from ml4t.backtest.ledger.audit_trades import check_trades
from ml4t.backtest.ledger.books import MONEY, NOISE, Books, Violation, differ, each

_WORKING = [OrderStatus.PENDING, OrderStatus.PARTIALLY_FILLED, OrderStatus.PENDING_CANCEL]
_REFUSED = [OrderStatus.CANCELLED, OrderStatus.REJECTED]


def check_positions(books: Books) -> list[Violation]:
    """Check that every position is the sum of the fills before it, and that none is missing."""
    held = books.held.select("asset", "timestamp", "held", "noise").sort("timestamp")
    shown = books.positions.sort("timestamp").join_asof(
        held, on="timestamp", by="asset", check_sortedness=False
    )
    shown = shown.with_columns(pl.col("held").fill_null(0.0), pl.col("noise").fill_null(0.0))
    wrong = shown.filter(differ("quantity", "held", pl.col("noise")))
    found = each(wrong, "positions", "the position is not the sum of its fills", "quantity", "held")
    surely = pl.col("held").abs() > pl.col("noise")
    # What is smaller than the noise may be counted as nothing, or as a position.
    lengths = books.held.group_by("asset").agg(
        pl.col("n_bars").filter(surely).sum().alias("least"), pl.col("n_bars").sum().alias("most")
    )
    counts = books.positions.group_by("asset").agg(pl.len().cast(pl.Int64).alias("shown"))
    counted = lengths.join(counts, on="asset", how="left").with_columns(
        pl.col("shown").fill_null(0)
    )
    wrong = counted.filter(~pl.col("shown").is_between("least", "most")).sort("asset")
    found += each(
        wrong, "positions", "the number of closes with a position is not right", "shown", "least"
    )
    twice = books.positions.group_by("asset", "timestamp").len().filter(pl.col("len") > 1)
    return found + each(twice, "positions", "a position is there more than once", "len", 1)


def check_holdings(books: Books) -> list[Violation]:
    """Check that what the account holds at the end is the sum of all fills."""
    if books.holdings is None:
        return []
    last = books.held.group_by("asset", maintain_order=True).last()
    expected = {row["asset"]: (row["held"], row["noise"]) for row in last.iter_rows(named=True)}
    found = []
    for asset in sorted({*expected, *books.holdings}):
        quantity, noise = expected.get(asset, (0.0, ZERO_QUANTITY))
        holding = books.holdings.get(asset, 0.0)
        if not abs(holding - quantity) <= noise:
            message = "what the account holds at the end is not the sum of its fills"
            found.append(Violation("holdings", message, holding, quantity, asset=asset))
    return found


def check_no_shorts(books: Books) -> list[Violation]:
    """Check that nothing negative is held: all accounts are cash accounts."""
    short = books.positions.filter(~(pl.col("quantity") > 0.0))
    return each(
        short, "no_shorts", "a position of a cash account is not above 0", "quantity", "> 0"
    )


def check_cash_flows(books: Books) -> list[Violation]:
    """Check that cash changes from close to close by what fills paid and received."""
    sign = pl.when(pl.col("side") == "buy").then(-1.0).otherwise(1.0)
    value = pl.col("quantity") * pl.col("price")
    flows = books.fills.group_by("timestamp").agg(
        (sign * value - pl.col("commission")).sum().alias("flow"),
        (value.abs() + pl.col("commission").abs()).sum().alias("moved"),
    )
    before = pl.col("cash").shift(1, fill_value=books.config.initial_cash)
    table = books.equity.join(
        flows, on="timestamp", how="left", maintain_order="left"
    ).with_columns(
        expected=before + pl.col("flow").fill_null(0.0),
        noise=MONEY + NOISE * (before.abs() + pl.col("moved").fill_null(0.0)),
    )
    wrong = table.filter(differ("cash", "expected", pl.col("noise")))
    return each(wrong, "cash_flows", "cash did not change by its fills", "cash", "expected")


def check_cash(books: Books) -> list[Violation]:
    """Check that cash is not below zero, but for the tolerance of a purchase."""
    # The tolerance follows the cash before a purchase, of which no more than this is known.
    most = max([books.config.initial_cash, *books.equity["cash"].to_list()])
    least = -cash_tolerance(most) - NOISE
    wrong = books.equity.filter(~(pl.col("cash") >= least))
    return each(wrong, "cash", "cash is below zero", "cash", f">= {least:.3g}")


def check_equity(books: Books) -> list[Violation]:
    """Check that equity is cash and the marked value of what is held."""
    worth = books.positions.group_by("timestamp").agg(
        pl.col("market_value").sum().alias("worth"),
        pl.col("market_value").abs().sum().alias("gross"),
    )
    joined = books.equity.join(worth, on="timestamp", how="left", maintain_order="left")
    table = joined.with_columns(
        expected=pl.col("cash") + pl.col("worth").fill_null(0.0),
        noise=MONEY + NOISE * (pl.col("cash").abs() + pl.col("gross").fill_null(0.0)),
    )
    wrong = table.filter(differ("equity", "expected", pl.col("noise")))
    return each(wrong, "equity", "equity is not cash and marks", "equity", "expected")


def check_order_states(books: Books) -> list[Violation]:
    """Check that an order is there once and works, has filled, or has ended for a reason."""
    orders, name = books.orders, "order_states"
    twice = orders.group_by("order_id").len().filter(pl.col("len") > 1).sort("order_id")
    found = each(twice, name, "an order is there more than once", "len", 1)
    known = [str(status) for status in OrderStatus]
    unknown = orders.filter(~pl.col("status").is_in(known))
    found += each(unknown, name, "the status is unknown", "status", "an OrderStatus")
    works = pl.col("status").is_in([str(status) for status in _WORKING])
    ended = pl.col("status").is_in([str(status) for status in _REFUSED])
    unexplained = orders.filter(ended & pl.col("reason").is_null())
    found += each(unexplained, name, "an order ended without a reason", "reason", "a reason")
    explained = orders.filter(~ended & ~settles() & pl.col("reason").is_not_null())
    message = "an order that works or has filled has a reason to have ended"
    found += each(explained, name, message, "reason", None)
    # An order that is done has an end, unless that was before the first bar.
    endless = orders.filter(
        ~works & pl.col("finished_at").is_null() & pl.col("created_at").is_not_null()
    )
    found += each(endless, name, "an order that is done has no end", "finished_at", "a time")
    open_end = orders.filter(works & pl.col("finished_at").is_not_null())
    return found + each(open_end, name, "an order that works has ended", "finished_at", None)


def check_filled_quantities(books: Books) -> list[Violation]:
    """Check that an order filled what its fills add up to, and never more than was ordered."""
    name = "filled_quantities"
    sums = books.fills.group_by("order_id").agg(pl.col("quantity").sum().alias("sum"))
    noise = ZERO_QUANTITY + NOISE * pl.col("quantity").abs()
    orders = books.orders.join(sums, on="order_id", how="left", maintain_order="left").with_columns(
        pl.col("sum").fill_null(0.0)
    )
    wrong = orders.filter(differ("filled_quantity", "sum", noise))
    message = "what an order has filled is not the sum of its fills"
    found = each(wrong, name, message, "filled_quantity", "sum")
    above = orders.filter(~(pl.col("filled_quantity") <= pl.col("quantity") + noise))
    message = "an order has filled more than was ordered"
    found += each(above, name, message, "filled_quantity", "quantity")
    is_filled = pl.col("status") == str(OrderStatus.FILLED)
    short = orders.filter(is_filled & differ("filled_quantity", "quantity", noise))
    message = "a filled order has not filled what was ordered"
    return found + each(short, name, message, "filled_quantity", "quantity")


def check_fills(books: Books) -> list[Violation]:
    """Check that a fill is of its order's asset and side, and that its numbers have a sign."""
    name = "fills"
    shared = ("asset", "side", "plan_idx")
    of_order = books.orders.select(
        "order_id", *(pl.col(field).alias(f"of_{field}") for field in shared)
    )
    fills = books.fills.join(of_order, on="order_id", how="left", maintain_order="left")
    orphans = fills.filter(pl.col("of_asset").is_null())
    found = each(orphans, name, "a fill has no order", "order_id", "an order")
    for field in shared:
        wrong = fills.filter(pl.col(field) != pl.col(f"of_{field}"))
        found += each(
            wrong, name, f"a fill has another {field} than its order", field, f"of_{field}"
        )
    wrong = fills.filter(~((pl.col("quantity") > 0.0) & pl.col("quantity").is_finite()))
    found += each(wrong, name, "the quantity of a fill is not above 0", "quantity", "> 0")
    # A fixed slippage above the price leaves a sale with nothing.
    wrong = fills.filter(~((pl.col("price") >= 0.0) & pl.col("price").is_finite()))
    found += each(wrong, name, "the price of a fill is below 0", "price", ">= 0")
    for field in ("commission", "slippage"):
        wrong = fills.filter(~((pl.col(field) >= 0.0) & pl.col(field).is_finite()))
        found += each(wrong, name, f"the {field} of a fill is negative", field, ">= 0")
    return found


def check_fill_times(books: Books) -> list[Violation]:
    """Check that a fill lies at a bar, after its order was sent and not after its end."""
    name = "fill_times"
    nowhere = books.fills.join(books.equity, on="timestamp", how="anti")
    found = each(nowhere, name, "a fill lies at no bar", "timestamp", "a bar")
    of_order = books.orders.select(
        "order_id", "created_at", "finished_at", settles().alias("settles")
    )
    fills = books.fills.join(of_order, on="order_id", how="left", maintain_order="left")
    time, created = pl.col("timestamp"), pl.col("created_at")
    at_close = books.config.execution_mode is ExecutionMode.SAME_BAR
    is_early = pl.when(pl.col("settles")).then(time != created)
    early = fills.filter(is_early.otherwise(time < created if at_close else time <= created))
    rule = "at or after" if at_close else "after"
    message = f"a fill is not {rule} the creation of its order"
    found += each(early, name, message, "timestamp", "created_at")
    late = fills.filter(time > pl.col("finished_at"))
    return found + each(
        late, name, "a fill is after the end of its order", "timestamp", "finished_at"
    )


CHECKS: tuple[Callable[[Books], list[Violation]], ...] = (
    check_positions,
    check_holdings,
    check_no_shorts,
    check_cash_flows,
    check_cash,
    check_equity,
    check_order_states,
    check_filled_quantities,
    check_fills,
    check_fill_times,
    check_trades,
    check_plan_orders,
    check_plan_rows,
    check_plan_weights,
    check_ends,
)


def audit_books(books: Books) -> list[Violation]:
    """Return what every check finds, in the order of `CHECKS`."""
    return [violation for check in CHECKS for violation in check(books)]
