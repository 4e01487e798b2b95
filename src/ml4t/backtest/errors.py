"""The exceptions and warnings of the package.

Every message says what was wrong, where (asset, time, column or field) and what to do about it.
Faults of the input are also `ValueError`, so that ``except ValueError`` catches them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class BacktestError(Exception):
    """Base of every exception that the package raises on purpose."""


class InputError(BacktestError, ValueError):
    """A value that the caller passed in cannot be used."""


class DataError(InputError):
    """A table of prices, signals or weights cannot be read."""


class WeightsError(InputError):
    """Target weights cannot be used."""


class OrderError(InputError):
    """An order cannot be accepted."""


class ConfigError(InputError):
    """A setting is unknown or out of its range."""


class CostModelError(InputError):
    """A user's own cost model returned what is no cost, or only its name is known."""


class ResultError(InputError):
    """A result cannot be saved to a folder, or a folder cannot be read as a result."""


class StateError(BacktestError):
    """A method was called at a time at which it has no meaning."""


class OptimizationError(BacktestError):
    """An optimizer in a worker process ran out of time, died, or raised what cannot be sent on."""


class NoDecisionError(BacktestError):
    """A weight provider has nothing to say now: no rebalance. Yours may raise it too."""


class MissingExtraError(BacktestError, ImportError):
    """An optional dependency is not installed; the message holds the pip line."""


class DataWarning(UserWarning):
    """Prices or signals were mended on the way in, or hold values that make no sense."""


class RebalanceWarning(UserWarning):
    """A rebalance that was asked for mostly does not happen because of thresholds."""


class OptimizationWarning(UserWarning):
    """A weight provider answered without a single weight, which sells everything."""


def shown(value: object, most: int = 80) -> str:
    """Write a value for a message, cut where it is too long.

    Parameters
    ----------
    value : object
    most : int
        Characters.

    Returns
    -------
    str

    Examples
    --------
    >>> shown("abc"), shown("abc" * 40, most=10)
    ("'abc'", "'abcabcabc... (122 characters)")
    """
    try:
        text = repr(value)
    except Exception:  # Python writes no integer of more than 4300 digits
        return f"a {type(value).__name__} that cannot be written out"
    return text if len(text) <= most else f"{text[:most]}... ({len(text)} characters)"


def listed(names: Iterable[object], most: int = 5) -> str:
    """Write names for a message, the first `most` of them.

    Examples
    --------
    >>> listed(["A", "B", "C"], most=2)
    "'A', 'B' and 1 more"
    """
    items = [shown(name) for name in names]
    if len(items) <= most:
        return ", ".join(items)
    return ", ".join(items[:most]) + f" and {len(items) - most} more"


def nearest(name: object, known: Iterable[str], most: int = 3) -> str:
    """Return a hint with the nearest known names, at most `most`, or an empty string.

    Examples
    --------
    >>> nearest("APPL", ["AAPL", "MSFT"])
    " (nearest: 'AAPL')"
    """
    if not isinstance(name, str):  # a key of a table that somebody made by hand
        return ""
    close = difflib.get_close_matches(name, list(known), n=most, cutoff=0.5)
    return f" (nearest: {listed(close)})" if close else ""


def with_nearest(names: Iterable[str], known: Iterable[str], most: int = 5) -> str:
    """Write unknown names for a message, each with the known ones that are nearest to it.

    Parameters
    ----------
    names : iterable of str
        The unknown ones.
    known : iterable of str
    most : int
        How many of the unknown names are written.

    Returns
    -------
    str

    Examples
    --------
    >>> with_nearest(["APPL", "MFST", "X"], ["AAPL", "MSFT"], most=2)
    "'APPL' (nearest: 'AAPL'), 'MFST' (nearest: 'MSFT') and 1 more"
    """
    items, there = list(names), list(known)
    parts = [shown(name) + nearest(name, there) for name in items[:most]]
    return ", ".join(parts) + (f" and {len(items) - most} more" if len(items) > most else "")


def unknown_name(name: object, known: Iterable[str]) -> str:
    """Say that a field is unknown, with the nearest known one, or all if none is near.

    Parameters
    ----------
    name : str
    known : iterable of str

    Returns
    -------
    str

    Examples
    --------
    >>> unknown_name("lot_sise", ["lot_size", "rounding"])
    "lot_sise is unknown (nearest: 'lot_size')"
    """
    names = list(known)
    hint = nearest(name, names, most=1) or f"; there are {listed(names, len(names)) or 'no fields'}"
    return f"{name} is unknown{hint}"
