"""Every run that a test makes is audited, and every broker that it steps by hand."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import pytest

from helpers import Diary
from ml4t.backtest import BacktestResult, Broker, Engine
from ml4t.backtest.feed.bars import Bars


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


@pytest.fixture(autouse=True)
def _audited_brokers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hold the books of every broker that was made without bars to be in order, at the end."""
    diaries: dict[int, Diary] = {}
    plain_init, plain_step = Broker.__init__, Broker.step

    @functools.wraps(plain_init)
    def init(self: Broker, *args: Any, bars: Bars | None = None, **kwargs: Any) -> None:
        plain_init(self, *args, bars=bars, **kwargs)
        if bars is None:
            diaries[id(self)] = Diary(self)  # which keeps the broker, and so its id

    @functools.wraps(plain_step)
    def step(self: Broker, *args: Any, **kwargs: Any) -> None:
        if id(self) in diaries:
            diaries[id(self)].note()
        plain_step(self, *args, **kwargs)

    monkeypatch.setattr(Broker, "__init__", init)
    monkeypatch.setattr(Broker, "step", step)
    yield
    for diary in diaries.values():
        diary.note()
        assert diary.result().audit() == []
