"""One fit, and what came of it."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from ml4t.backtest.errors import WeightsError, shown
from ml4t.backtest.execution.weight_readers import read_labelled
from ml4t.backtest.execution.weights import as_weights, check_known
from ml4t.backtest.optimizers.history import Past, Selection

#: Assets that are named in a message.
_NAMED = 5


class Task(Protocol):
    """What is fitted: weights by asset, and a remark, from the past and the present weights."""

    def __call__(
        self, past: Past, current: Mapping[str, float] | None
    ) -> tuple[dict[str, float], str]:
        """Fit."""


@dataclass(frozen=True)
class Outcome:
    """What came of a fit.

    Attributes
    ----------
    status : {"ok", "failed", "timed_out"}
    weights : dict of asset to weight
        Empty where it is not ok.
    error : Exception or None
    message : str
        What the task remarked, or what is wrong.
    warnings : str
        What was warned of meanwhile, a line each; each text once.
    seconds : float
        How long it took; the start of a process does not count.
    """

    status: str
    weights: dict[str, float]
    error: Exception | None
    message: str
    warnings: str
    seconds: float

    def with_assets_of(self, found: Selection, index: Mapping[str, int]) -> Outcome:
        """Return this, or a failure where there are weights of assets that were not given.

        Parameters
        ----------
        found : Selection
            What was given to the fit, and why the rest was not.
        index : mapping of asset to column
            All of the feed.
        """
        given = () if found.past is None else found.past.assets
        others = sorted(self.weights.keys() - set(given))
        if not others:
            return self
        try:
            check_known(others, index)
        except WeightsError as unknown:
            error = unknown
        else:
            why = ", ".join(f"{shown(name)} ({found.excluded[name]})" for name in others[:_NAMED])
            more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
            error = WeightsError(
                f"weights: {why}{more}: not in the history that the fit was given; return weights "
                "of its columns, or let more assets in with min_history= and max_missing="
            )
        text = f"{type(error).__name__}: {error}"
        return replace(self, status="failed", weights={}, error=error, message=text)


def weights_of(answer: object, past: Past) -> dict[str, float]:
    """Return an answer as weights by asset; without labels they are of the assets of the past.

    Whether labels are of these assets is for `Outcome.with_assets_of` to say.
    """
    return as_weights(answer if isinstance(answer, Mapping) else read_labelled(answer, past.assets))


def fit(task: Task, past: Past, current: Mapping[str, float] | None) -> Outcome:
    """Run a task; what it raises and warns of is in the outcome."""
    begun = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        weights: dict[str, float] = {}
        error: Exception | None = None
        try:
            weights, message = task(past, current)
        except Exception as raised:  # an optimizer may raise anything
            error, message = raised, f"{type(raised).__name__}: {raised}"
    texts = dict.fromkeys(f"{one.category.__name__}: {one.message}" for one in caught)
    status = "ok" if error is None else "failed"
    seconds = time.perf_counter() - begun
    return Outcome(status, weights, error, message, "\n".join(texts), seconds)
