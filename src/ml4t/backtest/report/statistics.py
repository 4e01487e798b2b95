"""The figures of a run as a table, each with its unit."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from ml4t.backtest.formats import NOT_DEFINED, bps, money, number, percent
from ml4t.backtest.report.sections import StaticTable


def _ratio(value: float) -> str:
    return number(value, 2)


def _fine_percent(value: float) -> str:
    return percent(value, 2)


def _days(value: float) -> str:
    return f"{number(value, 1)} days" if math.isfinite(value) else NOT_DEFINED


#: How a figure is written; a plain number where nothing is said here.
_WRITERS: dict[str, Callable[[float], str]] = {
    **dict.fromkeys(("initial_cash", "final_equity", "commission", "slippage"), money),
    **dict.fromkeys(
        (
            "total_return",
            "annual_return",
            "volatility",
            "max_drawdown",
            "turnover",
            "annual_turnover",
            "downside_deviation",
            "value_at_risk",
            "expected_shortfall",
            "probabilistic_sharpe_ratio",
            "hit_rate",
            "exposure",
            "time_in_market",
            "alpha",
            "tracking_error",
            "benchmark_coverage",
            "benchmark_total_return",
            "benchmark_annual_return",
            "benchmark_volatility",
            "benchmark_max_drawdown",
        ),
        _fine_percent,
    ),
    **dict.fromkeys(
        (
            "sharpe_ratio",
            "sortino_ratio",
            "calmar_ratio",
            "tail_ratio",
            "skewness",
            "kurtosis",
            "profit_factor",
            "beta",
            "correlation",
            "information_ratio",
            "up_capture",
            "down_capture",
            "benchmark_sharpe_ratio",
            "years",
            "periods_per_year",
        ),
        _ratio,
    ),
    "cost_bps": bps,
    "holding_days": _days,
}
_LABELS = {
    "annual_return": "return a year",
    "turnover": "turnover, half of purchases and sales",
    "annual_turnover": "turnover a year",
    "trades": "closed trades",
    "hit_rate": "hit rate of closed trades",
    "max_drawdown": "deepest drawdown",
    "max_drawdown_bars": "bars in the deepest drawdown",
    "value_at_risk": "value at risk, 5 % of bars",
    "expected_shortfall": "expected shortfall, 5 % of bars",
    "volatility": "volatility a year",
    "cost_bps": "costs a year",
    "holding_days": "mean holding time",
    "periods_per_year": "bars a year",
    "benchmark_annual_return": "benchmark return a year",
    "benchmark_volatility": "benchmark volatility a year",
    "benchmark_max_drawdown": "benchmark deepest drawdown",
    "benchmark_coverage": "bars with a benchmark",
    "ends_inferred": "assets that ended",
}


def written(name: str, value: float) -> str:
    """Write a figure of `BacktestResult.statistics` with its unit."""
    return _WRITERS.get(name, number)(value)


def figure_label(name: str) -> str:
    """Return the name of a figure as it is written for people."""
    words = _LABELS.get(name, name.replace("_", " "))
    for person in ("sharpe", "sortino", "calmar"):
        words = words.replace(person, person.capitalize())
    return words


def statistics_table(
    runs: Mapping[str, Mapping[str, float]], caption: str, fold: str = ""
) -> StaticTable:
    """Return figures of runs beside each other, a column a run."""
    names: Sequence[str] = list(
        dict.fromkeys(name for figures in runs.values() for name in figures)
    )
    rows = [
        (
            figure_label(name),
            *(written(name, figures[name]) if name in figures else "" for figures in runs.values()),
        )
        for name in names
    ]
    return StaticTable(
        caption=caption,
        heads=("figure", *runs),
        rows=rows,
        numbers=frozenset(runs),
        fold=fold,
    )
