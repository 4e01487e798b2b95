"""When to decide: a named period, every n bars, dates, or a rule of the user's own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ml4t.backtest.errors import InputError, nearest, shown
from ml4t.backtest.feed.bars import Bars, nanoseconds, times_series
from ml4t.backtest.feed.checks import Faults
from ml4t.backtest.feed.columns import times_of
from ml4t.backtest.feed.frames import column_of
from ml4t.backtest.feed.signals import check_zone
from ml4t.backtest.records import Ints

__all__ = ["Every", "OnDates", "Schedule", "decision_bars", "every", "on_dates"]

_log = logging.getLogger(__name__)
_WHAT = "schedule"
_NAMES = ("every_bar", "week_end", "month_start", "month_end", "quarter_end")
_ROLLS = ("next", "previous")


@dataclass(frozen=True)
class Every:
    """Every `n`-th bar, from the first one on; made by `every`."""

    n: int


@dataclass(frozen=True, eq=False, repr=False)
class OnDates:
    """Decisions at given dates; made by `on_dates`.

    Attributes
    ----------
    moments : (n_dates,) int64, read-only
        Increasing. Days since 1970-01-01, or nanoseconds since then in UTC.
    are_days : bool
        Whether they are days, which have no zone and mean those of the feed.
    time_zone : str or None
        None: naive.
    roll : {"next", "previous"}
    """

    moments: Ints
    are_days: bool
    time_zone: str | None
    roll: str

    def __repr__(self) -> str:
        """One line: how many, from when to when."""
        first, last = (_moment_text(self, i) for i in (0, -1))
        return f"on_dates({self.moments.size} dates, {first} to {last}, roll={self.roll!r})"


#: What says when to decide; see `decision_bars`.
Schedule = str | Every | OnDates | Callable[[datetime], bool]


def every(n: int) -> Every:
    """Decide at every `n`-th bar of the feed.

    Parameters
    ----------
    n : int
        1 or more. Bars 0, n, 2 n, ... decide; every time of the feed is a bar, whichever assets
        have one then.

    Returns
    -------
    Every
        A schedule; see `decision_bars`.

    Raises
    ------
    ValueError
        For an `n` that is no integer or is below 1.

    Examples
    --------
    >>> every(21)
    Every(n=21)
    """
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
        raise InputError(f"{_WHAT}: every({shown(n)}): n must be an integer of 1 or more")
    return Every(int(n))


def on_dates(dates: object, roll: str = "next") -> OnDates:
    """Decide at given dates, each moved to a bar of the feed if it is none.

    Dates before the first bar of a feed and after its last one decide nothing, with either `roll`:
    the edges of the data are no decisions. How many they are is logged.

    Parameters
    ----------
    dates : sequence of dates or of datetimes
        A list, numpy or pandas array, index or series, in any order; not empty. A plain date is a
        whole day in the time zone of the feed. A datetime is a moment, midnight too, and is in the
        zone of the feed.
    roll : {"next", "previous"}
        Of a date between two bars: the first bar after it, or the last one before it. Of a plain
        date with several bars: the first one of the day ("next"), or the last ("previous").

    Returns
    -------
    OnDates
        A schedule; see `decision_bars`. Dates that move to one bar make one decision.

    Raises
    ------
    ValueError
        For what are no dates, for none at all, for plain dates among datetimes, for mixed zones,
        and for an unknown `roll`.

    Examples
    --------
    >>> from datetime import date
    >>> on_dates([date(2024, 6, 28), date(2024, 3, 29)], roll="previous")
    on_dates(2 dates, 2024-03-29 to 2024-06-28, roll='previous')
    """
    if roll not in _ROLLS:
        hint = nearest(roll, _ROLLS, most=1)
        raise InputError(f'{_WHAT}: roll={shown(roll)} is unknown{hint}; use "next" or "previous"')
    if isinstance(dates, Iterator):
        dates = list(dates)
    column = column_of(dates, "dates", _WHAT)
    if not len(column):
        raise InputError(f"{_WHAT}: there are no dates; pass at least one")
    _refuse_days_among_moments(dates)
    faults = Faults(_WHAT)
    times, zone = times_of(column, False, faults)
    faults.settle()
    are_days = column.dtype == pl.Date
    if are_days:
        times = column.to_physical().to_numpy().astype(np.int64)
    moments = np.unique(times)
    moments.flags.writeable = False
    return OnDates(moments, are_days, zone, roll)


def _refuse_days_among_moments(dates: Any) -> None:
    """Raise for both in one list: the column that is made of it would hold midnights for days."""
    # What is not equal to itself is no time at all.
    times = [one for one in dates if isinstance(one, (date, np.datetime64)) and one == one]
    are_days = [_is_day(one) for one in times]
    if len(set(are_days)) > 1:
        day, moment = (times[are_days.index(kind)] for kind in (True, False))
        raise InputError(
            f"{_WHAT}: {day!r} is a plain date, a whole day, and {moment!r} a moment; pass all as "
            "dates, or all as datetimes"
        )


def _is_day(time: date | np.datetime64) -> bool:
    if isinstance(time, np.datetime64):
        return np.datetime_data(time.dtype)[0] in ("Y", "M", "W", "D")
    return not isinstance(time, datetime)


def decision_bars(schedule: Schedule, bars: Bars) -> NDArray[np.bool_]:
    """Say at which bars of a feed to decide.

    Periods are those of the calendar in the feed's own time zone (naive times: as they are), weeks
    those of ISO 8601, Monday to Sunday. A period ends at a bar if the next time of the feed lies in
    another one, and starts at a bar if the time before does. So the last bar of a feed ends
    nothing, and the first one starts nothing: the feed does not show that they do.

    Parameters
    ----------
    schedule : str, Every, OnDates or callable
        "every_bar", "week_end", "month_start", "month_end" or "quarter_end"; ``every(n)``;
        ``on_dates(dates, roll)``; or a function that takes the time of a bar (as
        `DataFeed.timestamps` has it) and returns whether to decide. It is called once a bar, in
        order.
    bars : Bars
        Of the feed, ``feed.bars``.

    Returns
    -------
    (n_bars,) bool array, read-only

    Raises
    ------
    ValueError
        For an unknown schedule, with the nearest name; for dates of which none lies in the feed;
        for dates in another zone than the feed; for a function that returns no bool.

    Examples
    --------
    >>> import polars as pl
    >>> from datetime import date
    >>> from ml4t.backtest import DataFeed
    >>> days = [date(2024, 1, 30), date(2024, 1, 31), date(2024, 2, 1), date(2024, 2, 29)]
    >>> bars = DataFeed.from_wide(pl.DataFrame({"date": days, "A": [1.0, 2.0, 3.0, 4.0]})).bars
    >>> decision_bars("month_end", bars).tolist()
    [False, True, False, False]
    >>> decision_bars(every(2), bars).tolist()
    [True, False, True, False]
    """
    check_schedule(schedule)
    if isinstance(schedule, str):
        decides = _by_name(schedule, bars)
    elif isinstance(schedule, Every):
        decides = np.arange(bars.times.size) % schedule.n == 0
    elif isinstance(schedule, OnDates):
        decides = _at_dates(schedule, bars)
    else:
        decides = _by_rule(schedule, bars)
    decides.flags.writeable = False
    return decides


def check_schedule(schedule: object) -> None:
    """Raise `ValueError` for what is no schedule on any feed."""
    if isinstance(schedule, str) and schedule not in _NAMES:
        raise InputError(
            f"{_WHAT}: {shown(schedule)} is unknown{nearest(schedule, _NAMES, most=1)}; there are "
            f"{', '.join(_NAMES)}, and every(n), on_dates(dates) and functions of the time"
        )
    is_rule = callable(schedule) and not isinstance(schedule, type)
    if not is_rule and not isinstance(schedule, (str, Every, OnDates)):
        hint = "on_dates(dates)" if isinstance(schedule, Sequence) else "every(n), on_dates(dates)"
        raise InputError(
            f"{_WHAT}: {shown(schedule)} is none; pass {hint}, a function of the time, or one of "
            f"{', '.join(_NAMES)}"
        )


def _by_name(name: str, bars: Bars) -> NDArray[np.bool_]:
    decides = np.ones(bars.times.size, np.bool_)
    if name == "every_bar":
        return decides
    period, _, edge = name.partition("_")
    number = _period_of(period, bars)
    borders = number[1:] != number[:-1]
    if edge == "end":
        decides[:-1], decides[-1] = borders, False
    else:
        decides[1:], decides[0] = borders, False
    return decides


def _period_of(period: str, bars: Bars) -> Ints:
    """Return a number for the period of each bar; two periods never have the same one."""
    local = bars.times
    if bars.time_zone is not None:
        times = times_series(local, bars.time_zone)
        local = nanoseconds(times.dt.replace_time_zone(None))
    moments = local.view("M8[ns]")
    if period == "week":  # of ISO 8601: 1970-01-01 was a Thursday
        return (moments.astype("M8[D]").astype(np.int64) + 3) // 7
    months: Ints = moments.astype("M8[M]").astype(np.int64)
    return months if period == "month" else months // 3


def _at_dates(dates: OnDates, bars: Bars) -> NDArray[np.bool_]:
    of_bars = bars.times
    if dates.are_days:
        local = times_series(bars.times, bars.time_zone).dt.date()
        of_bars = local.to_physical().to_numpy().astype(np.int64)
    else:
        check_zone(dates.time_zone, bars.time_zone, _WHAT)
    is_inside = (dates.moments >= of_bars[0]) & (dates.moments <= of_bars[-1])
    inside = dates.moments[is_inside]
    if not inside.size:
        raise InputError(
            f"{_WHAT}: not one of {dates!r} lies in the feed, {bars.timestamps[0]} to "
            f"{bars.timestamps[-1]}; pass dates of its time"
        )
    if inside.size < is_inside.size:
        _log.info(
            "schedule: %d of %d dates lie outside the feed and decide nothing",
            is_inside.size - inside.size,
            is_inside.size,
        )
    if dates.roll == "next":
        at = np.searchsorted(of_bars, inside, side="left")
    else:
        at = np.searchsorted(of_bars, inside, side="right") - 1
    decides = np.zeros(bars.times.size, np.bool_)
    decides[at] = True
    return decides


def _moment_text(dates: OnDates, i: int) -> str:
    if dates.are_days:
        return str(np.datetime64(int(dates.moments[i]), "D"))
    return str(times_series(dates.moments[[i]], dates.time_zone)[0])


def _by_rule(rule: Callable[[datetime], Any], bars: Bars) -> NDArray[np.bool_]:
    decides = np.zeros(bars.times.size, np.bool_)
    for bar, time in enumerate(bars.timestamps):
        answer = rule(time)
        if not isinstance(answer, (bool, np.bool_)):
            raise InputError(
                f"{_WHAT}: the function returned {shown(answer)} for {time}, which is neither True "
                "nor False; return whether to decide then"
            )
        decides[bar] = answer
    return decides
