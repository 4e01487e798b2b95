"""One fit: here, or in a worker process that can be stopped."""

from __future__ import annotations

import multiprocessing
import pickle
import warnings
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

from ml4t.backtest.errors import InputError, OptimizationError, shown
from ml4t.backtest.optimizers.history import Past

# The answer to "are you there": what it imports counts as no time of a fit.
_READY = "ready"


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
    """

    status: str
    weights: dict[str, float]
    error: Exception | None
    message: str
    warnings: str


def fit(task: Task, past: Past, current: Mapping[str, float] | None) -> Outcome:
    """Run a task; what it raises and warns of is in the outcome."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        weights: dict[str, float] = {}
        error: Exception | None = None
        try:
            weights, message = task(past, current)
        except Exception as raised:  # an optimizer may raise anything
            error, message = raised, f"{type(raised).__name__}: {raised}"
    texts = dict.fromkeys(f"{one.category.__name__}: {one.message}" for one in caught)
    return Outcome("ok" if error is None else "failed", weights, error, message, "\n".join(texts))


class Worker:
    """Runs a task in a process of its own, which is ended if it takes too long.

    The process starts with the first fit and stays for the next ones.

    Parameters
    ----------
    task : Task
        Picklable.
    time_limit : float
        Seconds for one fit; the start of the process does not count.

    Raises
    ------
    ValueError
        For a task that cannot be pickled.
    """

    def __init__(self, task: Task, time_limit: float) -> None:
        try:
            self._task = pickle.dumps(task)
        except Exception as error:  # pickle raises whatever the parts of an object raise
            raise InputError(
                "time_limit: a fit runs in a worker process, to which this one cannot be sent: "
                f"{error}; pass a function that is defined at the top of a module (no lambda), or "
                "leave time_limit out"
            ) from None
        self._limit = time_limit
        self._connection: Connection | None = None
        self._stop: weakref.finalize[Any, Any] | None = None
        self._process: Any = None

    def fit(self, past: Past, current: Mapping[str, float] | None) -> Outcome:
        """Run the task there."""
        try:
            if self._connection is None:
                self._start()
            connection = self._ready
            connection.send((past, current))
            if not wait([connection, self._process.sentinel], self._limit):
                self.stop()
                text = f"no answer within time_limit={self._limit:g} seconds"
                return Outcome("timed_out", {}, OptimizationError(text), text, "")
            answer = connection.recv()
        except (EOFError, OSError):
            code = self._end()
            text = (
                f"the worker process ended, exit code {code}; a script that uses time_limit= runs "
                'its own part under if __name__ == "__main__":'
            )
            return Outcome("failed", {}, OptimizationError(text), text, "")
        except BaseException:  # Ctrl-C: an answer that comes later would be taken for the next
            self.stop()
            raise
        assert isinstance(answer, Outcome)
        return answer

    @property
    def _ready(self) -> Connection:
        assert self._connection is not None
        return self._connection

    def _start(self) -> None:
        # Not forked: a copy of a process with threads may lock up.
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self._task), daemon=True)
        process.start()
        theirs.close()
        self._connection, self._process = ours, process
        self._stop = weakref.finalize(self, _stop, process, ours)
        if ours.recv() != _READY:
            raise EOFError

    def _end(self) -> Any:
        """Return the exit code of a process that has ended."""
        if self._process is None:  # it did not even start
            return None
        self._process.join(1.0)
        code = self._process.exitcode
        self.stop()
        return code

    def stop(self) -> None:
        """End the process; the next fit starts another one."""
        if self._stop is not None:
            self._stop()
        self._connection = self._process = self._stop = None


def _stop(process: Any, connection: Connection) -> None:
    connection.close()
    process.terminate()
    process.join(1.0)
    if process.exitcode is None:
        process.kill()
        process.join()
    process.close()


def _serve(connection: Connection, pickled: bytes) -> None:
    """Fit what comes until nobody is there any more."""
    task = pickle.loads(pickled)
    connection.send(_READY)
    while True:
        try:
            past, current = connection.recv()
        except EOFError:
            return
        outcome = fit(task, past, current)
        try:
            content = pickle.dumps(outcome)
            pickle.loads(content)
        except Exception:  # an error that cannot be sent; its text can
            told = OptimizationError(shown(outcome.message, 2000))
            outcome = Outcome(outcome.status, {}, told, outcome.message, outcome.warnings)
            content = pickle.dumps(outcome)
        connection.send_bytes(content)
