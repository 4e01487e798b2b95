"""Every run that a test makes is audited, and every broker that it steps by hand."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import pytest

from helpers import Diary
from ml4t.backtest import BacktestConfig, BacktestResult, Broker, Engine, replay
from ml4t.backtest.feed.bars import Bars
from ml4t.backtest.frames import LedgerFrames
from ml4t.backtest.ledger.ledger import Ledger


@pytest.fixture(scope="session", autouse=True)
def _audited_runs() -> Iterator[None]:
    """Hold the books of every run to be in order, whichever road it takes."""
    plain = Engine.run

    @functools.wraps(plain)
    def run(self: Engine, *args: Any, **kwargs: Any) -> BacktestResult:
        result = plain(self, *args, **kwargs)
        assert result.audit() == []
        return result

    plain_replay = replay.replay_schedule

    @functools.wraps(plain_replay)
    def replayed(bars: Bars, schedule: Any, config: BacktestConfig) -> Ledger:
        ledger = plain_replay(bars, schedule, config)
        assert BacktestResult(config, LedgerFrames(bars, ledger), {}).audit() == []
        return ledger

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Engine, "run", run)
        patch.setattr(replay, "replay_schedule", replayed)
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
