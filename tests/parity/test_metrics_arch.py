"""The block length of the bootstrap beside that of arch, on real returns."""

from __future__ import annotations

from typing import Any

import pytest

from ml4t.backtest import metrics
from parity.real_returns import EXACT, NAMES, load_returns

bootstrap = pytest.importorskip("arch.bootstrap")


@pytest.fixture(scope="module")
def returns() -> Any:
    return load_returns()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("power", [1, 2])
def test_block_length(name: str, power: int, returns: Any) -> None:
    # squares, whose dependence lasts, too
    values = returns[name].to_numpy() ** power
    theirs = float(bootstrap.optimal_block_length(values)["stationary"].iloc[0])
    # below 1 no block can be
    assert metrics.optimal_block_length(values) == pytest.approx(max(theirs, 1.0), **EXACT)
