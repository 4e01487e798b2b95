"""The audit of assets that ended: what was held of them, and how it was settled."""

from __future__ import annotations

import polars as pl

from ml4t.backtest.enums import Delisting, OrderStatus, Reason
from ml4t.backtest.kernel.quantities import ZERO_QUANTITY
from ml4t.backtest.ledger.books import MONEY, NOISE, Books, Violation, differ, each


def settles() -> pl.Expr:
    """Whether an order settles a position: it is filled, and its asset has ended."""
    is_filled = pl.col("status") == str(OrderStatus.FILLED)
    return is_filled & pl.col("reason").eq_missing(str(Reason.DELISTED))


def check_ends(books: Books) -> list[Violation]:
    """Check that an end shows what was held before, and is settled as the config says.

    A position that is settled is sold whole at the end of its asset, by an order of its own that
    is filled when it is made: at the last mark or, written off, for nothing. It costs nothing.
    """
    name, place = "ends", ["asset", "timestamp"]
    twice = books.ends.group_by("asset", maintain_order=True).len().filter(pl.col("len") > 1)
    found = each(twice, name, "an asset has ended more than once", "len", 1)
    before = books.equity.select("timestamp", pl.col("timestamp").shift(1).alias("close"))
    held = books.positions.select(
        "asset",
        pl.col("timestamp").alias("close"),
        pl.col("quantity").alias("held"),
        pl.col("market_value").alias("worth"),
    )
    ends = (
        books.ends.join(before, on="timestamp", how="left", maintain_order="left")
        .join(held, on=["asset", "close"], how="left", maintain_order="left")
        .with_columns(pl.col("held", "worth").fill_null(0.0))
    )
    for field, expected, least in (
        ("quantity", "held", ZERO_QUANTITY),
        ("market_value", "worth", MONEY),
    ):
        wrong = ends.filter(differ(field, expected, least + NOISE * pl.col(expected).abs()))
        message = f"the {field} at an end is not that of the close before"
        found += each(wrong, name, message, field, expected)

    policy = Delisting(books.config.delisting)
    settled = books.fills.join(
        books.orders.filter(settles()).select("order_id"),
        on="order_id",
        how="semi",
        maintain_order="left",
    )
    if policy is Delisting.HOLD:
        return found + each(
            settled, name, "a position is settled that is to be held", "price", None
        )
    strays = settled.join(ends, on=place, how="anti", maintain_order="left")
    found += each(strays, name, "a position is settled whose asset has not ended", "price", None)
    open_ends = ends.filter(pl.col("held") != 0.0).join(
        settled, on=place, how="anti", maintain_order="left"
    )
    found += each(open_ends, name, "a position of an asset that ended is not settled", "held", 0.0)
    is_paid = policy is Delisting.LIQUIDATE
    both = settled.join(ends.select(*place, "held", "worth"), on=place, maintain_order="left")
    both = both.with_columns(
        received=pl.col("quantity") * pl.col("price") - pl.col("commission") - pl.col("slippage"),
        due=pl.col("worth") if is_paid else pl.lit(0.0),
    )
    wrong = both.filter((pl.col("side") != "sell") | (pl.col("plan_idx") != -1))
    found += each(wrong, name, "a settlement is not a sale outside all plans", "side", "sell")
    for field, expected, least in (("quantity", "held", ZERO_QUANTITY), ("received", "due", MONEY)):
        wrong = both.filter(differ(field, expected, least + NOISE * pl.col(expected).abs()))
        message = f"the {field} of a settlement is not what the end says"
        found += each(wrong, name, message, field, expected)
    return found
