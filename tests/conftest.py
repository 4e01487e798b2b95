"""Every run that a test makes is audited."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import pytest

from ml4t.backtest import BacktestResult, Engine


@pytest.fixture(scope="session", autouse=True)
def _audited_runs() -> Iterator[None]:
    """Hold the books of every result of `Engine.run` to be in order."""
    plain = Engine.run

    @functools.wraps(plain)
    def run(self: Engine, *args: Any, **kwargs: Any) -> BacktestResult:
        result = plain(self, *args, **kwargs)
        assert result.audit() == []
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Engine, "run", run)
        yield
