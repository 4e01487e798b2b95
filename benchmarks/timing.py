"""Outcomes are compared first, then times are taken, in turn."""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from statistics import median

from benchmarks.contender import Contender, Run
from benchmarks.scenarios import Scenario, Workload, make_workload

#: How far the final equities of one convention may be apart, as a fraction.
TOLERANCE = 1e-9
#: A program that takes longer than this in its first full run is timed once, in seconds.
LONG = 60.0


@dataclass(frozen=True)
class Measured:
    """What one program took for one scenario.

    Attributes
    ----------
    contender : Contender
    scenario : Scenario
    seconds : list of float
        One a run.
    difference : float or None
        Final equity over that of the first program, less 1. None: it has no equity.
    """

    contender: Contender
    scenario: Scenario
    seconds: list[float]
    difference: float | None

    @property
    def median(self) -> float:
        """Seconds of a run."""
        return median(self.seconds)


def measure(
    contenders: Sequence[Contender], workload: Workload, repetitions: int
) -> list[Measured]:
    """Compare the final equities, then time every program.

    Parameters
    ----------
    contenders : sequence of Contender
        The first must have an equity: the others are compared with it.
    workload : Workload
    repetitions : int
        How many runs are timed, after one that is not.

    Raises
    ------
    RuntimeError
        If a final equity differs that must not; nothing has been timed then.
    """
    runs: list[Run] = []
    differences, counts = [], []
    reference = None
    for contender in contenders:
        warm_up(contender)
        run = contender.prepare(workload)
        seconds, outcome = timed(run)
        difference = None
        if contender.final_equity is not None:
            equity = contender.final_equity(outcome)
            reference = equity if reference is None else reference
            difference = equity / reference - 1.0
            if contender.agrees and not abs(difference) <= TOLERANCE:
                raise RuntimeError(
                    f"{workload.scenario.name}: {contender.name} ends with {equity!r}, "
                    f"{contenders[0].name} with {reference!r}: one of them is wrong, so no time "
                    "is taken"
                )
        runs.append(run)
        differences.append(difference)
        counts.append(1 if seconds > LONG else repetitions)
    del outcome
    taken: list[list[float]] = [[] for _ in runs]
    # Else each would pay for the search for garbage among the objects of all the others.
    gc.collect()
    gc.freeze()
    for k in range(repetitions):  # in turn, so that a drift of the machine hits all
        for run, seconds_of, count in zip(runs, taken, counts, strict=True):
            if k < count:
                seconds_of.append(timed(run)[0])
    gc.unfreeze()
    return [
        Measured(contender, workload.scenario, seconds_of, difference)
        for contender, seconds_of, difference in zip(contenders, taken, differences, strict=True)
    ]


def timed(run: Run) -> tuple[float, object]:
    """Return the seconds of a run, and its outcome."""
    gc.collect()
    start = time.perf_counter()
    outcome = run()
    return time.perf_counter() - start, outcome


@cache
def warm_up(contender: Contender) -> None:
    """Run something small, so that everything is compiled."""
    contender.prepare(make_workload(Scenario("warm-up", 3, 40, 7)))()
