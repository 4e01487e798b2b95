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
from ml4t.backtest.execution.decision_times import Schedule, check_schedule, decision_bars
from ml4t.backtest.execution.rebalancer import TargetWeightExecutor, WeightProvider
from ml4t.backtest.execution.triggers import DriftTrigger
from ml4t.backtest.feed.view import BarData, place_of
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
    trigger : DriftTrigger, optional
        Trades back to the last answer of the provider when the account has drifted from it, as
        `DriftTrigger` says. None: only what the schedule decides is traded.

    Raises
    ------
    ValueError
        For a provider without `get_weights` and an unknown schedule; from the first bar on for
        dates that do not fit the feed, and for weights of an asset that the feed does not have.

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
        trigger: DriftTrigger | None = None,
    ) -> None:
        check_provider(provider)
        check_schedule(schedule)
        if executor is not None and not callable(getattr(executor, "execute", None)):
            raise InputError(
                f"executor: {shown(executor)} is no TargetWeightExecutor; pass one, or None"
            )
        if trigger is not None and not isinstance(trigger, DriftTrigger):
            raise InputError(f"trigger: {shown(trigger)} is no DriftTrigger; pass one, or None")
        self.provider = provider
        self.trigger = trigger
        self.schedule = schedule
        self.executor = TargetWeightExecutor() if executor is None else executor
        self._forget()

    def on_start(self, broker: Broker) -> None:
        """Forget an earlier run."""
        reset(self.provider)
        self._forget()

    def _forget(self) -> None:
        self._log = FitLog()
        self._decides: NDArray[np.bool_] | None = None
        self._targets: dict[str, float] | None = None

    def on_data(
        self, timestamp: datetime, data: BarData, context: Mapping[str, Any], broker: Broker
    ) -> None:
        """Ask if the schedule says so, and trade if there is reason to.

        Parameters
        ----------
        timestamp, data, context, broker
            As in `Strategy.on_data`.
        """
        bars, row = place_of(data)
        if self._decides is None:
            self._decides = decision_bars(self.schedule, bars)
        weights = None
        if self._decides[row]:
            weights = decide(self.provider, data, broker, self._log)
        if self.trigger is not None:
            weights = self._drifted(self.trigger, weights, data, broker)
        if weights is not None:
            self.executor.execute(weights, data, broker)

    def _drifted(
        self,
        trigger: DriftTrigger,
        weights: dict[str, float] | None,
        data: BarData,
        broker: Broker,
    ) -> dict[str, float] | None:
        """Return what the trigger sends; `weights` are those that were decided now, if any."""
        self._targets = self._targets if weights is None else weights
        if self._targets is None:
            return None
        effective = self.executor.effective_weights(data, broker)
        rules = self.executor.config or broker.config.rebalance
        return trigger.weights_to_send(self._targets, effective, weights is not None, data, rules)

    def on_end(self, broker: Broker) -> None:
        """End the worker process of the provider, if it has one."""
        reset(self.provider)

    def tables(self) -> dict[str, pl.DataFrame]:
        """Return the record of what was asked: ``optimizations`` and ``excluded_assets``."""
        return self._log.tables()
