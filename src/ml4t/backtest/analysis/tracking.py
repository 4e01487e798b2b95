"""Tracking: how near an account was to its target weights, and what kept it from them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import polars as pl

from ml4t.backtest.analysis.rebalance_outcomes import (
    STATUSES,
    Rebalances,
    distances,
    drifts,
    outcomes_frame,
    skipped_frame,
)
from ml4t.backtest.analysis.weight_frames import held_at
from ml4t.backtest.config import BacktestConfig
from ml4t.backtest.errors import InputError, shown
from ml4t.backtest.execution.triggers import NO_DRIFT
from ml4t.backtest.formats import NOT_DEFINED
from ml4t.backtest.frames import RunFrames
from ml4t.backtest.numeric import is_finite, is_real

__all__ = ["Tracking"]


@dataclass(frozen=True, eq=False, repr=False)
class Tracking:
    """How near an account was to its target weights; `BacktestResult.tracking` makes it.

    The drift of an asset is its weight less its target weight, and the distance half the sum of
    the absolute drifts, as in `DriftTrigger`: the turnover that it would take to be at the targets.
    The targets are those after caps and scaling (``result.weights("target")``). What a plan holds
    back (``unmentioned="hold"``) has no target and does not count; an asset that is in no row of a
    plan has the target 0. Null is what has no value: there is no equity to be weighed.

    Attributes
    ----------
    band : float
        Drift above which a close is out of band.
    over_time : polars.DataFrame
        A row for every close from the first decision on: timestamp, plan_idx (of the last plan,
        whose targets count), distance, largest_drift (the one with the largest absolute value),
        asset (whose it is: of several the first by name; null where there is no drift), out_of_band
        (whether it is above the band). In NEXT_BAR mode nothing has traded yet at the close of a
        decision, so that the distance there is that before the trade.
    by_rebalance : polars.DataFrame
        A row for every plan that has rows: plan_idx, timestamp; turnover_requested (half the sum of
        absolute target less effective weights, before thresholds and rounding), turnover_planned
        (of its orders at the prices of the plan), turnover_executed (of their fills), all three
        over the equity of the decision; n_requested (rows that ask for a trade), n_ordered,
        n_filled (orders that filled whole), n_filled_in_part; status; distance_before (of what was
        held at the decision), distance_after (at the first close at which its orders could have
        filled; null where the run ends before). The status is "nothing to do" if no row asks for a
        trade, "not executed" if nothing filled, "executed" if every row that asks for a trade has
        an order that filled whole, but for those that thresholds and rounding keep back, and
        "executed in part" otherwise: cash or volume was short, a price was missing.
    skipped : polars.DataFrame
        What rows asked for and got no order for, by reason (see `Reason`): reason, n_rows, weight
        (sum of absolute changes of weight), value (the same times equity, in currency),
        estimated_cost (what the cost models of the run say of changes of that value at the prices
        of the plans, without rounding; null where there is no price), share_of_requested (of the
        changes of all rows). A row of unknown weight adds to `n_rows` only.
    cost_note : str
        Why `estimated_cost` is null in all rows, else empty.
    """

    band: float
    over_time: pl.DataFrame
    by_rebalance: pl.DataFrame
    skipped: pl.DataFrame
    cost_note: str

    @property
    def days_out_of_band(self) -> int:
        """On how many days a close is out of band, by the calendar of the bars' time zone.

        With several bars a day one close is enough; ``over_time["out_of_band"].sum()`` counts them.
        """
        return _n_days(self.over_time.filter("out_of_band"))

    @property
    def summary(self) -> dict[str, float]:
        """The totals; NaN where one is not defined.

        `days` are those with a close from the first decision on. Distances are those of
        `over_time`, turnovers sums over the plans, `skipped_turnover` is half of the skipped
        weight, `skipped_cost` is what is known of its cost.
        """
        plans, distance = self.by_rebalance, self.over_time["distance"].drop_nulls()
        counts = {
            status.replace(" ", "_"): float((plans["status"] == status).sum())
            for status in STATUSES
        }
        skipped_cost = self.skipped["estimated_cost"].drop_nulls()
        # Where nothing is skipped, that costs nothing.
        is_known = self.skipped.is_empty() or len(skipped_cost) > 0
        return {
            "days": float(_n_days(self.over_time)),
            "days_out_of_band": float(self.days_out_of_band),
            "average_distance": _or_nan(distance.mean()),
            "largest_distance": _or_nan(distance.max()),
            "rebalances": float(plans.height),
            **counts,
            "turnover_requested": float(plans["turnover_requested"].sum()),
            "turnover_planned": float(plans["turnover_planned"].sum()),
            "turnover_executed": float(plans["turnover_executed"].sum()),
            "skipped_rows": float(self.skipped["n_rows"].sum()),
            "skipped_turnover": 0.5 * float(self.skipped["weight"].sum()),
            "skipped_cost": float(skipped_cost.sum()) if is_known else math.nan,
        }

    def __repr__(self) -> str:
        """One line: rebalances, days out of band and the average distance."""
        found = self.summary
        distance = found["average_distance"]
        average = NOT_DEFINED if math.isnan(distance) else f"{distance:.2%}"
        return (
            f"Tracking({found['rebalances']:,.0f} rebalances, {found['executed']:,.0f} executed "
            f"and {found['executed_in_part']:,.0f} in part, {self.days_out_of_band:,} of "
            f"{found['days']:,.0f} days out of the band of {self.band:.2%}, average distance "
            f"{average})"
        )


def _n_days(closes: pl.DataFrame) -> int:
    return closes["timestamp"].dt.date().n_unique()


def _or_nan(value: object) -> float:
    return float(value) if isinstance(value, float) else math.nan


def track(frames: RunFrames, config: BacktestConfig, band: float) -> Tracking:
    """Return how near a run was to its target weights; see `BacktestResult.tracking`.

    Parameters
    ----------
    frames : RunFrames
    config : BacktestConfig
        Of the run.
    band : float
        0 < band < 1.

    Returns
    -------
    Tracking
    """
    if not (is_real(band) and is_finite(band) and 0.0 < band < 1.0):
        raise InputError(
            f"tracking: band={shown(band)} must be a number with 0 < band < 1; it is a fraction of "
            "equity, 0.05 for five per cent"
        )
    of = Rebalances(frames, config)
    own = " and ".join(f"the {name} model" for name in config.costs.own_models)
    verb = "are" if len(config.costs.own_models) > 1 else "is"
    return Tracking(
        band=float(band),
        over_time=_over_time(of, float(band)),
        by_rebalance=outcomes_frame(of),
        skipped=skipped_frame(of),
        cost_note=(
            f"{own} {verb} written in Python, and not asked about trades that did not happen"
            if own
            else ""
        ),
    )


def _over_time(of: Rebalances, band: float) -> pl.DataFrame:
    frames, plans = of.frames, of.plans
    first = plans.bars[0] if of.n_plans else frames.equity.height
    bars = np.arange(first, frames.equity.height)
    last_plan = np.searchsorted(plans.bars, bars, side="right") - 1
    drift = drifts(held_at(bars, frames, plans.assets), of.target[last_plan])
    drift[~plans.has_equity[last_plan]] = np.nan
    distance = distances(drift)
    known = ~np.isnan(distance)
    size = np.abs(drift)
    # Without assets there is no largest one.
    which = size.argmax(axis=1) if plans.assets else np.zeros(bars.size, np.int64)
    largest = drift[np.arange(bars.size), which]
    names = pl.Series(plans.assets, dtype=pl.String).gather(which)
    return pl.DataFrame(
        {
            "timestamp": frames.equity["timestamp"].gather(bars),
            "plan_idx": plans.plan_idx[last_plan].astype(np.int32),
            "distance": distance,
            "largest_drift": largest,
            "asset": names,
            "out_of_band": np.abs(largest) > band + NO_DRIFT,
            "known": known,
        }
    ).select(
        "timestamp",
        "plan_idx",
        pl.col("distance", "largest_drift").fill_nan(None),
        pl.when(pl.col("known") & (pl.col("largest_drift") != 0.0)).then(pl.col("asset")),
        pl.when(pl.col("known")).then(pl.col("out_of_band")),
    )
