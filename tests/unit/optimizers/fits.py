"""Functions that are sent to worker processes: these import this module, and little else."""

from __future__ import annotations

import os
import time
import warnings
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

#: When some of them do not do what they do else: the ninth bar of the tests.
ODD = datetime(2024, 1, 9)


def fickle(history: pl.DataFrame) -> Any:
    """Raises, gives nothing, warns, sells everything, or gives weights, as the last price is."""
    kind = int(history["A"][-1] * 1000.0) % 5
    if kind == 0:
        raise ValueError(f"no solution at {history['timestamp'][-1]}")
    if kind == 1:
        return None
    if kind == 2:
        warnings.warn("nearly singular", UserWarning, stacklevel=1)
    if kind == 3:
        return {}
    last = history.tail(1).drop("timestamp").to_numpy()[0]
    return last / last.sum()


def half(history: Any) -> dict[str, float]:
    return {"A": 0.5}


def sleeps_once(history: pl.DataFrame) -> dict[str, float]:
    if history["timestamp"][-1] == ODD:
        time.sleep(600.0)
    return {"A": 0.5}


def dies_once(history: pl.DataFrame) -> dict[str, float]:
    if history["timestamp"][-1] == ODD:
        os._exit(7)
    return {"A": 0.5}


def signs_and_sleeps(history: pl.DataFrame) -> dict[str, float]:
    (Path(os.environ["SIGNS_OF_LIFE"]) / str(os.getpid())).touch()
    time.sleep(600.0)
    return {"A": 0.5}


class Smoothed:
    """A function with a memory."""

    def __init__(self) -> None:
        self.last = 0.0

    def __call__(self, history: pl.DataFrame) -> dict[str, float]:
        self.last = 0.5 * self.last + 0.1
        return {"A": self.last}
