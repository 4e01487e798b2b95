"""Another future of prices: what later bars become, and which of them are missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ml4t.backtest.feed.bars import Bars
from ml4t.backtest.records import Floats, Ints

# Logarithms: an asset's level from then on, and each bar by itself. Large enough to change signs
# and ranks, small enough for prices to stay prices.
_LEVEL, _NOISE = 0.3, 0.1
# How far apart the prices of a bar are, from one bar to the next: ranges become narrow and wide.
_NARROW, _WIDE = 0.001, 0.1
# Of the assets, and of the later bars of such an asset.
_DROPPED = 0.5

#: Fields that are made anew from the close, whatever they were: tomorrow's gain within the bar, its
#: range and so on are then other ones, and as often up as down.
_FROM_CLOSE = ("open", "high", "low", "vwap")

Mask = NDArray[np.bool_]


class Future(NamedTuple):
    """What is another in a copy.

    Attributes
    ----------
    after : (n_bars,) bool
        The bars whose values are other ones.
    moves : dict of name to (n_bars, n_assets) float64
        By field. Of closes and adjusted closes what is added to the logarithm. Else the logarithm
        of the way there: to an open or a vwap from the close, to a high or low from the nearer of
        open and close (0 or more). But of a vwap between high and low the fraction of the way up.
    dropped : (n_bars, n_assets) bool
        The bars that are taken out.
    rng : Generator
        Draws what values that are no prices become: other values of their column.
    """

    after: Mask
    moves: Mapping[str, Floats]
    dropped: Mask
    rng: np.random.Generator

    def prices(
        self, fields: Mapping[str, Floats], bar: Ints, asset: Ints | int
    ) -> dict[str, Floats]:
        """Return what prices become, each field by itself, while a bar stays a bar.

        Parameters
        ----------
        fields : dict of name to array
            Close and others, all of one shape; NaN stays.
        bar, asset : int64
            Whose they are; they broadcast to that shape.

        Returns
        -------
        dict of name to array
            New arrays. No low is above its open or close, no high below them.
        """
        if not self.moves:
            return {name: values.copy() for name, values in fields.items()}
        move = {name: self.moves[name][bar, asset] for name in fields}
        made: dict[str, Floats] = {}
        with np.errstate(over="ignore", invalid="ignore"):
            for name in (name for name in fields if name not in _FROM_CLOSE):
                made[name] = fields[name] * np.exp(move[name])
            for name in (name for name in ("open", "vwap") if name in fields):
                made[name] = made["close"] * np.exp(move[name])
            ends = [made[name] for name in ("open", "close") if name in made]
            for name, farther, sign in (("high", np.fmax, 1.0), ("low", np.fmin, -1.0)):
                if name in fields:
                    end = reduce(farther, ends)
                    made[name] = end + np.abs(end) * np.expm1(sign * move[name])
            if fields.keys() >= {"high", "low", "vwap"}:
                made["vwap"] = made["low"] + move["vwap"] * (made["high"] - made["low"])
        for name, values in fields.items():
            is_other = self.after[bar] & np.isfinite(values) & np.isfinite(made[name])
            made[name] = np.where(is_other, made[name], values)
        return made

    def rows(self, bar: Ints) -> Ints:
        """Return from which row each row takes a value that is no price; a new draw each time."""
        rows = np.arange(bar.size)
        after = self.after[bar]
        rows[after] = self.rng.integers(0, bar.size, int(np.count_nonzero(after)))
        return rows


def same_future(bars: Bars) -> Future:
    """Return what changes nothing."""
    shape = bars.close.shape
    nothing = np.zeros(shape, np.bool_)
    return Future(np.zeros(shape[0], np.bool_), {}, nothing, np.random.default_rng(0))


def other_values(bars: Bars, fields: Iterable[str], time: int, rng: np.random.Generator) -> Future:
    """Return a future in which every value after a time (UTC nanoseconds) is another one."""
    shape = bars.close.shape
    names = sorted(fields)
    of_bar = rng.normal(0.0, _LEVEL, shape[1]) + rng.normal(0.0, _NOISE, shape)
    apart = np.exp(rng.uniform(np.log(_NARROW), np.log(_WIDE), shape))
    moves = {}
    for name in names:
        if name == "vwap" and {"high", "low"} <= set(names):
            moves[name] = rng.random(shape)
            continue
        own = apart * rng.normal(0.0, 1.0, shape)
        if name in ("high", "low"):
            moves[name] = np.abs(own)
        else:
            moves[name] = own if name in _FROM_CLOSE else of_bar + own
    return Future(bars.times > time, moves, np.zeros(shape, np.bool_), rng)


def missing_rows(bars: Bars, time: int, rng: np.random.Generator) -> Future:
    """Return a future in which bars of single assets after a time are missing.

    Every time keeps a bar, and every asset its last one: when the feed knows an asset to have
    ended is a matter of the feed, not of the pipeline.
    """
    has_bar = np.isfinite(bars.close)
    n_bars, n_assets = has_bar.shape
    after = bars.times > time
    chosen = np.asarray(rng.random(n_assets) < _DROPPED)
    chosen[rng.integers(n_assets)] = True
    dropped = has_bar & after[:, None] & chosen & (rng.random(has_bar.shape) < _DROPPED)
    known = np.flatnonzero(bars.last_bars >= 0)
    dropped[bars.last_bars[known], known] = False
    emptied = (has_bar.sum(axis=1) == dropped.sum(axis=1)) & dropped.any(axis=1)
    dropped[emptied, dropped[emptied].argmax(axis=1)] = False
    return Future(np.zeros(n_bars, np.bool_), {}, dropped, rng)
