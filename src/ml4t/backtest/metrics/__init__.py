"""Figures of equity, returns and trades: pure functions on arrays.

Conventions, which hold wherever a function does not say otherwise:

- `returns` are simple returns a bar, (n,), as fractions; `equity` are levels, (n,), such as those
  of an account or an index. `simple_returns` and `compound` lead from one to the other.
- `periods_per_year` is how many bars a year has; the function of that name takes it from times.
  Rates (`risk_free_rate`) are of a year, and every bar gives up the rate that compounds to them.
- A figure that is not defined (too few values, no variation, an equity of zero or less before the
  last) is NaN, without a warning. So is a figure of values one of which is NaN: what is not known
  is not left out in silence. ``returns[~np.isnan(returns)]`` leaves it out.
- What cannot be meant (two dimensions, arrays of two lengths, a rate below -1) is a `ValueError`.

``docs/api/metrics.md`` says of every figure how it is defined and where other libraries differ.
"""

from ml4t.backtest.metrics.bootstrap import Interval, bootstrap_interval, optimal_block_length
from ml4t.backtest.metrics.drawdowns import (
    Drawdowns,
    calmar_ratio,
    drawdown,
    drawdown_table,
    max_drawdown,
)
from ml4t.backtest.metrics.growth import (
    annual_return,
    compound,
    periods_per_year,
    simple_returns,
    total_return,
    years,
)
from ml4t.backtest.metrics.months import MonthlyReturns, monthly_returns
from ml4t.backtest.metrics.relative import (
    alpha,
    beta,
    correlation,
    down_capture,
    information_ratio,
    tracking_error,
    up_capture,
)
from ml4t.backtest.metrics.risk import (
    downside_deviation,
    sharpe_ratio,
    sortino_ratio,
    volatility,
)
from ml4t.backtest.metrics.rolling import rolling_beta, rolling_sharpe_ratio, rolling_volatility
from ml4t.backtest.metrics.significance import (
    deflated_sharpe_ratio,
    expected_max_sharpe,
    probabilistic_sharpe_ratio,
    sharpe_probability,
)
from ml4t.backtest.metrics.tails import (
    expected_shortfall,
    kurtosis,
    skewness,
    tail_ratio,
    value_at_risk,
)
from ml4t.backtest.metrics.trading import (
    cost_bps,
    exposure,
    hit_rate,
    holding_period,
    profit_factor,
    time_in_market,
    turnover,
)

__all__ = [
    "Drawdowns",
    "Interval",
    "MonthlyReturns",
    "alpha",
    "annual_return",
    "beta",
    "bootstrap_interval",
    "calmar_ratio",
    "compound",
    "correlation",
    "cost_bps",
    "deflated_sharpe_ratio",
    "down_capture",
    "downside_deviation",
    "drawdown",
    "drawdown_table",
    "expected_max_sharpe",
    "expected_shortfall",
    "exposure",
    "hit_rate",
    "holding_period",
    "information_ratio",
    "kurtosis",
    "max_drawdown",
    "monthly_returns",
    "optimal_block_length",
    "periods_per_year",
    "probabilistic_sharpe_ratio",
    "profit_factor",
    "rolling_beta",
    "rolling_sharpe_ratio",
    "rolling_volatility",
    "sharpe_probability",
    "sharpe_ratio",
    "simple_returns",
    "skewness",
    "sortino_ratio",
    "tail_ratio",
    "time_in_market",
    "total_return",
    "tracking_error",
    "turnover",
    "up_capture",
    "value_at_risk",
    "volatility",
    "years",
]
