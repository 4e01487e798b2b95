"""Numbers and times that are written as text, as people and spreadsheets write them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from functools import reduce
from operator import or_

import polars as pl

from ml4t.backtest.errors import DataError, listed

# ---------------------------------------------------------------------- numbers

_MISSING = ["", "na", "n/a", "#n/a", "nan", "null", "none", "-", "--"]
_NUMERIC = r"^[+-]?[\d.,'\x{00a0}\x{202f} ]*\d[\d.,'\x{00a0}\x{202f} ]*$"
# What can only be read in one way. "1.234" and "1,234" can be read in two.
_DECIMAL_COMMA = r",\d{1,2}$|,\d{4,}$|\.\d{3},\d|^[+-]?0,\d|^[+-]?\d{4,},\d|\.\d{3}\.\d{3}"
_DECIMAL_POINT = r"\.\d{1,2}$|\.\d{4,}$|,\d{3}\.\d|^[+-]?0?\.\d|^[+-]?\d{4,}\.\d|,\d{3},\d{3}"
_GROUPED = r"^[+-]?\d{{1,3}}(?:{group}\d{{3}})+(?:{mark}\d+)?$"


def decimal_mark(columns: Sequence[pl.Series], what: str) -> str:
    """Return the sign before the decimals in columns of text: a point or a comma.

    Raises
    ------
    ValueError
        Where both are used, or where 1,234 may be read as 1234 and as 1.234.
    """
    texts = [column.str.strip_chars() for column in columns]
    strange = [text.filter(_plain(text).is_null() & text.str.contains(_NUMERIC)) for text in texts]
    if not any(len(found) for found in strange):
        return "."
    with_comma = [found for found in strange if found.str.contains(_DECIMAL_COMMA).any()]
    with_point = [
        found
        for text in texts
        if len(found := text.filter(text.str.contains(_DECIMAL_POINT))) and _is_numeric(found)
    ]
    if with_comma and with_point:
        comma = with_comma[0].filter(with_comma[0].str.contains(_DECIMAL_COMMA))[0]
        raise DataError(
            f"{what}: numbers are written in two ways, as {comma!r} and as "
            f"{with_point[0][0]!r}; read the file yourself and pass the frame"
        )
    if with_comma:
        return ","
    unsure = [
        found.filter(at)[0] for found in strange if (at := found.str.contains(r"\d,\d{3}$")).any()
    ]
    if unsure and not with_point:
        value = str(unsure[0])
        raise DataError(
            f"{what}: {value!r} may be {value.replace(',', '')} or {value.replace(',', '.')}; "
            "read the file yourself and pass the frame"
        )
    return "."


def parse_numbers(column: pl.Series, mark: str) -> pl.Series:
    """Return text as float64: null where it is missing and where it is no number."""
    text = column.str.strip_chars()
    if mark == ".":
        plain = _plain(text)
        if plain.null_count() == text.null_count():
            return plain
    group, other = (
        (r"[,'\x{00a0}\x{202f} ]", r"\.") if mark == "." else (r"[.'\x{00a0}\x{202f} ]", ",")
    )
    frame = pl.DataFrame({"text": text})
    grouped = pl.col("text").str.contains(_GROUPED.format(group=group, mark=other))
    bare = pl.when(grouped).then(pl.col("text").str.replace_all(group, "")).otherwise("text")
    if mark == ",":
        bare = bare.str.replace_all(r"^([+-]?\d*),(\d+)$", "${1}.${2}")
    return frame.select(bare.cast(pl.Float64, strict=False))["text"].alias(column.name)


def is_missing(column: pl.Series) -> pl.Series:
    """Whether text stands for a missing number."""
    return column.is_null() | column.str.strip_chars().str.to_lowercase().is_in(_MISSING)


def _plain(text: pl.Series) -> pl.Series:
    return text.cast(pl.Float64, strict=False)


def _is_numeric(text: pl.Series) -> bool:
    return bool(text.str.contains(_NUMERIC).any())


# ---------------------------------------------------------------------- times

_SECOND = 10**9
_DAY = 86_400 * _SECOND
_TIME = re.compile(
    r"(?P<date>\S+?(?: \S+ \S+)??)"
    r"(?:[T ]+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<part>\d{1,9}))?)?"
    r" ?(?P<offset>Z|UTC|[+-]\d{2}:?\d{2})?)?",
    re.ASCII,
)
_YEAR_FIRST = re.compile(
    r"(\d{4})([-/.]?)(\d{2})\2(\d{2})|(\d{4})([-/.])(\d{1,2})\6(\d{1,2})", re.ASCII
)
_YEAR_LAST = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4})", re.ASCII)
_NAMED = re.compile(
    r"(?P<day>\d{1,2})[- ](?P<month>[A-Za-z]{3})[a-z]*[- ](?P<year>\d{4})"
    r"|(?P<month2>[A-Za-z]{3})[a-z]* (?P<day2>\d{1,2}),? (?P<year2>\d{4})",
    re.ASCII,
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def parse_times(texts: Sequence[str], what: str) -> tuple[list[int], list[int | None]]:
    """Read times: ISO, or with other separators, or the day or the month first.

    Returns
    -------
    nanoseconds, offsets
        UTC nanoseconds since 1970, and the offset from UTC in seconds (None: there was none).

    Raises
    ------
    ValueError
        For text that is no time, and for days and months that cannot be told apart.
    """
    found = [_TIME.fullmatch(text.strip()) for text in texts]
    last = [match and _YEAR_LAST.fullmatch(match["date"]) for match in found]
    day_first = _day_first([match for match in last if match], what)
    moments, offsets = [], []
    strange = []
    for text, match, year_last in zip(texts, found, last, strict=True):
        try:
            if match is None:
                raise ValueError(text)
            days = _date(match["date"], year_last, day_first).toordinal() - 719_163
            clock, offset = _clock(match)
        except ValueError:
            strange.append(text)
            continue
        moments.append(days * _DAY + clock - (offset or 0) * _SECOND)
        offsets.append(offset)
    if strange:
        raise DataError(
            f"{what} holds {listed(strange, 3)}, which cannot be read as times; write them as "
            "2024-01-31 or 2024-01-31T16:00:00"
        )
    return moments, offsets


def _day_first(dates: list[re.Match[str]], what: str) -> bool:
    """Whether 01/02/2024 is in February; with points it always is."""
    unsure = [match for match in dates if match[2] != "." and match[1] != match[3]]
    if not unsure:
        return True
    day = reduce(or_, (int(match[1]) > 12 for match in unsure))
    month = reduce(or_, (int(match[3]) > 12 for match in unsure))
    if day == month:
        raise DataError(
            f"{what} holds {unsure[0][0]!r}: the day and the month cannot be told apart; write "
            "times as 2024-01-31"
        )
    return day


def _date(text: str, year_last: re.Match[str] | None, day_first: bool) -> date:
    if year_last is not None:
        first, second, year = int(year_last[1]), int(year_last[3]), int(year_last[4])
        if day_first or year_last[2] == ".":
            first, second = second, first
        return date(year, first, second)
    if match := _YEAR_FIRST.fullmatch(text):
        groups = (1, 3, 4) if match[1] else (5, 7, 8)
        return date(*(int(match[group]) for group in groups))
    if match := _NAMED.fullmatch(text):
        name = (match["month"] or match["month2"]).lower()
        # ValueError for a name that is none
        month_number = _MONTHS.index(name) + 1
        return date(
            int(match["year"] or match["year2"]), month_number, int(match["day"] or match["day2"])
        )
    raise ValueError(text)


def _clock(match: re.Match[str]) -> tuple[int, int | None]:
    """Return nanoseconds since midnight and the offset in seconds."""
    if match["hour"] is None:
        return 0, None
    hour, minute, second = int(match["hour"]), int(match["minute"]), int(match["second"] or 0)
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError(match[0])
    part = int((match["part"] or "").ljust(9, "0"))
    offset = None
    if match["offset"] in ("Z", "UTC"):
        offset = 0
    elif match["offset"]:
        digits = match["offset"].replace(":", "")
        offset = (int(digits[1:3]) * 3600 + int(digits[3:5]) * 60) * (-1 if digits[0] == "-" else 1)
    return (hour * 3600 + minute * 60 + second) * _SECOND + part, offset
