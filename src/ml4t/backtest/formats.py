"""How numbers are written for people: thousands separated, a true minus sign, a unit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

#: What stands where a figure is not defined.
NOT_DEFINED = "n/a"
_MINUS = "\N{MINUS SIGN}"
_NO_BREAK = "\N{NO-BREAK SPACE}"
_HALF_A_YEAR = 0.5


def number(value: float, digits: int = 0, sign: bool = False) -> str:
    """Write a number, with a plus sign too if `sign`; see `NOT_DEFINED`.

    Examples
    --------
    >>> number(1234567.8), number(float("nan")), number(0.25, 1, sign=True)
    ('1,234,568', 'n/a', '+0.2')
    """
    if not math.isfinite(value):
        return NOT_DEFINED
    # "z": what rounds to zero has no minus sign, and gets no plus.
    text = format(value, f"{'+' if sign else ''}z,.{digits}f").replace("-", _MINUS)
    return text[1:] if text.startswith("+") and not text.strip("+0.") else text


def money(value: float, sign: bool = False) -> str:
    """Write an amount in currency: whole from 1,000 on, with two digits below."""
    return number(value, 0 if abs(value) >= 1_000 else 2, sign)


def percent(fraction: float, digits: int = 1, sign: bool = False) -> str:
    """Write a fraction as a percentage."""
    text = number(100.0 * fraction, digits, sign)
    return text if text == NOT_DEFINED else f"{text}{_NO_BREAK}%"


def fine_percent(fraction: float) -> str:
    """Write a fraction as a percentage: with one digit from 1 % on, two below."""
    return percent(fraction, 1 if abs(fraction) >= 0.01 else 2)


def bps(value: float, sign: bool = False) -> str:
    """Write basis points: whole from 10 on, with one digit below."""
    text = number(value, 0 if abs(value) >= 10.0 else 1, sign)
    return text if text == NOT_DEFINED else f"{text}{_NO_BREAK}bps"


def quantity(value: float, sign: bool = False) -> str:
    """Write units of an asset: whole ones without digits, fractions with at most six."""
    if not math.isfinite(value):
        return NOT_DEFINED
    text = format(value, f"{'+' if sign else ''}z,.6f").rstrip("0").rstrip(".")
    return text.replace("-", _MINUS)


def counted(n: int, one: str, several: str | None = None) -> str:
    """Write how many there are of something.

    Examples
    --------
    >>> counted(1, "order"), counted(1200, "order")
    ('1 order', '1,200 orders')
    """
    return f"{n:,} {one if n == 1 else several or one + 's'}"


def span(years: float) -> str:
    """Write a span of time: years, or days where it is less than one year."""
    return f"{number(years, 1)} years" if years >= 1.0 else counted(round(365.25 * years), "day")


def is_short(years: float) -> bool:
    """Whether a span of time is too short to speak of a year: figures a year would multiply it."""
    return years < _HALF_A_YEAR


def day(moment: datetime) -> str:
    """Write a time: the date, and the time of the day where it is not midnight."""
    is_midnight = (moment.hour, moment.minute, moment.second, moment.microsecond) == (0, 0, 0, 0)
    return f"{moment:%Y-%m-%d}" if is_midnight else f"{moment:%Y-%m-%d %H:%M}"


def listed_words(parts: Sequence[str]) -> str:
    """Write a list as a sentence has it.

    Examples
    --------
    >>> listed_words(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:])))
