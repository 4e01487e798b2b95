"""Ask a weight provider: what it says, what is done where it fails, and the record of both."""

from __future__ import annotations

import inspect
import time
import warnings
from collections.abc import Generator, Iterable, Mapping
from itertools import tee
from typing import Any, NamedTuple

from ml4t.backtest.errors import (
    ConfigError,
    InputError,
    NoDecisionError,
    OptimizationWarning,
    nearest,
    shown,
)
from ml4t.backtest.execution.weights import as_weights, check_known
from ml4t.backtest.feed.view import BarData, place_of
from ml4t.backtest.numeric import is_finite, is_real
from ml4t.backtest.optimizers.fit_log import FitLog
from ml4t.backtest.optimizers.fitting import Outcome, Task, fit
from ml4t.backtest.optimizers.history import HistoryRules, Selection
from ml4t.backtest.optimizers.run_so_far import RunSoFar
from ml4t.backtest.optimizers.solver_dust import without_solver_dust
from ml4t.backtest.optimizers.workers import Worker, pickled, side_by_side
from ml4t.backtest.records import Floats

POLICIES = ("raise", "hold", "previous", "equal", "cash")


def check_provider(provider: object, what: str = "provider") -> None:
    """Raise `ValueError` for what is no weight provider."""
    if isinstance(provider, type) or not callable(getattr(provider, "get_weights", None)):
        raise InputError(
            f"{what}: {shown(provider)} is not an object with a method get_weights(data, broker); "
            "pass one, such as EqualWeights(), SkfolioWeights(estimator, lookback=252), or "
            "CallableWeights(function, lookback=252) for a function"
        )
    try:
        inspect.signature(provider.get_weights).bind(None, None)  # type: ignore[attr-defined]
    except TypeError:
        raise InputError(
            f"{what}: get_weights of {shown(provider)} is not called with (data, broker); define "
            "it as get_weights(self, data, broker), also where it does not read the broker"
        ) from None
    except ValueError:  # some built-in functions do not tell
        return


def uses_account(provider: object) -> bool:
    """Whether a provider looks at the account; one that does not say may."""
    return bool(getattr(provider, "uses_account", True))


def name_of(provider: object) -> str:
    """Return what a provider is called in the record."""
    return str(getattr(provider, "name", type(provider).__name__))


class PlainWeights:
    """Base of the providers whose answers are known to be good, and need no look at the account."""

    uses_account = False

    def rows(self, assets: tuple[str, ...], closes: Floats) -> Floats:
        """Return what `get_weights` says at several bars, as rows of a schedule.

        Parameters
        ----------
        assets : tuple of str
            All of the feed.
        closes : (n_decisions, n_assets)
            Of the bars that decide; NaN: no bar.

        Returns
        -------
        (n_decisions, n_assets) float64
            NaN: not in the targets.
        """
        raise NotImplementedError

    def get_weights(self, data: Any, broker: Any = None) -> dict[str, float]:
        """Return target weights by asset."""
        raise NotImplementedError


class Fitted(NamedTuple):
    """What a provider fits on, and what came of it; None where there is nothing to fit on."""

    found: Selection
    outcome: Outcome | None


class FittedWeights:
    """Base of the providers that fit something on the past; use `CallableWeights` and the like.

    Parameters
    ----------
    task : Task
    rules : HistoryRules
    name : str
        In the record of the fits.
    looks_at_account : bool
        Whether the task wants the present weights.
    on_failure : str or WeightProvider
    time_limit : float or None
    cutoff : float
        Fitted weights whose absolute value is below it are 0.0.
    """

    def __init__(
        self,
        task: Task,
        rules: HistoryRules,
        name: str,
        looks_at_account: bool,
        on_failure: object,
        time_limit: float | None,
        cutoff: float,
    ) -> None:
        if isinstance(on_failure, str):
            if on_failure not in POLICIES:
                raise ConfigError(
                    f"on_failure={shown(on_failure)} is unknown"
                    f"{nearest(on_failure, POLICIES, most=1)}; use one of {', '.join(POLICIES)}, "
                    "or another provider"
                )
        else:
            check_provider(on_failure, "on_failure")
        if time_limit is not None and not (
            is_real(time_limit) and is_finite(time_limit) and time_limit > 0.0
        ):
            raise ConfigError(f"time_limit={shown(time_limit)} must be seconds above 0, or None")
        if not (is_real(cutoff) and is_finite(cutoff) and 0.0 <= cutoff < 1.0):
            raise ConfigError(
                f"cutoff={shown(cutoff)} must be a weight, 0 or more and below 1, such as 1e-4; 0: "
                "no weight is changed"
            )
        self.name = name
        self._task = task
        self._rules = rules
        self._looks_at_account = looks_at_account
        self._on_failure = on_failure
        self._time_limit = None if time_limit is None else float(time_limit)
        self._cutoff = float(cutoff)
        self._worker: Worker | None = None
        if time_limit is not None:
            self._worker = Worker(pickled(task, "time_limit"), self._time_limit)
        self._so_far = RunSoFar()

    @property
    def uses_account(self) -> bool:
        """Whether the answer depends on the account, so that decisions cannot be made before."""
        fallback = self._on_failure
        return self._looks_at_account or (not isinstance(fallback, str) and uses_account(fallback))

    def reset(self) -> None:
        """Forget earlier answers and end the worker process; done when a run begins and ends."""
        self._so_far.forget()
        if self._worker is not None:
            self._worker.stop()
        reset(self._on_failure)

    def get_weights(self, data: Any, broker: Any = None) -> dict[str, float]:
        """Return target weights by asset.

        Parameters
        ----------
        data : BarData
            What `Strategy.on_data` got.
        broker : Broker or BrokerLike
            Looked at only if `uses_account`.

        Returns
        -------
        dict of str to float
            Empty: all cash.

        Raises
        ------
        NoDecisionError
            Where there is no decision: there are not enough bars yet, or the fit failed and
            nothing is to be done then.
        Exception
            What the fit raised, with ``on_failure="raise"``.
        """
        return self.answer(data, broker, FitLog())

    def _fitted_now(self, data: Any, broker: Any, so_far: RunSoFar) -> Fitted:
        """Fit on the bars up to now."""
        found = self._rules.select(data)
        if found.past is None:
            return Fitted(found, None)
        current = so_far.held(data, broker) if self._looks_at_account else None
        if self._worker is None:
            return Fitted(found, fit(self._task, found.past, current))
        return Fitted(found, self._worker.fit(found.past, current))

    def fitted_ahead(self, views: Iterable[BarData], n_workers: int) -> Generator[Fitted]:
        """Fit at several bars, `n_workers` at a time, without a look at the account.

        Parameters
        ----------
        views : iterable of BarData
        n_workers : int
            Processes.

        Yields
        ------
        Fitted
            For each bar, in order. Close the generator to end the processes before it is
            exhausted.
        """
        # One fills the processes, a few bars ahead of the other.
        ahead, behind = tee(self._rules.select(data) for data in views)
        task = pickled(self._task, "n_jobs")
        outcomes = side_by_side(task, (one.past for one in ahead), n_workers, self._time_limit)
        try:
            for outcome in outcomes:
                yield Fitted(next(behind), outcome)
        finally:
            outcomes.close()

    def answer(
        self,
        data: Any,
        broker: Any,
        log: FitLog,
        fitted: Fitted | None = None,
        so_far: RunSoFar | None = None,
    ) -> dict[str, float]:
        """Return the weights as `get_weights` does, and note every fit.

        `fitted` is what was fitted before; None: that is done now. `so_far` is what another one
        knows, which asks this one instead; None: this one decides.
        """
        known = self._so_far if so_far is None else so_far
        now: int | None = None
        if so_far is None and isinstance(data, BarData):
            bars, row = place_of(data)
            now = bars.times.item(row)
            if known.previous is not None and known.previous[0] >= now:
                known.forget()  # of another run, which was later
        found, outcome = self._fitted_now(data, broker, known) if fitted is None else fitted
        if outcome is None:
            log.add(data, self.name, "no_decision", message=found.problem, excluded=found.excluded)
            raise NoDecisionError(f"{self.name}: {found.problem}")
        outcome = outcome.with_assets_of(found, place_of(data)[0].index)
        fallback = None if outcome.status == "ok" else self._fallback_name(known)
        log.add(
            data,
            self.name,
            outcome.status,
            outcome.seconds,
            outcome.message,
            fallback,
            outcome.warnings,
            found.excluded,
        )
        if outcome.status == "ok":
            weights = without_solver_dust(outcome.weights, self._cutoff)
            if any(weights.values()) or not any(outcome.weights.values()):
                warn_if_empty(weights, self.name, data)
            else:
                warn_if_empty({}, self.name, data, f"weight of cutoff={self._cutoff:g} or more")
        else:
            weights = self._fall_back(outcome, found, data, broker, log, known)
        if now is not None:
            known.previous = now, dict(weights)
        return weights

    def _fallback_name(self, known: RunSoFar) -> str:
        if self._on_failure == "previous" and known.previous is None:
            return "hold"
        return self._on_failure if isinstance(self._on_failure, str) else name_of(self._on_failure)

    def _fall_back(
        self,
        outcome: Outcome,
        found: Selection,
        data: Any,
        broker: Any,
        log: FitLog,
        known: RunSoFar,
    ) -> dict[str, float]:
        policy = self._on_failure
        assert outcome.error is not None
        assert found.past is not None
        if policy == "raise":
            past = found.past
            outcome.error.add_note(
                f"ml4t.backtest: {self.name} failed at {data.timestamp} on {len(past.values)} rows "
                f"of {len(past.assets)} assets; on_failure= says what is to be done then"
            )
            raise outcome.error
        if policy == "cash":
            return {}
        if policy == "equal":
            return dict.fromkeys(found.past.assets, 1.0 / len(found.past.assets))
        if policy == "previous" and known.previous is not None:
            return dict(known.previous[1])
        if isinstance(policy, str):
            raise NoDecisionError(f"{self.name}: {outcome.message}") from outcome.error
        return ask(policy, data, broker, log, so_far=known)


def is_fitted(provider: object) -> bool:
    """Whether a provider fits as ours do: one that says something else itself is asked for that."""
    own = getattr(type(provider), "get_weights", None)
    return isinstance(provider, FittedWeights) and own is FittedWeights.get_weights


def is_plain(provider: object) -> bool:
    """Whether the `rows` of a provider are what it says; a subclass may say something else."""
    homes = {
        next((cls for cls in type(provider).__mro__ if name in vars(cls)), None)
        for name in ("rows", "get_weights")
    }
    return isinstance(provider, PlainWeights) and len(homes) == 1


def ask(
    provider: Any,
    data: Any,
    broker: Any,
    log: FitLog,
    fitted: Fitted | None = None,
    so_far: RunSoFar | None = None,
) -> dict[str, float]:
    """Return what a provider says, and note that it was asked; errors as in `get_weights`.

    `fitted` is what one of ours has fitted before; `so_far` what one knows that asks another.
    """
    if is_fitted(provider):
        weights: dict[str, float] = provider.answer(data, broker, log, fitted, so_far)
        return weights
    name = name_of(provider)
    begun = time.perf_counter()
    try:
        answer = provider.get_weights(data, broker)
        weights = answer if is_plain(provider) else as_weights(answer)
        if isinstance(data, BarData):
            check_known(weights, place_of(data)[0].index)
    except NoDecisionError as error:
        log.add(data, name, "no_decision", time.perf_counter() - begun, str(error))
        raise
    except Exception as error:
        message = f"{type(error).__name__}: {error}"
        log.add(data, name, "failed", time.perf_counter() - begun, message, "raise")
        error.add_note(f"ml4t.backtest: {name} failed at {_time_of(data)}")
        raise
    log.add(data, name, "ok", time.perf_counter() - begun)
    warn_if_empty(weights, name, data)
    return weights


def decide(
    provider: Any, data: BarData, broker: Any, log: FitLog, fitted: Fitted | None = None
) -> dict[str, float] | None:
    """Return the targets to trade, None for no rebalance.

    Without any weight they are 0 for every asset of the feed, so that all is sold whatever
    ``unmentioned`` says.
    """
    try:
        weights = ask(provider, data, broker, log, fitted)
    except NoDecisionError:
        return None
    return weights or dict.fromkeys(data.assets, 0.0)


def reset(provider: object) -> None:
    """Make a provider of ours forget its last run."""
    if isinstance(provider, FittedWeights):
        provider.reset()


def warn_if_empty(
    weights: Mapping[str, float], name: str, data: object, what: str = "weight"
) -> None:
    """Say that an answer without a weight sells everything."""
    if not weights:
        warnings.warn(
            f"{name} returned no {what} at {_time_of(data)}: everything is sold; raise "
            "NoDecisionError to leave the account as it is",
            OptimizationWarning,
            stacklevel=4,
        )


def _time_of(data: object) -> str:
    return str(data.timestamp) if isinstance(data, BarData) else "a time that data does not tell"
