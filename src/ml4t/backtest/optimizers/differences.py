"""Where two tables of decisions differ, and by how much."""

from __future__ import annotations

import polars as pl

from ml4t.backtest.optimizers.decisions import KEYS, OF_ORDERS

#: Numbers that differ by no more than this fraction are the same but for the order in which sums
#: were added up: thousands of times the spacing of floats, and far below what money can show.
ROUNDING = 1e-12


def differences(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """Return the decisions that only one side has, or that differ; NaN is nowhere in them.

    Parameters
    ----------
    before, after : DataFrame
        As `Reader.decisions` returns them.

    Returns
    -------
    DataFrame
        The columns that name a decision; ``weight_before``, ``weight_after``; ``detail_before``,
        ``detail_after``: what differs besides the weight, as text, else null; ``difference``: of
        the weights, absolute, null where a side has none; and ``is_rounding``: whether nothing
        differs by more than rounding can explain.
    """
    both = before.join(after, on=KEYS, how="full", coalesce=True, suffix="_after")
    compared = ["weight", *OF_ORDERS, "detail"]
    found = both.filter(pl.any_horizontal(_differ(name) for name in compared))
    # How large the numbers of a time are: of weights the largest, since all are fractions of the
    # same equity; of signals the middle one, since each asset may have a scale of its own.
    own = pl.max_horizontal(pl.col("weight", "weight_after").abs())
    sizes = both.join(found, on=["time", "what"], how="semi").group_by("time", "what")
    size = pl.when(pl.col("what").str.starts_with("signal ")).then("middle").otherwise("largest")
    found = found.join(
        sizes.agg(largest=own.max(), middle=own.median()), on=["time", "what"], how="left"
    )
    # A quantity that belongs to a weight says nothing that the weight does not.
    is_weighed = pl.col("weight").is_not_null() & pl.col("weight_after").is_not_null()
    alike = {
        "weight": _is_close("weight", pl.max_horizontal(own, size)),
        **{name: _is_close(name, _own_size(name)) for name in OF_ORDERS},
        "detail": ~_differ("detail"),
    }
    alike["quantity"] = is_weighed | alike["quantity"]
    return found.select(
        *KEYS,
        pl.col("weight").alias("weight_before"),
        "weight_after",
        _detail("", alike).alias("detail_before"),
        _detail("_after", alike).alias("detail_after"),
        (pl.col("weight_after") - pl.col("weight")).abs().alias("difference"),
        pl.all_horizontal(alike.values()).alias("is_rounding"),
    )


def _differ(name: str) -> pl.Expr:
    return pl.col(name).ne_missing(pl.col(f"{name}_after"))


def _own_size(name: str) -> pl.Expr:
    return pl.max_horizontal(pl.col(name, f"{name}_after").abs())


def _is_close(name: str, size: pl.Expr) -> pl.Expr:
    """Whether two numbers are the same up to rounding; none and none are."""
    difference = (pl.col(name) - pl.col(f"{name}_after")).abs()
    is_small = difference.is_finite() & (difference <= ROUNDING * size)
    return ~_differ(name) | is_small.fill_null(value=False)


def _detail(side: str, alike: dict[str, pl.Expr]) -> pl.Expr:
    """Return as text what differs besides the weight: words first, then numbers by name."""
    words = pl.col(f"detail{side}")
    parts = [pl.when(~alike["detail"] & (words != "")).then(words)]
    for name in OF_ORDERS:
        number = pl.format(f"{name} {{}}", pl.col(f"{name}{side}"))
        parts.append(pl.when(~alike[name]).then(number))
    text = pl.concat_str(parts, separator=", ", ignore_nulls=True)
    return pl.when(text != "").then(text)
