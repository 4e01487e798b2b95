"""Returns of real stocks, for what is compared with other libraries of metrics."""

from __future__ import annotations

from typing import Any

import pytest

#: Bars a year, of all comparisons.
YEAR = 252
#: What "equal" means, relative and absolute.
EXACT = {"rel": 1e-12, "abs": 1e-12}
#: The stocks that are compared one by one, and all of them in equal weights every day.
NAMES = ("equal weight", "AAPL", "AMD", "GE", "JNJ", "XOM")


def load_returns() -> Any:
    """Daily returns as a pandas frame: some 8 300 days, six columns."""
    datasets = pytest.importorskip("skfolio.datasets")
    returns = datasets.load_sp500_dataset().pct_change().iloc[1:]
    return returns.assign(**{"equal weight": returns.mean(axis=1)})[list(NAMES)]
