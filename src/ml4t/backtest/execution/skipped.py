"""Never silently nothing: the warning for what thresholds keep from being bought."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from ml4t.backtest.config import RebalanceConfig
from ml4t.backtest.enums import Reason
from ml4t.backtest.errors import RebalanceWarning
from ml4t.backtest.records import Records

# Skipped increases above this fraction of equity are warned of.
_LIMIT = 0.05
_THRESHOLDS = {
    Reason.WEIGHT_CHANGE_TOO_SMALL: "min_weight_change",
    Reason.TRADE_VALUE_TOO_SMALL: "min_trade_value",
    Reason.COST_TOO_HIGH: "ignore_if_cost_exceeds_bps",
}
_REMEDY = "lower the threshold if these positions are wanted"


def warn_of_plan(totals: Records, config: RebalanceConfig, stacklevel: int) -> None:
    """Emit a `RebalanceWarning` if a plan skips increases of more than 5 % of equity.

    Parameters
    ----------
    totals : (1,) records of `PLAN_TOTALS`
    config : RebalanceConfig
        With the thresholds of the plan.
    stacklevel : int
        As in `warnings.warn`, for the caller of this function.
    """
    skipped, by = float(totals[0]["skipped"]), int(totals[0]["skipped_by"])
    if skipped > _LIMIT:
        warnings.warn(
            f"the rebalance skips increases of {skipped:.1%} of equity because of "
            f"{_named(by, config)}; {_REMEDY}",
            RebalanceWarning,
            stacklevel=stacklevel + 1,
        )


def warn_of_run(
    plans: Records, config: RebalanceConfig, times: Sequence[object], stacklevel: int
) -> None:
    """Emit one `RebalanceWarning` for all plans of a run that skip as much.

    Parameters
    ----------
    plans : (n_plans,) records of `PLAN`
    config : RebalanceConfig
        With the thresholds of all of them.
    times : sequence of datetimes, (n_bars,)
    stacklevel : int
        As in `warnings.warn`, for the caller of this function.
    """
    found = plans[plans["skipped"] > _LIMIT]
    if found.size:
        largest = found[np.argmax(found["skipped"])]
        by = int(np.bitwise_or.reduce(found["skipped_by"]))
        warnings.warn(
            f"{found.size} of {plans.size} rebalances skip increases of more than {_LIMIT:.0%} of "
            f"equity because of {_named(by, config)}, the most at {times[largest['bar']]}: "
            f"{largest['skipped']:.1%}; {_REMEDY}",
            RebalanceWarning,
            stacklevel=stacklevel + 1,
        )


def _named(by: int, config: RebalanceConfig) -> str:
    """Return the thresholds whose bits are set, with their values."""
    return " and ".join(
        f"{field}={getattr(config, field):g}"
        for reason, field in _THRESHOLDS.items()
        if by & (1 << reason.code)
    )
