"""All decisions of a provider that does not look at the account, before anything is traded."""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from contextlib import closing
from typing import Any

import numpy as np

from ml4t.backtest.config import BacktestConfig
from ml4t.backtest.errors import ConfigError, WeightsError, shown
from ml4t.backtest.execution.alignment import AlignedSchedule
from ml4t.backtest.execution.decision_times import Schedule, decision_bars
from ml4t.backtest.execution.triggers import DriftTrigger
from ml4t.backtest.execution.weights import weights_vector
from ml4t.backtest.feed.bars import Bars
from ml4t.backtest.feed.view import BarData
from ml4t.backtest.optimizers.asking import (
    decide,
    is_fitted,
    is_plain,
    name_of,
    reset,
    uses_account,
    warn_if_empty,
)
from ml4t.backtest.optimizers.fit_log import FitLog
from ml4t.backtest.progress import tracked
from ml4t.backtest.records import Floats

#: Weights that are laid out at once.
_CELLS_AT_ONCE = 1_000_000


def n_processes(n_jobs: object) -> int:
    """Return how many fits run at once; -1 are all cores that this process may use.

    Raises
    ------
    ValueError
        For another number, and for what is no integer.
    """
    if isinstance(n_jobs, (int, np.integer)) and not isinstance(n_jobs, bool):
        if n_jobs >= 1:
            return int(n_jobs)
        if n_jobs == -1:
            has_affinity = hasattr(os, "sched_getaffinity")
            return len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    raise ConfigError(f"n_jobs={shown(n_jobs)} must be an integer of 1 or more, or -1 (all cores)")


def check_can_be_parallel(
    provider: object, trigger: DriftTrigger | None, config: BacktestConfig
) -> None:
    """Raise `ValueError` where fits side by side would not give what one after the other do."""
    name = name_of(provider)
    if uses_account(provider):
        why = f"{name} looks at the account, so that each decision waits for the trades before it"
    elif trigger is not None:
        why = "the trigger looks at the account at every bar, so that the run is an Engine's"
    elif not config.costs.is_compiled:
        why = "a cost model of your own is run in an Engine"
    elif not is_fitted(provider) and not is_plain(provider):
        why = (
            f"{name} has a get_weights of its own, which may keep something from one call to the "
            "next; pass its function to CallableWeights"
        )
    else:
        return
    raise ConfigError(f"n_jobs: decisions cannot be made side by side, since {why}; leave it out")


def decided_ahead(
    provider: Any, schedule: Schedule, bars: Bars, log: FitLog, progress: bool, n_workers: int
) -> AlignedSchedule:
    """Ask a provider at every bar of the schedule.

    Parameters
    ----------
    provider : WeightProvider
        One that does not look at the account.
    schedule : str, Every, OnDates or callable
    bars : Bars
    log : FitLog
        Notes every answer.
    progress : bool
    n_workers : int
        Fits at a time, each in a process of its own; 1: in this one.
    """
    row_of_bar = np.full(bars.times.size, -1, np.int64)
    rows: list[Floats] = []
    at = np.flatnonzero(decision_bars(schedule, bars)).tolist()
    reset(provider)
    try:
        with (
            closing(_answers(provider, bars, at, log, n_workers)) as answers,
            tracked(zip(at, answers, strict=True), len(at), "decisions", progress) as shown_,
        ):
            for bar, row in shown_:
                if row is not None:
                    row_of_bar[bar] = len(rows)
                    rows.append(row)
    finally:
        reset(provider)
    matrix = np.array(rows, np.float64).reshape(len(rows), len(bars.assets))
    matrix.flags.writeable = row_of_bar.flags.writeable = False
    return AlignedSchedule(row_of_bar, matrix)


def _answers(
    provider: Any, bars: Bars, at: list[int], log: FitLog, n_workers: int
) -> Generator[Floats | None]:
    """Yield a row of weights for each bar, None for no rebalance."""
    if is_plain(provider):
        yield from _plain_answers(provider, bars, at, log)
    elif n_workers > 1 and is_fitted(provider):
        with closing(provider.fitted_ahead((BarData(bars, bar) for bar in at), n_workers)) as fits:
            for bar, fitted in zip(at, fits, strict=True):
                data = BarData(bars, bar)
                yield _row(bars, decide(provider, data, None, log, fitted))
    else:
        for bar in at:
            yield _row(bars, decide(provider, BarData(bars, bar), None, log))


def _row(bars: Bars, weights: dict[str, float] | None) -> Floats | None:
    return None if weights is None else weights_vector(weights, bars.assets, bars.index)


def _plain_answers(provider: Any, bars: Bars, at: list[int], log: FitLog) -> Generator[Floats]:
    """Yield the rows of a provider that has them without a dict for each; as `decide` else."""
    name = name_of(provider)
    at_once = max(_CELLS_AT_ONCE // len(bars.assets), 1)
    for first in range(0, len(at), at_once):
        some = at[first : first + at_once]
        begun = time.perf_counter()
        try:
            rows = provider.rows(bars.assets, bars.close[some])
        except WeightsError as error:
            error.add_note(f"ml4t.backtest: {name} failed at {bars.timestamps[some[0]]}")
            raise
        is_empty = np.isnan(rows).all(axis=1)
        rows[is_empty] = 0.0
        seconds = (time.perf_counter() - begun) / len(some)
        for bar, row, sells_all in zip(some, rows, is_empty.tolist(), strict=True):
            data = BarData(bars, bar)
            log.add(data, name, "ok", seconds)
            if sells_all:
                warn_if_empty({}, name, data)
            yield row
