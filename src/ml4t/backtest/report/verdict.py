"""The verdict: five numbers, and what they mean in plain words."""

from __future__ import annotations

import math

from ml4t.backtest.attribution.bridge import Bridge
from ml4t.backtest.formats import (
    NOT_DEFINED,
    bps,
    day,
    fine_percent,
    is_short,
    money,
    number,
    percent,
    span,
)
from ml4t.backtest.report.bridge import in_words
from ml4t.backtest.report.sections import Tile
from ml4t.backtest.report.sources import Sources


def verdict_tiles(found: Sources) -> list[Tile]:
    """Return the five numbers."""
    figures = found.statistics
    deepest = found.result.drawdowns(1)
    volatility = f"volatility {percent(figures['volatility'])} a year"
    return [
        Tile(
            "Final equity",
            money(figures["final_equity"]),
            f"from {money(figures['initial_cash'])} in {span(figures['years'])}",
        ),
        _return(found),
        Tile(
            "Sharpe ratio",
            number(figures["sharpe_ratio"], 2),
            f"of {span(figures['years'])} only; {volatility}" if _is_short(found) else volatility,
        ),
        Tile(
            "Deepest drawdown",
            fine_percent(figures["max_drawdown"]),
            f"on {day(deepest['valley'][0])}" if deepest.height else "it never fell",
        ),
        _lost(found),
    ]


def verdict_sentences(found: Sources) -> list[str]:
    """Return what the numbers say, a sentence or two each."""
    figures = found.statistics
    if not found.result.equity.height:
        return ["The run was stopped before its first bar was complete: there is nothing to judge."]
    cash, final = figures["initial_cash"], figures["final_equity"]
    text = f"{money(cash)} became {money(final)}"
    if figures["years"] > 0.0:
        text += f" in {span(figures['years'])}"
    if _is_short(found):
        text += (
            f", {percent(figures['total_return'], 2, sign=True)} in all: the run is too short to "
            "speak of a year"
        )
    elif math.isfinite(figures["annual_return"]):
        text += f", {percent(figures['annual_return'], 2)} a year"
    sentences = [" ".join(filter(None, (text + ".", _friction(found))))]
    if not figures["fills"]:
        sentences.append("Nothing was ever traded.")
    if found.benchmark is not None:
        sentences.append(_beside_benchmark(found))
    return sentences


def _lost(found: Sources) -> Tile:
    figures = found.statistics
    paid = figures["commission"] + figures["slippage"]
    more = f"commission and slippage {money(paid)}" if paid else "no commission or slippage"
    if found.bridge is None:
        if _is_short(found):
            return Tile("Costs", money(paid), "commission and slippage")
        return Tile("Costs a year", bps(figures["cost_bps"]), more)
    if _is_short(found):
        amount = found.bridge.total["difference"]
        label = "Gained by trading" if amount > 0.0 else "Lost to trading"
        return Tile(label, money(abs(amount)), more)
    a_year = found.bridge.bps_per_year["difference"]
    if a_year > 0.0:
        return Tile("Gained by trading", f"{bps(a_year)}", f"of return a year; {more}")
    return Tile("Lost to trading", bps(-a_year), f"of return a year; {more}")


def _friction(found: Sources) -> str:
    """Say what trading did to the promise of the weights."""
    bridge = found.bridge
    if bridge is None:
        return ""
    a_year = bridge.bps_per_year
    if _is_short(found):
        return _short_friction(found, bridge)
    if not math.isfinite(a_year["difference"]):
        return ""
    lost = -a_year["difference"]
    paper = percent(1e-4 * a_year["paper"], 2)
    since = f"From the first decision on, {_first_decision(found)}, "
    if round(abs(lost), 1) == 0.0:
        return f"{since}the account earned what the weights promise, {paper} a year."
    text = (
        f"{since}the account earned {percent(1e-4 * a_year['account'], 2)} a year, and the same "
        f"weights without any friction {paper}: trading {'took' if lost > 0.0 else 'added'} "
        f"{bps(abs(lost))} a year"
    )
    terms = [term for term in bridge.terms if bridge.total[term] != 0.0]
    largest = max(terms, key=lambda term: -a_year[term] / lost)
    if len(terms) > 1:
        text += f", the largest part of it by {in_words(largest)} ({bps(abs(a_year[largest]))})"
    return text + "."


def _short_friction(found: Sources, bridge: Bridge) -> str:
    """Say it without a year."""
    lost = -bridge.total["difference"]
    if not math.isfinite(lost):
        return ""
    without = money(bridge.total["paper"])
    text = f"Without any friction the weights would have come to {without}"
    if money(abs(lost)) == money(0.0):
        return f"{text}, as the account did."
    return f"{text}: trading {'took' if lost > 0.0 else 'added'} {money(abs(lost))}."


def _is_short(found: Sources) -> bool:
    return is_short(found.statistics["years"])


def _first_decision(found: Sources) -> str:
    return day(found.result.rebalances["timestamp"][0])


def _return(found: Sources) -> Tile:
    figures = found.statistics
    if not _is_short(found):
        return Tile("Return a year", percent(figures["annual_return"], 2), _beside_return(found))
    parts = ["too short a run to speak of a year", _benchmark_return(found)]
    return Tile(
        "Return in all", percent(figures["total_return"], 2), "; ".join(filter(None, parts))
    )


def _benchmark_return(found: Sources) -> str:
    beside, benchmark = found.beside, found.benchmark
    if beside is None or benchmark is None:
        return ""
    text = f"{found.benchmark_name} {percent(beside.benchmark, 2)}"
    if not beside.is_annual and not _is_short(found):
        text += " in all"
    if beside.is_partial:
        text += (
            f" from {day(benchmark.first)} to {day(benchmark.last)}, the account "
            f"{percent(beside.account, 2)}"
        )
    return text


def _beside_return(found: Sources) -> str:
    parts = []
    if found.bridge is not None and math.isfinite(found.bridge.bps_per_year["paper"]):
        a_year = found.bridge.bps_per_year
        parts.append(
            f"from the first decision {percent(1e-4 * a_year['account'], 2)}, without friction "
            f"{percent(1e-4 * a_year['paper'], 2)}"
        )
    if found.benchmark is not None:
        parts.append(_benchmark_return(found))
    return "; ".join(parts)


def _beside_benchmark(found: Sources) -> str:
    figures, name = found.statistics, found.benchmark_name
    beside, benchmark = found.beside, found.benchmark
    if beside is None or benchmark is None:
        return ""
    more = beside.account - beside.benchmark
    unit = " a year" if beside.is_annual else ""
    text = f"{name} earned {percent(beside.benchmark, 2)}{unit}"
    if beside.is_partial:
        text = (
            f"{name} has a level at {percent(figures['benchmark_coverage'])} of the bars, "
            f"{day(benchmark.first)} to {day(benchmark.last)}. Over these it earned "
            f"{percent(beside.benchmark, 2)}{unit} and the account {percent(beside.account, 2)}"
        )
    elif math.isfinite(more):
        way = "less" if more > 0.0 else "more"
        text += f", {number(100.0 * abs(more), 2)} percentage points {way} than the account"
    ratio = number(figures["information_ratio"], 2)
    if ratio != NOT_DEFINED and beside.is_annual:
        text += (
            f"; beta {number(figures['beta'], 2)}, information ratio {ratio}, tracking error "
            f"{percent(figures['tracking_error'])} a year"
        )
    return text + "."
