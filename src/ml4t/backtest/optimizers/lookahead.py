"""A tripwire for look-ahead: change the future, and see whether the past decides otherwise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from ml4t.backtest.config import BacktestConfig
from ml4t.backtest.errors import InputError, shown
from ml4t.backtest.execution.decision_times import Schedule
from ml4t.backtest.feed.bars import Bars, times_series
from ml4t.backtest.optimizers.decisions import KEYS, Reader
from ml4t.backtest.optimizers.differences import differences
from ml4t.backtest.optimizers.perturbed import original
from ml4t.backtest.progress import tracked
from ml4t.backtest.records import Ints

_SHOWN = 10
#: Of the largest weight: what rounding may become where a pipeline makes it larger.
_SMALL = 1e-6


@dataclass(frozen=True, repr=False)
class LookaheadReport:
    """What `check_lookahead` found.

    Attributes
    ----------
    leaks : DataFrame
        A row for each decision that came out otherwise when later data were other ones; without
        rows: none did. ``decision_time``, ``asset``, ``weight_before``, ``weight_after`` (null:
        none), ``what`` ("weight"; "order", whose weight is its signed value over equity; "cancel";
        "signal" and its name, whose value stands for the weight), ``change`` ("values" or "rows")
        and ``changed_after``: data later than this were changed, of several such times the last
        one. So the pipeline has looked farther ahead than from ``decision_time`` to this.
        ``difference``: of the weights, absolute (null: a side has none); ``detail_before``,
        ``detail_after``: what else differs, such as a limit price or a signal that is text (null:
        nothing).
    failures : DataFrame
        A row for each copy with which `build`, or the run of what it returned, raised: ``change``,
        ``changed_after``, ``error``. Nothing was compared then. A pipeline that knows no gaps fails
        on missing bars, say.
    tried : tuple of datetime
        The decision times after which the data were changed.
    n_decision_times : int
        How many times decide.
    n_rounded : int
        How many decisions differed by no more than 1e-12 of their size. They are no leaks: sums
        that are added up in another order differ so.
    """

    leaks: pl.DataFrame
    failures: pl.DataFrame
    tried: tuple[datetime, ...]
    n_decision_times: int
    n_rounded: int

    @property
    def headline(self) -> str:
        """What was found and tried, in one line."""
        tried = f"{len(self.tried)} of {self.n_decision_times} decision times tried"
        if self.failures.height:
            first = self.failures.row(0, named=True)
            tried += (
                f"; nothing compared in {self.failures.height} of {2 * len(self.tried)} tries, "
                f"since build raised, the first: {first['change']} after "
                f"{first['changed_after']} changed, {first['error']}"
            )
        if self.n_rounded:
            tried += f"; {self.n_rounded} decisions differ by rounding alone"
        if self.leaks.is_empty():
            return f"no leak found, {tried}"
        at = self.leaks["decision_time"].n_unique()
        return f"{self.leaks.height} decisions at {at} times depend on later data, {tried}"

    def __repr__(self) -> str:
        """Say what was found, with the first leaks."""
        lines = [f"LookaheadReport: {self.headline}"]
        if _are_small(self.leaks):
            largest: Any = self.leaks["difference"].max()
            lines.append(
                f"  No weight differs by more than {largest:.1g}: rounding "
                "that a pipeline makes larger (single precision, a solver that stops early, a "
                "division by almost nothing), or a weak dependence on later data"
            )
        for row in self.leaks.head(_SHOWN).iter_rows(named=True):
            before, after = before_and_after(row)
            lines.append(
                f"  {row['decision_time']} {row['asset']} {row['what']}: {before} -> {after} "
                f"({row['change']} after {row['changed_after']} changed)"
            )
        if self.leaks.height > _SHOWN:
            lines.append(f"  and {self.leaks.height - _SHOWN} more in .leaks")
        return "\n".join(lines)


def before_and_after(leak: Mapping[str, Any]) -> tuple[str, str]:
    """Return both sides of a row of `LookaheadReport.leaks` as texts that can be told apart."""
    weights = [leak["weight_before"], leak["weight_after"]]
    numbers = [None if weight is None else f"{weight:.6g}" for weight in weights]
    if numbers[0] == numbers[1] and weights[0] != weights[1]:
        numbers = [repr(weight) for weight in weights]
    details = [leak["detail_before"], leak["detail_after"]]
    before, after = (
        ", ".join(part for part in side if part is not None) or "none"
        for side in zip(numbers, details, strict=True)
    )
    return before, after


def _are_small(leaks: pl.DataFrame) -> bool:
    """Whether all leaks are numbers that hardly differ."""
    if leaks.is_empty() or leaks["difference"].has_nulls() or leaks["detail_before"].count():
        return False
    size = pl.max_horizontal(pl.col("weight_before", "weight_after").abs()).max()
    by_kind = leaks.group_by("what").agg(is_small=pl.col("difference").max() <= _SMALL * size)
    return bool(by_kind["is_small"].all())


def check_lookahead(
    build: Callable[[Any], Any],
    prices: object,
    config: BacktestConfig | None = None,
    schedule: Schedule = "month_end",
    samples: int = 20,
    seed: int = 0,
    progress: bool = False,
) -> LookaheadReport:
    """Look for decisions that know the future.

    For each of some decision times, everything after it is changed in a copy of the prices, `build`
    is called with the copy, and every decision up to that time must be the same. There are two
    copies for each: one with other values, and one in which later bars of single assets are
    missing, while the times and the last bar of each asset stay. Numbers are the same if they
    differ by no more than 1e-12 of their size (that of the largest weight of that time), as those
    of sums that are added up in another order do.

    Parameters
    ----------
    build : function of prices
        The whole pipeline. It returns target weights (anything `WeightSchedule.from_frame` takes),
        a strategy, or an object with `get_weights`; or a tuple of one of these and a frame of
        signals. It gets prices in the form in which they are passed here (prices that are integers
        as floats), each time a copy of its own. What it does not compute from its argument, such
        as a frame that it knows from elsewhere, cannot be checked.
    prices : DataFeed or dataframe
        Long as for `DataFeed`, or wide as for `DataFeed.from_wide`; no path.
    config : BacktestConfig, optional
        Strategies and providers are run with it.
    schedule : str, Every, OnDates or callable
        When a provider is asked, see `decision_bars`; not used for anything else.
    samples : int
        How many decision times to try, 1 or more; all, if there are fewer. Half of them are drawn
        from those at which an asset has no bar now and has one later, if there are such.
    seed : int
        Of the draws; the same seed gives the same report.
    progress : bool
        Show how many of these times are done on the standard error stream; needs the extra ``cli``.

    Returns
    -------
    LookaheadReport

    Raises
    ------
    ValueError
        If nothing is decided before the last bar; if `build` decides otherwise when it is called
        twice with the same prices (fix its random seeds); for what it must not return; and for
        prices that are a path or that `DataFeed` does not take.
    Exception
        What `build` raises with the prices themselves, or with every one of the copies; if only
        with some, they are in `LookaheadReport.failures`.

    Examples
    --------
    >>> import numpy as np, polars as pl
    >>> from datetime import date
    >>> days = pl.date_range(date(2024, 1, 1), date(2024, 3, 31), eager=True).alias("date")
    >>> walk = 100 * np.exp(np.random.default_rng(1).normal(0, 0.02, (len(days), 2)).cumsum(axis=0))
    >>> prices = pl.DataFrame([days]).with_columns(A=walk[:, 0], B=walk[:, 1])
    >>> def cheap(prices, mean):
    ...     is_cheap = [(pl.col(name) < mean(pl.col(name))).cast(float) / 2 for name in "AB"]
    ...     return prices.select("date", *is_cheap)
    >>> check_lookahead(lambda prices: cheap(prices, lambda p: p.rolling_mean(20)), prices)
    LookaheadReport: no leak found, 20 of 71 decision times tried
    >>> report = check_lookahead(lambda prices: cheap(prices, lambda p: p.mean()), prices)
    >>> report.leaks.is_empty()
    False
    """
    if not callable(build):
        raise InputError(
            f"build: {shown(build)} is no function; pass one of prices that returns the decisions"
        )
    n_samples = _whole("samples", samples, 1)
    rng = np.random.default_rng(_whole("seed", seed, 0))
    source = original(prices)
    reader = Reader(source, config, schedule)
    base, again = (
        reader.decisions(build(copied), copied) for copied in (source.copy(), source.copy())
    )
    _check_repeats(base, again, source.bars)
    times = _decision_times(base, source.bars)
    tried = _sampled(times, source.bars, n_samples, rng)
    found, failures = [], []
    with tracked(tried.tolist(), tried.size, "decision times", progress) as shown_times:
        for time in shown_times:
            before = base.filter(pl.col("time") <= time)
            for change, changed in (("values", source.with_values), ("rows", source.without_rows)):
                copied = changed(time, rng)
                labels = {"change": change, "changed_after": time}
                try:
                    after = reader.decisions(build(copied), copied, time)
                except Exception as error:
                    failures.append(labels | {"error": f"{type(error).__name__}: {error}"})
                    last = error
                    continue
                columns = [pl.lit(value).alias(name) for name, value in labels.items()]
                found.append(differences(before, after).with_columns(columns))
    if not found:
        last.add_note(
            "ml4t.backtest: check_lookahead called build on prices with another future, after "
            f"{tried.size} times, and it raised for every one"
        )
        raise last
    moments = times_series(tried, source.bars.time_zone).to_list()
    differing = pl.concat(found)
    leaking = differing.filter(~pl.col("is_rounding"))
    rounded = differing.filter("is_rounding").join(leaking, on=KEYS, how="anti")
    return LookaheadReport(
        leaks=_leaks(leaking, source.bars),
        failures=_failures(failures, source.bars),
        tried=tuple(moments),
        n_decision_times=times.size,
        n_rounded=rounded.n_unique(KEYS),
    )


def _whole(name: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise InputError(f"{name}={shown(value)} must be an integer of {least} or more")
    return int(value)


def _check_repeats(base: pl.DataFrame, again: pl.DataFrame, bars: Bars) -> None:
    differing = differences(base, again).filter(~pl.col("is_rounding")).sort(KEYS)
    if differing.height:
        row = differing.row(0, named=True)
        first, second = before_and_after(row)
        raise InputError(
            f"build: called twice with the same prices it decides otherwise in {differing.height} "
            f"cases, the first: {_text(row['time'], bars)} {row['asset']} "
            f"{first} and {second}; fix its random seeds, and keep nothing from one call to the "
            "next"
        )


def _decision_times(base: pl.DataFrame, bars: Bars) -> Ints:
    """Return the times that decide and after which there are prices."""
    decided = base.filter(
        pl.col("what").is_in(["order", "cancel"])
        | ((pl.col("what") == "weight") & pl.col("weight").is_not_null())
    )
    times: Ints = decided["time"].unique().sort().to_numpy()
    times = times[times < bars.times[-1]]
    if not times.size:
        raise InputError(
            f"build: nothing was decided before the last bar, {bars.timestamps[-1]}, so there is "
            "nothing to check; pass more prices, or a schedule with more decisions"
        )
    return times


def _sampled(times: Ints, bars: Bars, samples: int, rng: np.random.Generator) -> Ints:
    """Draw decision times, half of them where gaps could be filled with what comes later."""
    if times.size <= samples:
        return times
    bar = np.maximum(np.searchsorted(bars.times, times, side="right") - 1, 0)
    is_gap = np.isnan(bars.close[bar]) & (bars.last_bars > bar[:, None])
    # The bars before a listing are many, and would hide the few of a gap between two bars.
    is_inside = (is_gap & (bars.first_bars < bar[:, None])).any(axis=1)
    inside, before = np.flatnonzero(is_inside), np.flatnonzero(is_gap.any(axis=1) & ~is_inside)
    half = samples // 2
    first = _draw(inside, half - min(half // 2, before.size), rng)
    first = np.concatenate([first, _draw(before, half - first.size, rng)])
    others = np.setdiff1d(np.arange(times.size), first)
    chosen = np.concatenate([first, _draw(others, samples - first.size, rng)])
    chosen.sort()
    drawn: Ints = times[chosen]
    return drawn


def _draw(numbers: Ints, n: int, rng: np.random.Generator) -> Ints:
    drawn: Ints = rng.choice(numbers, min(n, numbers.size), replace=False)
    return drawn


def _leaks(found: pl.DataFrame, bars: Bars) -> pl.DataFrame:
    """Return a row for each decision: of several tries that changed it the one farthest ahead."""
    found = found.sort("changed_after", "change").unique(KEYS, keep="last", maintain_order=True)
    # An order that follows from a weight says nothing new.
    weights = found.filter(pl.col("what") == "weight").select("time", "asset").unique()
    is_order = pl.col("what").is_in(["order", "cancel"])
    implied = found.filter(is_order).join(weights, on=["time", "asset"])
    found = found.join(implied, on=KEYS, how="anti").sort(KEYS)

    return pl.DataFrame(
        [
            _moments(found["time"], bars).alias("decision_time"),
            *found.select("asset", "weight_before", "weight_after", "what", "change"),
            _moments(found["changed_after"], bars),
            *found.select("difference", "detail_before", "detail_after"),
        ]
    )


def _failures(rows: list[dict[str, Any]], bars: Bars) -> pl.DataFrame:
    schema = {"change": pl.String, "changed_after": pl.Int64, "error": pl.String}
    frame = pl.DataFrame(rows, schema=schema)
    return frame.with_columns(_moments(frame["changed_after"], bars))


def _moments(times: pl.Series, bars: Bars) -> pl.Series:
    return times_series(times.to_numpy(), bars.time_zone).alias(times.name)


def _text(time: int, bars: Bars) -> str:
    return str(times_series(np.array([time]), bars.time_zone)[0])
