"""One fit, and what came of it."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from ml4t.backtest.optimizers.history import Past


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
