"""The books of a run: what is audited, and what an audit finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import polars as pl

from ml4t.backtest.config import BacktestConfig
from ml4t.backtest.kernel.quantities import ZERO_QUANTITY

#: Float noise in a sum, as a fraction of what was added up.
NOISE = 1e-9
#: Amounts of money that differ by less than this are the same.
MONEY = 1e-6


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

    The account is a cash account. `holdings` is what it itself held at the end, by asset; None
    where nobody knows.
    """

    config: BacktestConfig
    equity: pl.DataFrame
    orders: pl.DataFrame
    fills: pl.DataFrame
    trades: pl.DataFrame
    positions: pl.DataFrame
    rebalances: pl.DataFrame
    ends: pl.DataFrame
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
                (ZERO_QUANTITY + NOISE * pl.col("moved").cum_sum().over("asset")).alias("noise"),
                pl.col("bar").shift(-1, fill_value=None).over("asset").alias("next"),
            )
            .with_columns(
                n_bars=pl.col("next").fill_null(bars.height).cast(pl.Int64)
                - pl.col("bar").cast(pl.Int64)
            )
        )


def differ(found: str, expected: str, noise: pl.Expr) -> pl.Expr:
    """Whether two columns differ by more than noise; NaN and null differ from everything."""
    is_near = (pl.col(found) - pl.col(expected)).abs() <= noise
    # To polars NaN is larger than every number, so it must not be the noise.
    return ~(is_near & noise.is_finite()).fill_null(False)


def each(
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
