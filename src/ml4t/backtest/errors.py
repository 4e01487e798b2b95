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


class ResultError(InputError):
    """A result cannot be saved to a folder, or a folder cannot be read as a result."""


class StateError(BacktestError):
    """A method was called at a time at which it has no meaning."""


class MissingExtraError(BacktestError, ImportError):
    """An optional dependency is not installed; the message holds the pip line."""


class DataWarning(UserWarning):
    """Prices or signals were mended on the way in, or hold values that make no sense."""


class RebalanceWarning(UserWarning):
    """A rebalance that was asked for mostly does not happen because of thresholds."""


def listed(names: Iterable[object], most: int = 5) -> str:
    """Write names for a message, the first `most` of them.

    Examples
    --------
    >>> listed(["A", "B", "C"], most=2)
    "'A', 'B' and 1 more"
    """
    items = [repr(name) for name in names]
    if len(items) <= most:
        return ", ".join(items)
    return ", ".join(items[:most]) + f" and {len(items) - most} more"


def nearest(name: str, known: Iterable[str], most: int = 3) -> str:
    """Return a hint with the nearest known names, at most `most`, or an empty string.

    Examples
    --------
    >>> nearest("APPL", ["AAPL", "MSFT"])
    " (nearest: 'AAPL')"
    """
    close = difflib.get_close_matches(name, list(known), n=most, cutoff=0.5)
    return f" (nearest: {listed(close)})" if close else ""


def unknown_name(name: str, known: Iterable[str]) -> str:
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
