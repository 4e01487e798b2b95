"""What is compared: a program that can run a workload."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.scenarios import Workload

#: A run that is ready: called, it computes everything anew and returns the outcome.
Run = Callable[[], Any]


@dataclass(frozen=True)
class Contender:
    """A program that can run a workload.

    Attributes
    ----------
    name : str
        As the tables print it.
    package : str
        The distribution whose version the tables print.
    prepare : callable
        Takes a `Workload` and returns a run. What it does is not timed: it puts the prices and
        weights into the objects that the program wants.
    final_equity : callable or None
        Returns the equity at the last close from what a run returned. None: there is none, the
        run is a floor without an account.
    agrees : bool
        Whether its equity must be that of the others. If not, the tables print the difference.
    slow : bool
        Whether it is run on small scenarios only, unless asked for.
    """

    name: str
    package: str
    prepare: Callable[[Workload], Run]
    final_equity: Callable[[Any], float] | None
    agrees: bool = True
    slow: bool = False
