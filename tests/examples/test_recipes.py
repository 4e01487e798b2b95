"""The examples with optimizers: short, blind to the future, and true to what they say."""

from __future__ import annotations

import ast
import runpy
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skfolio import datasets

from ml4t.backtest import DataFeed, run_provider
from ml4t.backtest.feed.view import BarData
from ml4t.backtest.optimizers import check_lookahead

EXAMPLES = Path(__file__).parents[2] / "examples"
PATHS = sorted(EXAMPLES.glob("with_*.py"))
#: The providers of each example.
RECIPES = {
    "with_cvxpy": ["least variance"],
    "with_pypfopt": ["max_sharpe", "black_litterman", "hrp"],
    "with_riskfolio": ["least_variance", "least_cvar"],
    "with_skfolio": ["CVaR", "HRP", "risk budgeting", "turnover limit"],
    "with_sklearn": ["ridge"],
}
#: Of the 17 month ends that the feed knows, from December 2019 on there are 252 bars (2019 has just
#: as many), from January 2020 on 252 returns.
ON_PRICES = {"with_pypfopt", "with_sklearn"}
CASES = [(example, name) for example, names in RECIPES.items() for name in names]


def provider_of(example: str, name: str) -> Any:
    """Return a new provider: what an earlier one has solved must not be in it."""
    providers = runpy.run_path(str(EXAMPLES / f"{example}.py"))["PROVIDERS"]
    assert list(providers) == RECIPES[example]
    return providers[name]


@cache
def feed() -> DataFeed:
    """Return 18 months."""
    return DataFeed.from_wide(datasets.load_sp500_dataset().loc["2019":"2020-06"])


class Clairvoyant:
    """A provider that fits on the end of the feed, whenever it is asked."""

    def __init__(self, provider: Any, prices: DataFeed) -> None:
        self._provider = provider
        self._end = BarData(prices.bars, len(prices.timestamps) - 1)

    def get_weights(self, data: Any, broker: Any) -> dict[str, float]:
        weights: dict[str, float] = self._provider.get_weights(self._end, broker)
        return weights


def lines_of_code(path: Path) -> Iterator[int]:
    """Numbers of the lines that hold code: neither blank, nor comment, nor docstring."""
    text = path.read_text(encoding="utf-8")
    first = ast.parse(text).body[0]
    for number, line in enumerate(text.splitlines(), start=1):
        in_docstring = first.lineno <= number <= (first.end_lineno or 0)
        if not in_docstring and line.strip() and not line.strip().startswith("#"):
            yield number


def test_every_example_is_here() -> None:
    assert [path.stem for path in PATHS] == sorted(RECIPES)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_length(path: Path) -> None:
    assert len(list(lines_of_code(path))) <= 25


@pytest.mark.parametrize(("example", "name"), CASES)
def test_no_look_ahead(example: str, name: str) -> None:
    report = check_lookahead(lambda prices: provider_of(example, name), feed(), samples=2)
    assert report.n_decision_times == (6 if example in ON_PRICES else 5)
    assert report.failures.is_empty()
    assert report.leaks.is_empty()


@pytest.mark.parametrize(("example", "name"), CASES)
def test_look_ahead_would_be_found(example: str, name: str) -> None:
    report = check_lookahead(
        lambda prices: Clairvoyant(provider_of(example, name), prices), feed(), samples=1
    )
    assert report.leaks.height > 0


def test_the_turnover_limit_holds() -> None:
    provider = provider_of("with_skfolio", "turnover limit")
    result = run_provider(feed(), provider, "month_end")
    assert result.optimizations.filter(status="ok").height == 5
    asked = result.rebalances["requested_weight"].to_numpy().reshape(5, 20)
    held = result.rebalances["current_weight"].to_numpy().reshape(5, 20).copy()
    held[0] = 0.05  # it starts from these
    moved = np.abs(asked - held).max(axis=1)
    # Somewhere the limit binds, to what the solver is exact to.
    np.testing.assert_allclose(moved, 0.02, atol=1e-6)
