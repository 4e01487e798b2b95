"""The audit of rebalances: a plan's rows against the orders it sent, and against each other.

The settings of a plan are not in the books, since an executor may have its own. So these checks
know no limit by its number: they hold a row to what it itself says of the limits.
"""

from __future__ import annotations

import polars as pl

from ml4t.backtest.enums import Adjustment, Reason
from ml4t.backtest.kernel.quantities import ZERO_QUANTITY
from ml4t.backtest.ledger.books import MONEY, NOISE, Books, Violation, differ, each

_REASONS = (
    Reason.ORDERED,
    Reason.AT_TARGET,
    Reason.WEIGHT_CHANGE_TOO_SMALL,
    Reason.TRADE_VALUE_TOO_SMALL,
    Reason.ROUNDS_TO_ZERO_SHARES,
    Reason.COST_TOO_HIGH,
    Reason.AWAITING_CANCEL,
    Reason.CANCELLED_ONLY,
    Reason.NO_PRICE,
    Reason.NO_EQUITY,
    Reason.HELD,
)
#: Weights, as fractions of equity, that differ by less than this are the same.
_WEIGHT = 1e-9


def check_plan_orders(books: Books) -> list[Violation]:
    """Check that a plan sent the orders that its rows say, when it was made, and no others."""
    name, place = "plan_orders", ["plan_idx", "asset"]
    rows = books.rebalances.filter(_is_ordered()).select(
        *place, "timestamp", pl.col("quantity").alias("planned")
    )
    orders = books.orders.filter(pl.col("plan_idx") >= 0)
    strays = orders.join(rows, on=place, how="anti", maintain_order="left")
    found = each(strays, name, "an order is in no row of its plan", "plan_idx", "a row: ordered")
    unsent = rows.join(orders, on=place, how="anti", maintain_order="left")
    found += each(unsent, name, "a row is ordered and has no order", "planned", "an order")
    twice = orders.group_by(place, maintain_order=True).len().filter(pl.col("len") > 1)
    found += each(twice, name, "a plan has two orders of an asset", "len", 1)
    is_buy = pl.col("side") == "buy"
    both = orders.join(rows, on=place, maintain_order="left").with_columns(
        signed=pl.when(is_buy).then(pl.col("quantity")).otherwise(-pl.col("quantity"))
    )
    noise = ZERO_QUANTITY + NOISE * pl.col("planned").abs()
    wrong = both.filter(differ("signed", "planned", noise))
    message = "the quantity of an order is not that of its row"
    found += each(wrong, name, message, "signed", "planned")
    late = both.filter(pl.col("created_at").ne_missing(pl.col("timestamp")))
    message = "an order was not created when its plan was made"
    return found + each(late, name, message, "created_at", "timestamp")


def check_plan_rows(books: Books) -> list[Violation]:
    """Check that an asset has one row in a plan, a known reason, and the value of its trade."""
    rows, name = books.rebalances, "plan_rows"
    twice = rows.group_by("plan_idx", "asset", maintain_order=True).len().filter(pl.col("len") > 1)
    found = each(twice, name, "a plan has two rows of an asset", "len", 1)
    unknown = rows.filter(~pl.col("reason").is_in([str(reason) for reason in _REASONS]))
    found += each(unknown, name, "the reason is unknown", "reason", "the reason of a row")
    idle = rows.filter(_is_ordered() & ~(pl.col("quantity").abs() > 0.0))
    found += each(idle, name, "a row is ordered and has no quantity", "quantity", "a quantity")
    for field in ("quantity", "value"):
        wrong = rows.filter(~_is_ordered() & (pl.col(field) != 0.0))
        found += each(wrong, name, f"a row that is not ordered has a {field}", field, 0.0)
    trades = rows.filter(_is_ordered()).with_columns(
        worth=pl.col("quantity") * pl.col("price"),
    )
    noise = MONEY + NOISE * pl.col("worth").abs()
    wrong = trades.filter(differ("value", "worth", noise))
    return found + each(wrong, name, "the value is not quantity times price", "value", "worth")


def check_plan_weights(books: Books) -> list[Violation]:
    """Check that a target weight is the requested one but for the adjustments that are named."""
    name = "plan_weights"
    target, requested = pl.col("target_weight"), pl.col("requested_weight")
    adjusted = pl.col("adjustments")
    is_short, is_capped, is_scaled = (
        adjusted.str.contains(str(a), literal=True) for a in Adjustment
    )
    # A plan without equity has no weights at all, and an asset that is held back none of its own.
    is_none = target.is_nan() & (
        (pl.col("reason") == str(Reason.HELD)) | target.is_nan().all().over("plan_idx")
    )
    # What is not in the targets is to be closed, as with a weight of 0.
    rows = books.rebalances.filter(~is_none).with_columns(requested.fill_nan(0.0))
    plain = rows.filter(
        (adjusted == "") & differ("target_weight", "requested_weight", pl.lit(_WEIGHT))
    )
    message = "the target weight is not the requested one, and no adjustment says why"
    found = each(plain, name, message, "target_weight", "requested_weight")
    wrong = rows.filter(is_short & ~((requested < 0.0) & (target == 0.0)))
    message = "a weight that is not below 0, or was kept, is called a forbidden short"
    found += each(wrong, name, message, "target_weight", 0.0)
    is_less = (target * requested >= 0.0) & (target.abs() <= requested.abs())
    wrong = rows.filter((is_capped | is_scaled) & ~is_less)
    message = "a weight that was capped or scaled is not nearer to 0"
    found += each(wrong, name, message, "target_weight", "requested_weight")

    traded = rows.filter(target != 0.0)
    some = traded.filter(is_scaled.any().over("plan_idx") & ~is_scaled)
    message = "a weight is not scaled in a plan that scales"
    found += each(some, name, message, "adjustments", str(Adjustment.SCALED))
    # Weights of almost nothing have no digits left to compare.
    clear = traded.filter(requested.abs() > _WEIGHT)
    kept = clear.filter(is_scaled & ~is_capped).with_columns(factor=target / requested)
    found += _uneven(kept, name, "the weights of a plan are not scaled alike", "factor")
    capped = clear.filter(is_capped).with_columns(cap=target.abs())
    return found + _uneven(capped, name, "the weights of a plan are not capped alike", "cap")


def _is_ordered() -> pl.Expr:
    return pl.col("reason") == str(Reason.ORDERED)


def _uneven(rows: pl.DataFrame, name: str, message: str, field: str) -> list[Violation]:
    """Return a violation for each plan whose rows do not have one value in common."""
    spread = rows.group_by("plan_idx", "timestamp", maintain_order=True).agg(
        pl.col(field).min().alias("least"), pl.col(field).max().alias("most")
    )
    wrong = spread.filter(differ("most", "least", NOISE * pl.col("most").abs()))
    return each(wrong, name, message, "most", "least")
