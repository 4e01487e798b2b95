"""What if the account were larger, or a threshold higher: one setting of a run, varied."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from ml4t.backtest import metrics
from ml4t.backtest.attribution.frictions import without_friction
from ml4t.backtest.config import BacktestConfig, as_config
from ml4t.backtest.errors import ConfigError, InputError, shown
from ml4t.backtest.execution.alignment import AlignedSchedule
from ml4t.backtest.execution.schedule import as_schedule
from ml4t.backtest.feed.bars import Bars
from ml4t.backtest.feed.datafeed import as_feed
from ml4t.backtest.feed.market import check_columns
from ml4t.backtest.ledger.ledger import Ledger
from ml4t.backtest.numeric import is_finite, is_real
from ml4t.backtest.records import Floats
from ml4t.backtest.replay import RunRules, replay

#: 5,000 to 500 million, two or three a decade.
SIZES = (
    5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 2e6, 5e6, 1e7, 2e7, 5e7, 1e8, 2e8, 5e8,
)  # fmt: skip
#: No threshold to 5 % of equity.
THRESHOLDS = (0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05)


def account_size_curve(
    prices: object,
    weights: object,
    config: BacktestConfig | None = None,
    sizes: Sequence[float] = SIZES,
    align: str = "exact",
) -> pl.DataFrame:
    """Trade a weight schedule with accounts of several sizes.

    Small accounts suffer from whole shares, minimum fees and thresholds in currency, large ones
    from `max_participation`. Where there is none of these the curve is flat.

    Parameters
    ----------
    prices, weights, align
        As in `run_weights`.
    config : BacktestConfig, optional
        Its `initial_cash` is replaced.
    sizes : sequence of float
        Initial cash, in currency.

    Returns
    -------
    polars.DataFrame
        A row for each size: ``initial_cash``; ``annual_return`` after all frictions and
        ``paper_return``, that of the paper portfolio (`BacktestResult.bridge`), as fractions;
        ``gap_bps``, the first less the second in basis points a year; ``tracking_error``, the
        standard deviation of the difference of their returns per bar, annualised;
        ``annual_turnover``, half the traded value over equity a year; ``cost_bps``, commission and
        slippage over the equity at their close, in basis points a year. Years, and returns, count
        from the first decision on. NaN where a figure is not defined.

    Raises
    ------
    ValueError
        As `run_weights` does, and for sizes that are no positive numbers.

    Examples
    --------
    >>> from datetime import date
    >>> days = [date(2024, 1, day) for day in (2, 3, 4)]
    >>> prices = pl.DataFrame({"date": days, "asset": "A", "close": [150.0, 150.0, 165.0]})
    >>> curve = account_size_curve(prices, {days[0]: {"A": 0.99}}, sizes=[1_000, 1_000_000])
    >>> curve["tracking_error"][0] > 50 * curve["tracking_error"][1]
    True
    """
    case = _Case.of(prices, weights, config, align)
    rows = [
        {"initial_cash": size} | case.figures(case.rules._replace(initial_cash=size))
        for size in _numbers("sizes", sizes, allows_zero=False)
    ]
    return pl.DataFrame(rows)


def threshold_curve(
    prices: object,
    weights: object,
    config: BacktestConfig | None = None,
    thresholds: Sequence[float] = THRESHOLDS,
    align: str = "exact",
) -> pl.DataFrame:
    """Trade a weight schedule with several thresholds for the change of a weight.

    Parameters
    ----------
    prices, weights, align
        As in `run_weights`.
    config : BacktestConfig, optional
        ``rebalance.min_weight_change`` is replaced.
    thresholds : sequence of float
        Fractions of equity, >= 0.

    Returns
    -------
    polars.DataFrame
        A row for each threshold: ``min_weight_change`` and the columns of `account_size_curve`
        after its first.

    Raises
    ------
    ValueError
        As `run_weights` does, and for thresholds that are negative or no numbers.
    """
    case = _Case.of(prices, weights, config, align)
    plan = case.rules.plan
    rows = [
        {"min_weight_change": threshold}
        | case.figures(case.rules._replace(plan=plan._replace(min_weight_change=threshold)))
        for threshold in _numbers("thresholds", thresholds, allows_zero=True)
    ]
    return pl.DataFrame(rows)


def _numbers(name: str, values: Sequence[float], allows_zero: bool) -> list[float]:
    """Return numbers as floats; raises `ValueError` for what is negative, or none."""
    wanted = ">= 0" if allows_zero else "above 0"
    try:
        found = list(values)
    except TypeError:
        found = []
    if isinstance(values, str) or not found:
        raise InputError(f"{name}={shown(values)}: pass a sequence of numbers {wanted}")
    for value in found:
        is_number = is_real(value) and is_finite(value)
        if not is_number or value < 0.0 or (value == 0.0 and not allows_zero):
            raise InputError(f"{name}: {shown(value)} is not allowed; pass numbers {wanted}")
    return [float(value) for value in found]


class _Case(NamedTuple):
    """What is the same at every point of a curve."""

    bars: Bars
    schedule: AlignedSchedule
    rules: RunRules
    #: The bar of the first decision: before it there is nothing to measure.
    first: int
    #: Equity of the paper portfolio from there on, as a part of the cash.
    paper: Floats

    @classmethod
    def of(
        cls, prices: object, weights: object, config: BacktestConfig | None, align: str
    ) -> _Case:
        settings = as_config(config)
        for name, model in settings.costs.own_models.items():
            raise ConfigError(
                f"{name}={model!r} is written in Python, which the runs of a curve cannot call; "
                "pass a built-in model"
            )
        bars = as_feed(prices).bars
        check_columns(bars, settings)
        schedule = as_schedule(weights).aligned(bars, align)
        rules = RunRules.of(settings)
        first = int(np.argmax(schedule.row_of_bar >= 0))
        # A portfolio on paper earns the same whatever its size.
        ledger = replay(bars, schedule, without_friction(rules))
        paper = _equity(ledger, rules.initial_cash, first)
        return cls(bars, schedule, rules, first, paper)

    def figures(self, rules: RunRules) -> dict[str, float]:
        """Return the figures of one point."""
        ledger = replay(self.bars, self.schedule, rules)
        equity = _equity(ledger, rules.initial_cash, self.first)
        fills = ledger.fills.records()
        at_close = ledger.equity["equity"][fills["bar"]]
        traded = np.abs(fills["quantity"]) * fills["price"]
        times = self.bars.times[self.first :]
        span, a_year = metrics.years(times), metrics.periods_per_year(times)
        annual, of_paper = (metrics.annual_return(each, span) for each in (equity, self.paper))
        returns, promised = metrics.simple_returns(equity), metrics.simple_returns(self.paper)
        turnover = metrics.turnover(traded, at_close)
        return {
            "annual_return": annual,
            "paper_return": of_paper,
            "gap_bps": 1e4 * (annual - of_paper),
            "tracking_error": metrics.tracking_error(returns, promised, a_year),
            "annual_turnover": turnover / span if span > 0.0 else math.nan,
            "cost_bps": metrics.cost_bps(fills["commission"] + fills["slippage"], at_close, span),
        }


def _equity(ledger: Ledger, cash: float, first: int) -> Floats:
    """Return the cash, and equity from the bar `first` on, (n + 1,), as parts of the cash."""
    equity: Floats = np.concatenate([[cash], ledger.equity["equity"][first:]]) / cash
    return equity
