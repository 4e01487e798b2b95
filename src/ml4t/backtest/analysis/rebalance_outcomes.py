"""What became of each rebalance, and what was skipped."""

from __future__ import annotations

import numpy as np
import polars as pl

from ml4t.backtest.analysis.fill_records import fill_records, filled_at_once
from ml4t.backtest.analysis.weight_frames import PlanRows, held_at
from ml4t.backtest.config import BacktestConfig
from ml4t.backtest.enums import ExecutionMode, OrderStatus, Reason
from ml4t.backtest.execution.triggers import NO_DRIFT
from ml4t.backtest.frames import RunFrames
from ml4t.backtest.kernel.costs import estimate_costs
from ml4t.backtest.records import Bools, Floats, Ints

# Rows that want no trade, or want none any more.
_SETTLED = (Reason.AT_TARGET, Reason.HELD, Reason.CANCELLED_ONLY)
# Rows that the settings of a rebalance keep from trading, as they are meant to.
_KEPT_BACK = (
    Reason.WEIGHT_CHANGE_TOO_SMALL,
    Reason.TRADE_VALUE_TOO_SMALL,
    Reason.ROUNDS_TO_ZERO_SHARES,
    Reason.COST_TOO_HIGH,
)
#: What may become of a rebalance.
STATUSES = ("executed", "executed in part", "not executed", "nothing to do")


class Rebalances:
    """The rebalances of a run and what their rows ask for.

    Attributes
    ----------
    plans : PlanRows
    target : (n_plans, n_assets) float64
        Target weights; 0 for what is in no row, NaN for what is held back and without equity.
    equity : (n_plans,) float64
        Currency, at the decision: before what it traded at the same close.
    change : (n_rows,) float64
        Target less effective weight; NaN for what is held back, without equity, and for an asset
        that has orders and no mark yet.
    wants, is_ordered, is_kept_back : (n_rows,) bool
        Whether a row asks for a trade, whatever became of it; whether it has an order; whether a
        threshold or rounding keeps it from having one.
    """

    def __init__(self, frames: RunFrames, config: BacktestConfig) -> None:
        self.frames, self.config = frames, config
        self.plans = PlanRows(frames)
        self.target: Floats = self.plans.column("target_weight", 0.0)
        self.equity: Floats = _equity_at_decisions(self.plans.bars, frames, config)
        rows = frames.rebalances
        self.change: Floats = (rows["target_weight"] - rows["effective_weight"]).to_numpy()
        self.is_ordered: Bools = _has_reason(rows, Reason.ORDERED)
        self.is_kept_back: Bools = _has_reason(rows, *_KEPT_BACK)
        # Where nothing has a weight, the reason alone says that something was wanted.
        differs = ~(np.abs(self.change) <= NO_DRIFT)
        self.wants: Bools = (differs & ~_has_reason(rows, *_SETTLED)) | self.is_ordered

    @property
    def n_plans(self) -> int:
        """How many there are, but for those without a row."""
        return len(self.plans.times)

    def summed(self, values: Floats | Bools) -> Floats:
        """Return the sums of a value of the rows by plan, (n_plans,); NaN counts 0."""
        weights = np.nan_to_num(values.astype(np.float64))
        counted = np.bincount(self.plans.plan, weights=weights, minlength=self.n_plans)
        totals: Floats = counted.astype(np.float64)
        return totals


def _has_reason(rows: pl.DataFrame, *reasons: Reason) -> Bools:
    chosen: Bools = rows["reason"].is_in([reason.value for reason in reasons]).to_numpy()
    return chosen


def _equity_at_decisions(bars: Ints, frames: RunFrames, config: BacktestConfig) -> Floats:
    """Return the equity before what was decided at the close of bars has traded at that close."""
    fills, _ = fill_records(frames)
    at_once = fills[filled_at_once(fills, frames, config)]
    # At the close a fill changes equity by what it costs, and by nothing else.
    paid = at_once["commission"] + at_once["slippage"]
    equity = frames.equity["equity"].to_numpy()
    before: Floats = equity + np.bincount(at_once["bar"], weights=paid, minlength=equity.size)
    return before[bars]


def outcomes_frame(of: Rebalances) -> pl.DataFrame:
    """Return what became of each rebalance; see `Tracking.by_rebalance`."""
    frames, plans = of.frames, of.plans
    rows, orders = frames.rebalances, frames.orders
    fills, _ = fill_records(frames)
    fills = fills[fills["plan_idx"] >= 0]
    traded = np.bincount(
        np.searchsorted(plans.plan_idx, fills["plan_idx"]),
        weights=np.abs(fills["quantity"]) * fills["price"],
        minlength=of.n_plans,
    )
    has_equity = plans.has_equity & (of.equity > 0.0)
    equity = np.where(has_equity, of.equity, np.nan)
    known = np.where(has_equity, 1.0, np.nan)

    def orders_of(chosen: pl.Series) -> Ints:
        plan_idx = orders["plan_idx"].filter(chosen & (orders["plan_idx"] >= 0)).to_numpy()
        return np.bincount(np.searchsorted(plans.plan_idx, plan_idx), minlength=of.n_plans)

    is_whole = orders["status"] == OrderStatus.FILLED.value
    n_filled = orders_of(is_whole)
    n_in_part = orders_of(~is_whole & (orders["filled_quantity"] > 0.0))
    n_requested = of.summed(of.wants).astype(np.int64)
    n_kept_back = of.summed(of.wants & of.is_kept_back).astype(np.int64)
    status = np.select(
        [n_requested == 0, n_filled + n_in_part == 0, n_filled == n_requested - n_kept_back],
        ["nothing to do", "not executed", "executed"],
        "executed in part",
    )
    missed = np.abs((rows["current_weight"] - rows["target_weight"]).to_numpy())
    next_bar = of.config.execution_mode is ExecutionMode.NEXT_BAR
    held = held_at(plans.bars + next_bar, frames, plans.assets)
    return pl.DataFrame(
        {
            "plan_idx": plans.plan_idx.astype(np.int32),
            "timestamp": plans.times,
            "turnover_requested": known * 0.5 * of.summed(np.abs(of.change)),
            "turnover_planned": 0.5 * of.summed(np.abs(rows["value"].to_numpy())) / equity,
            "turnover_executed": 0.5 * traded / equity,
            "n_requested": n_requested,
            "n_ordered": of.summed(of.is_ordered).astype(np.int64),
            "n_filled": n_filled,
            "n_filled_in_part": n_in_part,
            "status": pl.Series(status.tolist(), dtype=pl.String),
            "distance_before": known * 0.5 * of.summed(missed),
            "distance_after": known * distances(drifts(held, of.target)),
        }
    ).with_columns(pl.selectors.float().fill_nan(None))


def drifts(held: Floats, target: Floats) -> Floats:
    """Return held less target weights, (n, n_assets), as `DriftTrigger` counts them.

    0 where an asset is held back, so that it has no target; rows of NaN where nothing has a weight.
    """
    drift: Floats = held - target
    drift[np.isnan(target)] = 0.0
    drift[np.isnan(held)] = np.nan
    return drift


def distances(drift: Floats) -> Floats:
    """Return half the sum of the absolute drifts, (n,): `DriftTrigger.distance`."""
    distance: Floats = 0.5 * np.abs(drift).sum(axis=1)
    return distance


def skipped_frame(of: Rebalances) -> pl.DataFrame:
    """Return what was asked for and not ordered, by reason; see `Tracking.skipped`."""
    rows = of.frames.rebalances
    chosen = np.flatnonzero(of.wants & ~of.is_ordered)
    change = of.change[chosen]
    equity = of.equity[of.plans.plan[chosen]]
    equity = np.where(equity > 0.0, equity, np.nan)
    cost = np.full(chosen.size, np.nan)
    if of.config.costs.is_compiled:
        price = rows["price"].to_numpy()[chosen]
        quantity = change * equity / price
        known = np.flatnonzero(~np.isnan(quantity))
        found = np.empty(known.size)
        estimate_costs(quantity[known], price[known], of.config.costs.params, found)
        cost[known] = found
    requested = float(np.nansum(np.abs(of.change)))
    skipped = pl.DataFrame(
        {
            "reason": rows["reason"].gather(chosen),
            "weight": np.abs(change),
            "value": np.abs(change) * equity,
            "estimated_cost": cost,
        }
    )
    share = pl.col("weight") / (requested if requested > 0.0 else np.nan)
    order = pl.Enum([reason.value for reason in Reason])
    # What is not known of one row does not hide the others.
    figures = pl.selectors.float().fill_nan(None)
    return (
        skipped.group_by("reason")
        .agg(
            pl.len().cast(pl.Int64).alias("n_rows"),
            pl.when(figures.count() > 0).then(figures.sum()),
        )
        .with_columns(share_of_requested=share)
        .with_columns(pl.selectors.float().fill_nan(None))
        .sort(pl.col("reason").cast(order))
    )
