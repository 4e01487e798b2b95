"""The bridge from the paper portfolio to the account, friction by friction."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import polars as pl

from ml4t.backtest.attribution.counterfactual import (
    Outcome,
    Recorded,
    outcome_of_account,
    outcome_under,
    recorded_decisions,
)
from ml4t.backtest.attribution.frictions import FRICTIONS, ladder
from ml4t.backtest.config import BacktestConfig
from ml4t.backtest.feed.bars import Bars, times_series
from ml4t.backtest.formats import bps, money
from ml4t.backtest.frames import RunFrames, bars_of
from ml4t.backtest.html_tables import html_table
from ml4t.backtest.metrics import annual_return, years
from ml4t.backtest.records import Floats, Ints
from ml4t.backtest.replay import RunRules

#: The terms, in the order in which they lead from the paper to the account.
TERMS = (*(friction.name for friction in FRICTIONS), "other")
_NAMES = ("paper", *TERMS, "account", "difference")
_MEANINGS = (
    "The requested weights without any friction: final equity.",
    *(friction.meaning for friction in FRICTIONS),
    "What no friction explains: orders beside the plans, an executor with settings of its own.",
    "What the account came to: final equity.",
    "The account less the paper: the sum of all terms.",
)
# Equities nearer than this part of themselves are the same: their difference is noise.
_SAME = 1e-9


@dataclass(frozen=True, eq=False, repr=False)
class Bridge:
    """What trading did to the portfolio that the requested weights promise.

    Every table has the columns, and every dict the keys: ``paper``, the terms ``delay``, ``caps``,
    ``rounding``, ``commission``, ``slippage``, ``cash_shortage``, ``unfilled``, ``thresholds`` and
    ``other``, then ``account`` and ``difference``. The terms sum to the difference, which is
    account less paper; a friction that the run does not have is exactly 0. A term is negative where
    it costs.

    Attributes
    ----------
    total : dict of str to float
        In currency; paper and account are final equities.
    bps_per_year : dict of str to float
        In basis points of return a year, from the first decision or trade on; paper and account
        are annual returns. One factor for all terms leads from currency to basis points, so that
        they add up too. NaN without a span of time.
    by_period : polars.DataFrame
        For each rebalance, ``plan_idx``, ``start`` (its decision; the first period begins with the
        run) and ``end`` (the next decision, or the last bar): profit and loss in currency from
        just before its decision to just before the next. Empty for a run without a plan.
    by_asset : polars.DataFrame
        For each asset that is traded in the account or on paper, ``asset``: profit and loss in
        currency, what is still held at its last mark.
    paper : polars.DataFrame
        The paper portfolio at every close: ``timestamp``, ``equity``.
    """

    total: dict[str, float]
    bps_per_year: dict[str, float]
    by_period: pl.DataFrame
    by_asset: pl.DataFrame
    paper: pl.DataFrame

    @property
    def terms(self) -> tuple[str, ...]:
        """The names of the terms, in order."""
        return TERMS

    def to_frame(self) -> pl.DataFrame:
        """Return a row for each item: ``term``, ``currency``, ``bps_per_year``, ``meaning``."""
        return pl.DataFrame(
            {
                "term": _NAMES,
                "currency": [self.total[name] for name in _NAMES],
                "bps_per_year": [self.bps_per_year[name] for name in _NAMES],
                "meaning": _MEANINGS,
            }
        )

    def summary(self) -> str:
        """Return the bridge as a readable table."""
        lines = [("", "currency", "bps a year")]
        for name in _NAMES:
            bps = self.bps_per_year[name]
            shown = "n/a" if math.isnan(bps) else f"{bps:z,.1f}"
            lines.append((name.replace("_", " "), f"{self.total[name]:z,.2f}", shown))
        widths = [max(len(line[i]) for line in lines) for i in range(3)]
        return "\n".join(
            f"{name:<{widths[0]}}  {money:>{widths[1]}}  {bps:>{widths[2]}}"
            for name, money, bps in lines
        )

    def _repr_html_(self) -> str:
        """Return a table for notebooks."""
        heads = ("", "currency", "a year", "what it holds")
        rows = [
            (term.replace("_", " "), money(currency), bps(a_year), meaning)
            for term, currency, a_year, meaning in self.to_frame().iter_rows()
        ]
        absent = frozenset(k for k, name in enumerate(_NAMES) if self.total[name] == 0.0)
        return html_table(heads, rows, "From paper to account", frozenset(heads[1:3]), absent)

    def __repr__(self) -> str:
        """One line: paper, account, and the largest term."""
        largest = max(TERMS, key=lambda name: abs(self.total[name]))
        size = self.total[largest]
        told = f", largest term: {largest} {size:z,.2f}" if size else ""
        return (
            f"Bridge(paper={self.total['paper']:,.2f}, account={self.total['account']:,.2f}, "
            f"difference={self.total['difference']:z,.2f}{told})"
        )


def make_bridge(config: BacktestConfig, frames: RunFrames, prices: object | None) -> Bridge:
    """Work out a bridge; see `BacktestResult.bridge`."""
    bars = bars_of(frames, prices)
    decisions = recorded_decisions(frames, bars, config.rebalance.unmentioned)
    steps: list[Outcome] = []
    for rules in ladder(RunRules.of(config), decisions.schedule.weights):
        steps.append(steps[-1] if rules is None else outcome_under(rules, bars, decisions))
    steps.append(outcome_of_account(frames, bars, decisions, config))

    # Years count from the first decision, or the first trade of the strategy's own.
    first = min(steps[-1].first_fill, *decisions.bars[:1].tolist(), bars.times.size)
    finals = np.array([outcome.before[-1] for outcome in steps])
    total = _items(finals[:, None])[:, 0]
    spans = np.diff(np.stack([outcome.before for outcome in steps]), axis=1)
    pnl = np.stack([outcome.pnl for outcome in steps])
    traded = np.flatnonzero(np.any([outcome.traded for outcome in steps], axis=0))
    return Bridge(
        total=dict(zip(_NAMES, total.tolist(), strict=True)),
        bps_per_year=_bps_per_year(total, float(config.initial_cash), bars.times[first:]),
        by_period=pl.DataFrame(
            [*_periods(bars, decisions), *_named(_items(spans))],
        ),
        by_asset=pl.DataFrame(
            [
                pl.Series("asset", [bars.assets[i] for i in traded], pl.String),
                *_named(_items(pnl[:, traded])),
            ]
        ),
        paper=pl.DataFrame(
            [times_series(bars.times, bars.time_zone), pl.Series("equity", steps[0].equity)]
        ),
    )


def _items(steps: Floats) -> Floats:
    """Return what the names stand for, (n_names, n), out of (n_steps, n): paper to account."""
    paper, account = steps[0], steps[-1]
    return np.vstack([paper, np.diff(steps, axis=0), account, account - paper])


def _named(items: Floats) -> list[pl.Series]:
    return [pl.Series(name, values) for name, values in zip(_NAMES, items, strict=True)]


def _periods(bars: Bars, decisions: Recorded) -> list[pl.Series]:
    """Return plan, start and end of each period."""
    times = times_series(bars.times, bars.time_zone)
    starts: Ints = decisions.bars
    ends = np.append(starts[1:], bars.times.size - 1)[: starts.size]
    return [
        pl.Series("plan_idx", decisions.plan_idx.astype(np.int32)),
        times.gather(starts).alias("start"),
        times.gather(ends).alias("end"),
    ]


def _bps_per_year(total: Floats, cash: float, times: Ints) -> dict[str, float]:
    """Return the items as annual returns over `times`, all terms by the same factor."""
    items = dict(zip(_NAMES, total.tolist(), strict=True))
    span = years(times)

    def annual(final: float) -> float:
        return 1e4 * annual_return(np.array([cash, final]), span)

    paper, account = annual(items["paper"]), annual(items["account"])
    difference, final = items["difference"], items["account"]
    if abs(difference) > _SAME * abs(final):
        factor = (account - paper) / difference
    else:
        # The slope of final equity against annual return: (V / V0) ** (1 / T) - 1.
        factor = (account + 1e4) / (span * final) if span > 0.0 and final > 0.0 else math.nan
    return {name: value * factor for name, value in items.items()} | {
        "paper": paper,
        "account": account,
    }
