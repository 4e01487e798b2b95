"""A strategy that only sets weights: a provider and when to ask it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ml4t.backtest.broker import Broker
from ml4t.backtest.errors import InputError, shown
from ml4t.backtest.execution.decision_times import Schedule, decision_bars
from ml4t.backtest.execution.rebalancer import TargetWeightExecutor, WeightProvider
from ml4t.backtest.feed.view import BarData, bars_behind
from ml4t.backtest.optimizers.asking import check_provider, decide, reset
from ml4t.backtest.optimizers.fit_log import FitLog
from ml4t.backtest.strategy import Strategy


class WeightStrategy(Strategy):
    """Asks a weight provider at the bars of a schedule and trades what it says.

    The result of a run has a row for each answer in `BacktestResult.optimizations`, and the
    assets that a provider was not given in ``result.tables["excluded_assets"]``, with the reason.

    Parameters
    ----------
    provider : WeightProvider
        Anything with ``get_weights(data, broker)``. Where it raises `NoDecisionError` there is no
        rebalance; any other exception ends the run.
    schedule : str, Every, OnDates or callable
        When it is asked, at the close of the bar; see `decision_bars`.
    executor : TargetWeightExecutor, optional
        None: one with the rules of the run's ``config.rebalance``.

    Raises
    ------
    ValueError
        For a provider without `get_weights`; from the first bar on for a schedule that cannot be
        used, and for weights of an asset that the feed does not have.

    Warns
    -----
    OptimizationWarning
        For an answer without a weight: everything is sold.

    Examples
    --------
    >>> run_backtest(prices, WeightStrategy(EqualWeights(), "week_end"))  # doctest: +SKIP
    """

    def __init__(
        self,
        provider: WeightProvider,
        schedule: Schedule = "month_end",
        executor: TargetWeightExecutor | None = None,
    ) -> None:
        check_provider(provider)
        if executor is not None and not callable(getattr(executor, "execute", None)):
            raise InputError(
                f"executor: {shown(executor)} is no TargetWeightExecutor; pass one, or None"
            )
        self.provider = provider
        self.schedule = schedule
        self.executor = TargetWeightExecutor() if executor is None else executor
        self._log = FitLog()
        self._decides: NDArray[np.bool_] | None = None
        self._bar = -1

    def on_start(self, broker: Broker) -> None:
        """Forget an earlier run."""
        reset(self.provider)
        self._log = FitLog()
        self._decides = None
        self._bar = -1

    def on_data(
        self, timestamp: datetime, data: BarData, context: Mapping[str, Any], broker: Broker
    ) -> None:
        """Ask and trade, if the schedule says so."""
        if self._decides is None:
            self._decides = decision_bars(self.schedule, bars_behind(data))
        self._bar += 1
        if not self._decides[self._bar]:
            return
        weights = decide(self.provider, data, broker, self._log)
        if weights is not None:
            self.executor.execute(weights, data, broker)

    def on_end(self, broker: Broker) -> None:
        """End the worker process of the provider, if it has one."""
        reset(self.provider)

    def tables(self) -> dict[str, pl.DataFrame]:
        """Return the record of what was asked: ``optimizations`` and ``excluded_assets``."""
        return self._log.tables()
