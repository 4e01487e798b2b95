"""Fits in processes of their own: one that can be stopped, or several side by side."""

from __future__ import annotations

import multiprocessing
import pickle
import signal
import time
import traceback
import weakref
from collections import deque
from collections.abc import Generator, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from ml4t.backtest.errors import InputError, OptimizationError, shown
from ml4t.backtest.optimizers.fitting import Outcome, Task, fit
from ml4t.backtest.optimizers.history import Past

#: What a worker says once it has all that it needs: its imports count as no time of a fit.
_READY = "ready"
#: Questions in memory for each worker: answers wait for those before them.
_AHEAD = 4


def pickled(task: Task, option: str) -> bytes:
    """Return a task as it is sent to a worker process.

    Parameters
    ----------
    task : Task
    option : str
        The argument that asks for worker processes, for the message.

    Raises
    ------
    ValueError
        For a task that cannot be sent.
    """
    try:
        return pickle.dumps(task)
    except Exception as error:  # pickle raises whatever the parts of an object raise
        raise InputError(
            f"{option}: a fit runs in a worker process, to which this one cannot be sent: "
            f"{error}; pass a function that is defined at the top of a module (no lambda), or "
            f"leave {option} out"
        ) from None


@dataclass(frozen=True)
class _Refusal:
    """What a worker says that cannot be used."""

    text: str


class Worker:
    """Runs a task in a process of its own, which is ended if it takes too long.

    The process starts with the first fit and stays for the next ones.

    Parameters
    ----------
    task : bytes
        From `pickled`.
    time_limit : float or None
        Seconds for one fit; the start of the process does not count.
    is_one_of_many : bool
        Whether others run the same task: then it must not change from fit to fit.
    """

    def __init__(self, task: bytes, time_limit: float | None, is_one_of_many: bool = False) -> None:
        self._task = task
        self._limit = time_limit
        self._is_one_of_many = is_one_of_many
        self._has_started = False
        self._forget()

    def _forget(self) -> None:
        self._process: Any = None
        self._connection: Connection | None = None
        self._stop: weakref.finalize[Any, Any] | None = None
        self._question: tuple[Past, Mapping[str, float] | None] | None = None
        self._sent_at: float | None = None

    def fit(self, past: Past, current: Mapping[str, float] | None) -> Outcome:
        """Run the task there.

        Raises
        ------
        ValueError
            If no process can be started that knows the task.
        """
        try:
            self.begin(past, current)
            while (outcome := self.news()) is None:
                wait(self.waits_for, self.time_left)
        except BaseException:  # Ctrl-C: an answer that comes later would be taken for the next
            self.stop()
            raise
        return outcome

    def begin(self, past: Past, current: Mapping[str, float] | None) -> None:
        """Ask; `news` has the answer."""
        self._question = past, current
        if self._process is None:
            self._start()
        else:
            self._send()

    @property
    def waits_for(self) -> list[Any]:
        """Return what `multiprocessing.connection.wait` takes: one is ready when there is news."""
        return [self._connection, self._process.sentinel]

    @property
    def time_left(self) -> float | None:
        """Seconds until the fit has taken too long; None: there is no such time."""
        if self._limit is None or self._sent_at is None:
            return None
        return max(self._limit - (time.perf_counter() - self._sent_at), 0.0)

    def news(self) -> Outcome | None:
        """Return what came of the fit; None: nothing yet. Does not wait.

        Raises
        ------
        ValueError
            As `fit`.
        """
        assert self._connection is not None
        has_ended = self._process.exitcode is not None  # asked first: its last words may come yet
        try:
            if self._connection.poll():
                return self._take(self._connection.recv())
        except (EOFError, OSError):
            has_ended = True
        if has_ended:
            return self._died()
        if self.time_left == 0.0:
            return self._failed("timed_out", f"no answer within time_limit={self._limit:g} seconds")
        return None

    def _take(self, message: Any) -> Outcome | None:
        if message == _READY:
            self._has_started = True
            self._send()
            return None
        if isinstance(message, _Refusal):
            self.stop()
            raise InputError(message.text)
        assert isinstance(message, Outcome)
        self._question = self._sent_at = None
        return message

    def _send(self) -> None:
        assert self._connection is not None
        self._sent_at = time.perf_counter()
        with suppress(OSError):  # it has ended meanwhile, which `news` tells
            self._connection.send(self._question)

    def _start(self) -> None:
        # Not forked: a copy of a process with threads may lock up.
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        arguments = theirs, self._task, self._is_one_of_many
        process = context.Process(target=_serve, args=arguments, daemon=True)
        process.start()
        theirs.close()
        self._connection, self._process = ours, process
        self._stop = weakref.finalize(self, _stop, process, ours)

    def _died(self) -> Outcome:
        self._process.join(1.0)
        text = f"the worker process ended, exit code {self._process.exitcode}"
        if not self._has_started:
            self.stop()
            raise InputError(
                f"{text}, before it could fit; a script that uses time_limit= or n_jobs= runs its "
                'own part under if __name__ == "__main__":'
            )
        return self._failed("failed", text)

    def _failed(self, status: str, text: str) -> Outcome:
        seconds = 0.0 if self._sent_at is None else time.perf_counter() - self._sent_at
        self.stop()
        return Outcome(status, {}, OptimizationError(text), text, "", seconds)

    def stop(self) -> None:
        """End the process; the next fit starts another one."""
        if self._stop is not None:
            self._stop()
        self._forget()


def side_by_side(
    task: bytes, pasts: Iterable[Past | None], n_workers: int, time_limit: float | None
) -> Generator[Outcome | None]:
    """Fit in several processes at once, and yield what came of it in the order of the questions.

    Close the generator to end the processes before it is exhausted.

    Parameters
    ----------
    task : bytes
        From `pickled`.
    pasts : iterable
        None: there is nothing to fit. Taken a few ahead of what is yielded.
    n_workers : int
        Fewer start if there is less to do.
    time_limit : float or None
        As in `Worker`.

    Raises
    ------
    ValueError
        If no process can be started that knows the task, and if the task changes with a fit.
    """
    workers = [Worker(task, time_limit, is_one_of_many=True) for _ in range(n_workers)]
    idle, busy = workers[::-1], dict[Worker, _Slot]()
    slots = deque[_Slot]()
    rest = iter(pasts)
    try:
        while True:
            while idle and len(slots) < _AHEAD * n_workers:
                try:
                    past = next(rest)
                except StopIteration:
                    break
                slots.append(_Slot(is_done=past is None))
                if past is not None:
                    idle[-1].begin(past, None)
                    busy[idle.pop()] = slots[-1]
            if not slots:
                return
            is_next_done = slots[0].is_done
            if busy:
                _wait(list(busy), 0.0 if is_next_done else None)
                for worker, slot in list(busy.items()):
                    outcome = worker.news()
                    if outcome is not None:
                        slot.is_done, slot.outcome = True, outcome
                        del busy[worker]
                        idle.append(worker)
            if is_next_done:
                yield slots.popleft().outcome
    finally:
        for worker in workers:
            worker.stop()


@dataclass
class _Slot:
    """The place of an answer among the others."""

    is_done: bool
    outcome: Outcome | None = None


def _wait(workers: list[Worker], most: float | None) -> None:
    """Wait until one of the workers has news, or for so many seconds."""
    limits = [left for left in (most, *(one.time_left for one in workers)) if left is not None]
    wait([each for one in workers for each in one.waits_for], min(limits, default=None))


def _stop(process: Any, connection: Connection) -> None:
    connection.close()
    process.terminate()
    process.join(1.0)
    if process.exitcode is None:
        process.kill()
        process.join()
    process.close()


def _serve(connection: Connection, task: bytes, is_one_of_many: bool) -> None:
    """Fit what comes until nobody is there any more."""
    # Ctrl-C reaches every process of a terminal; the one that asks decides what becomes of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        own = pickle.loads(task)
        before = pickle.dumps(own) if is_one_of_many else b""
    except Exception as error:
        text = (
            f"a fit runs in a worker process, which does not find it: {error}; define it at the "
            "top of a module that can be imported, not in a notebook or an interactive session"
        )
        connection.send(_Refusal(text))
        return
    connection.send(_READY)
    while True:
        try:
            past, current = connection.recv()
        except (EOFError, OSError):
            return
        answer = _answer(fit(own, past, current))
        if is_one_of_many and not _is_as(before, own):
            refusal = _Refusal(
                "n_jobs: the fit has changed what it was made of, so that its answers depend on "
                "those before; leave n_jobs out, or keep nothing from one call to the next"
            )
            answer = pickle.dumps(refusal)
        try:
            connection.send_bytes(answer)
        except OSError:  # nobody waits for it any more
            return


def _answer(outcome: Outcome) -> bytes:
    """Return an outcome that can be read on the other side, with where its error arose."""
    if outcome.error is None:
        return pickle.dumps(outcome)
    where = "".join(traceback.format_exception(outcome.error))
    outcome.error.add_note(f"ml4t.backtest: in the worker process:\n{where}")
    try:
        content = pickle.dumps(outcome)
        pickle.loads(content)
    except Exception:  # an error that cannot be sent; its text can
        told = OptimizationError(shown(outcome.message, 2000))
        told.add_note(f"ml4t.backtest: in the worker process:\n{where}")
        outcome = Outcome(
            outcome.status, {}, told, outcome.message, outcome.warnings, outcome.seconds
        )
        content = pickle.dumps(outcome)
    return content


def _is_as(before: bytes, task: Task) -> bool:
    """Whether a task is still what it was when it came."""
    try:
        return pickle.dumps(task) == before
    except Exception:  # it holds something now that it did not hold before
        return False
