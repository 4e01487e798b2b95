"""What if the account were larger, or a threshold higher: one setting of a run, varied."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import polars as pl

from ml4t.backtest import metrics
from ml4t.backtest.attribution.frictions import without_friction
from ml4t.backtest.config import BacktestConfig, as_config
from ml4t.backtest.errors import InputError, shown
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
) -> pl.DataFrame:
    """Trade a weight schedule with accounts of several sizes.

    Small accounts suffer from whole shares, minimum fees and thresholds in currency, large ones
    from `max_participation`. Where there is none of these the curve is flat.

    Parameters
    ----------
    prices, weights
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
        slippage over the equity at their close, in basis points a year. NaN where a figure is not
        defined.

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
    numbers = _numbers("sizes", sizes, least=None)
    return _curve(prices, weights, config, "initial_cash", numbers)


def threshold_curve(
    prices: object,
    weights: object,
    config: BacktestConfig | None = None,
    thresholds: Sequence[float] = THRESHOLDS,
) -> pl.DataFrame:
    """Trade a weight schedule with several thresholds for the change of a weight.

    Parameters
    ----------
    prices, weights
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
    numbers = _numbers("thresholds", thresholds, least=0.0)
    return _curve(prices, weights, config, "min_weight_change", numbers)


def _numbers(name: str, values: Sequence[float], least: float | None) -> list[float]:
    """Return numbers as floats; `least` None: all must be above 0."""
    wanted = "above 0" if least is None else f">= {least:g}"
    if isinstance(values, str) or not isinstance(values, Sequence | np.ndarray) or not len(values):
        raise InputError(f"{name}={shown(values)}: pass a sequence of numbers {wanted}")
    for value in values:
        is_number = is_real(value) and is_finite(value)
        if not is_number or value < 0.0 or (least is None and value == 0.0):
            raise InputError(f"{name}: {shown(value)} is not allowed; pass numbers {wanted}")
    return [float(value) for value in values]


def _curve(
    prices: object,
    weights: object,
    config: BacktestConfig | None,
    setting: str,
    values: list[float],
) -> pl.DataFrame:
    settings = as_config(config)
    bars = as_feed(prices).bars
    check_columns(bars, settings)
    schedule = as_schedule(weights).aligned(bars, "exact")
    rules = RunRules.of(settings)
    # A portfolio on paper earns the same whatever its size.
    paper = _equity(replay(bars, schedule, without_friction(rules)), rules.initial_cash)
    rows = []
    for value in values:
        if setting == "initial_cash":
            varied = rules._replace(initial_cash=value)
        else:
            varied = rules._replace(plan=rules.plan._replace(min_weight_change=value))
        rows.append({setting: value} | _figures(bars, schedule, varied, paper))
    return pl.DataFrame(rows)


def _figures(
    bars: Bars, schedule: AlignedSchedule, rules: RunRules, paper: Floats
) -> dict[str, float]:
    """Return the figures of one point; `paper` as `_equity` returns it."""
    ledger = replay(bars, schedule, rules)
    equity = _equity(ledger, rules.initial_cash)
    fills = ledger.fills.records()
    at_close = ledger.equity["equity"][fills["bar"]]
    traded = np.abs(fills["quantity"]) * fills["price"]
    span, a_year = metrics.years(bars.times), metrics.periods_per_year(bars.times)
    annual, of_paper = (metrics.annual_return(each, span) for each in (equity, paper))
    returns, promised = metrics.simple_returns(equity), metrics.simple_returns(paper)
    turnover = metrics.turnover(traded, at_close)
    return {
        "annual_return": annual,
        "paper_return": of_paper,
        "gap_bps": 1e4 * (annual - of_paper),
        "tracking_error": metrics.tracking_error(returns, promised, a_year),
        "annual_turnover": turnover / span if span > 0.0 else math.nan,
        "cost_bps": metrics.cost_bps(fills["commission"] + fills["slippage"], at_close, span),
    }


def _equity(ledger: Ledger, cash: float) -> Floats:
    """Return the equity from the initial cash on, (n_bars + 1,), as a part of it."""
    equity: Floats = np.concatenate([[cash], ledger.equity["equity"]]) / cash
    return equity
