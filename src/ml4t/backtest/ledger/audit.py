"""The audit of a run: a list of small checks, each of which returns what is wrong as data.

After beancount's ``ops/validation.py``. The checks read the frames that a user sees and recompute
them in another way than the kernel does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import polars as pl

from ml4t.backtest.config import BacktestConfig
from ml4t.backtest.enums import ExecutionMode, OrderStatus
from ml4t.backtest.kernel.funding import cash_tolerance
from ml4t.backtest.kernel.quantities import ZERO_QUANTITY

#: Float noise in a sum, as a fraction of what was added up.
_NOISE = 1e-9
_MONEY = 1e-6
_WORKING = [OrderStatus.PENDING, OrderStatus.PARTIALLY_FILLED, OrderStatus.PENDING_CANCEL]
_REFUSED = [OrderStatus.CANCELLED, OrderStatus.REJECTED]


@dataclass(frozen=True)
class Violation:
    """Something in the books that cannot be.

    Attributes
    ----------
    check : str
        Name of the check that found it.
    message : str
    found, expected : object
        The value in the table, and what it had to be (a value or a rule in words).
    asset, order_id, timestamp : optional
        Where; None where it belongs to none.
    """

    check: str
    message: str
    found: object
    expected: object
    asset: str | None = None
    order_id: int | None = None
    timestamp: datetime | None = None


@dataclass(frozen=True)
class Books:
    """What is audited: the frames of a result (see `BacktestResult`) and its config.

    `holdings` is what the account itself held at the end, by asset; None where nobody knows.
    """

    config: BacktestConfig
    equity: pl.DataFrame
    orders: pl.DataFrame
    fills: pl.DataFrame
    positions: pl.DataFrame
    holdings: Mapping[str, float] | None = None

    @cached_property
    def held(self) -> pl.DataFrame:
        """The positions that the fills add up to: a row for each asset and bar with a fill.

        `held` is what is held from this bar on, `noise` how far off a sum of that many floats may
        be, `n_bars` for how many closes it is held.
        """
        signed = pl.col("quantity") * pl.when(pl.col("side") == "buy").then(1.0).otherwise(-1.0)
        bars = self.equity.select("timestamp").with_row_index("bar")
        return (
            self.fills.group_by("asset", "timestamp")
            .agg(signed.sum().alias("change"), pl.col("quantity").sum().alias("moved"))
            .join(bars, on="timestamp")
            .sort("asset", "bar")
            .with_columns(
                pl.col("change").cum_sum().over("asset").alias("held"),
                (ZERO_QUANTITY + _NOISE * pl.col("moved").cum_sum().over("asset")).alias("noise"),
                pl.col("bar").shift(-1, fill_value=None).over("asset").alias("next"),
            )
            .with_columns(
                n_bars=pl.col("next").fill_null(bars.height).cast(pl.Int64)
                - pl.col("bar").cast(pl.Int64)
            )
        )


def check_positions(books: Books) -> list[Violation]:
    """Check that every position is the sum of the fills before it, and that none is missing."""
    held = books.held.select("asset", "timestamp", "held", "noise").sort("timestamp")
    shown = books.positions.sort("timestamp").join_asof(
        held, on="timestamp", by="asset", check_sortedness=False
    )
    shown = shown.with_columns(pl.col("held").fill_null(0.0), pl.col("noise").fill_null(0.0))
    wrong = shown.filter(_differ("quantity", "held", pl.col("noise")))
    found = _each(
        wrong, "positions", "the position is not the sum of its fills", "quantity", "held"
    )
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
    found += _each(
        wrong, "positions", "the number of closes with a position is not right", "shown", "least"
    )
    twice = books.positions.group_by("asset", "timestamp").len().filter(pl.col("len") > 1)
    return found + _each(twice, "positions", "a position is there more than once", "len", 1)


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
    return _each(
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
        noise=_MONEY + _NOISE * (before.abs() + pl.col("moved").fill_null(0.0)),
    )
    wrong = table.filter(_differ("cash", "expected", pl.col("noise")))
    return _each(wrong, "cash_flows", "cash did not change by its fills", "cash", "expected")


def check_cash(books: Books) -> list[Violation]:
    """Check that cash is not below zero, but for the tolerance of a purchase."""
    # The tolerance follows the cash before a purchase, of which no more than this is known.
    most = max([books.config.initial_cash, *books.equity["cash"].to_list()])
    least = -cash_tolerance(most) - _NOISE
    wrong = books.equity.filter(~(pl.col("cash") >= least))
    return _each(wrong, "cash", "cash is below zero", "cash", f">= {least:.3g}")


def check_equity(books: Books) -> list[Violation]:
    """Check that equity is cash and the marked value of what is held."""
    worth = books.positions.group_by("timestamp").agg(
        pl.col("market_value").sum().alias("worth"),
        pl.col("market_value").abs().sum().alias("gross"),
    )
    joined = books.equity.join(worth, on="timestamp", how="left", maintain_order="left")
    table = joined.with_columns(
        expected=pl.col("cash") + pl.col("worth").fill_null(0.0),
        noise=_MONEY + _NOISE * (pl.col("cash").abs() + pl.col("gross").fill_null(0.0)),
    )
    wrong = table.filter(_differ("equity", "expected", pl.col("noise")))
    return _each(wrong, "equity", "equity is not cash and marks", "equity", "expected")


def check_order_states(books: Books) -> list[Violation]:
    """Check that an order is there once and works, has filled, or has ended for a reason."""
    orders, name = books.orders, "order_states"
    twice = orders.group_by("order_id").len().filter(pl.col("len") > 1).sort("order_id")
    found = _each(twice, name, "an order is there more than once", "len", 1)
    known = [str(status) for status in OrderStatus]
    unknown = orders.filter(~pl.col("status").is_in(known))
    found += _each(unknown, name, "the status is unknown", "status", "an OrderStatus")
    works = pl.col("status").is_in([str(status) for status in _WORKING])
    ended = pl.col("status").is_in([str(status) for status in _REFUSED])
    unexplained = orders.filter(ended & pl.col("reason").is_null())
    found += _each(unexplained, name, "an order ended without a reason", "reason", "a reason")
    explained = orders.filter(~ended & pl.col("reason").is_not_null())
    message = "an order that works or has filled has a reason to have ended"
    found += _each(explained, name, message, "reason", None)
    # An order that is done has an end, unless that was before the first bar.
    endless = orders.filter(
        ~works & pl.col("finished_at").is_null() & pl.col("created_at").is_not_null()
    )
    found += _each(endless, name, "an order that is done has no end", "finished_at", "a time")
    open_end = orders.filter(works & pl.col("finished_at").is_not_null())
    return found + _each(open_end, name, "an order that works has ended", "finished_at", None)


def check_filled_quantities(books: Books) -> list[Violation]:
    """Check that an order filled what its fills add up to, and never more than was ordered."""
    name = "filled_quantities"
    sums = books.fills.group_by("order_id").agg(pl.col("quantity").sum().alias("sum"))
    noise = ZERO_QUANTITY + _NOISE * pl.col("quantity").abs()
    orders = books.orders.join(sums, on="order_id", how="left", maintain_order="left").with_columns(
        pl.col("sum").fill_null(0.0)
    )
    wrong = orders.filter(_differ("filled_quantity", "sum", noise))
    message = "what an order has filled is not the sum of its fills"
    found = _each(wrong, name, message, "filled_quantity", "sum")
    above = orders.filter(~(pl.col("filled_quantity") <= pl.col("quantity") + noise))
    message = "an order has filled more than was ordered"
    found += _each(above, name, message, "filled_quantity", "quantity")
    is_filled = pl.col("status") == str(OrderStatus.FILLED)
    short = orders.filter(is_filled & _differ("filled_quantity", "quantity", noise))
    message = "a filled order has not filled what was ordered"
    return found + _each(short, name, message, "filled_quantity", "quantity")


def check_fills(books: Books) -> list[Violation]:
    """Check that a fill is of its order's asset and side, and that its numbers have a sign."""
    name = "fills"
    of_order = books.orders.select(
        "order_id", pl.col("asset").alias("of_asset"), pl.col("side").alias("of_side")
    )
    fills = books.fills.join(of_order, on="order_id", how="left", maintain_order="left")
    orphans = fills.filter(pl.col("of_asset").is_null())
    found = _each(orphans, name, "a fill has no order", "order_id", "an order")
    for field in ("asset", "side"):
        wrong = fills.filter(pl.col(field) != pl.col(f"of_{field}"))
        found += _each(
            wrong, name, f"a fill has another {field} than its order", field, f"of_{field}"
        )
    wrong = fills.filter(~((pl.col("quantity") > 0.0) & pl.col("quantity").is_finite()))
    found += _each(wrong, name, "the quantity of a fill is not above 0", "quantity", "> 0")
    # A fixed slippage above the price leaves a sale with nothing.
    wrong = fills.filter(~((pl.col("price") >= 0.0) & pl.col("price").is_finite()))
    found += _each(wrong, name, "the price of a fill is below 0", "price", ">= 0")
    for field in ("commission", "slippage"):
        wrong = fills.filter(~((pl.col(field) >= 0.0) & pl.col(field).is_finite()))
        found += _each(wrong, name, f"the {field} of a fill is negative", field, ">= 0")
    return found


def check_fill_times(books: Books) -> list[Violation]:
    """Check that a fill lies at a bar, after its order was sent and not after its end."""
    name = "fill_times"
    nowhere = books.fills.join(books.equity, on="timestamp", how="anti")
    found = _each(nowhere, name, "a fill lies at no bar", "timestamp", "a bar")
    of_order = books.orders.select("order_id", "created_at", "finished_at")
    fills = books.fills.join(of_order, on="order_id", how="left", maintain_order="left")
    time, created = pl.col("timestamp"), pl.col("created_at")
    at_close = books.config.execution_mode is ExecutionMode.SAME_BAR
    early = fills.filter(time < created if at_close else time <= created)
    rule = "at or after" if at_close else "after"
    message = f"a fill is not {rule} the creation of its order"
    found += _each(early, name, message, "timestamp", "created_at")
    late = fills.filter(time > pl.col("finished_at"))
    return found + _each(
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
)


def audit_books(books: Books) -> list[Violation]:
    """Return what every check finds, in the order of `CHECKS`."""
    return [violation for check in CHECKS for violation in check(books)]


def _differ(found: str, expected: str, noise: pl.Expr) -> pl.Expr:
    """Whether two columns differ by more than noise; NaN and null differ from everything."""
    is_near = (pl.col(found) - pl.col(expected)).abs() <= noise
    # To polars NaN is larger than every number, so it must not be the noise.
    return ~(is_near & noise.is_finite()).fill_null(False)


def _each(
    rows: pl.DataFrame, check: str, message: str, found: str, expected: Any
) -> list[Violation]:
    """Return a violation for each row; `expected` is the name of a column, or the value itself."""
    is_column = isinstance(expected, str) and expected in rows.columns
    return [
        Violation(
            check=check,
            message=message,
            found=row[found],
            expected=row[expected] if is_column else expected,
            asset=row.get("asset"),
            order_id=row.get("order_id"),
            timestamp=row.get("timestamp"),
        )
        for row in rows.iter_rows(named=True)
    ]
