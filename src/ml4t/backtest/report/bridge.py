"""From the paper portfolio to the account, friction by friction, as a waterfall."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ml4t.backtest.attribution.bridge import Bridge
from ml4t.backtest.feed.bars import nanoseconds
from ml4t.backtest.formats import NOT_DEFINED, bps, is_short, listed_words, money
from ml4t.backtest.metrics import years
from ml4t.backtest.report import style
from ml4t.backtest.report.libraries import go
from ml4t.backtest.report.sections import StaticTable

_TITLE = "From paper to account"
# The axis starts above zero if the terms would not be seen else: they span less than this of it.
_SEEN_FROM = 0.5
_LABELS = {"paper": "without friction", "account": "account"}
_WORDS = {
    "caps": "caps on weights",
    "rounding": "rounding to whole shares",
    "cash_shortage": "short cash",
    "unfilled": "unfilled quantity",
    "thresholds": "skipped trades",
    "other": "what no friction explains",
}


def bridge_figure(bridge: Bridge) -> Any:
    """Draw the bridge from the final equity on paper to that of the account.

    Frictions that the run does not have are left out.

    Parameters
    ----------
    bridge : Bridge
        ``result.bridge()``.

    Returns
    -------
    plotly.graph_objects.Figure
    """
    names = ["paper", *_present(bridge), "account"]
    values = [bridge.total[name] for name in names]
    texts = [money(values[0])]
    is_brief = _is_brief(bridge)
    for name in names[1:-1]:
        a_year = NOT_DEFINED if is_brief else bps(bridge.bps_per_year[name], sign=True)
        texts.append(
            money(bridge.total[name], sign=True)
            + ("" if a_year == NOT_DEFINED else f"<br>{a_year}")
        )
    texts.append(money(values[-1]))
    low, high = _range(values)
    figure = style.new_figure(
        _TITLE,
        height=400,
        note=f"The axis starts at {money(low)}, not at zero." if low > 0.0 else "",
        hovermode="closest",
        showlegend=False,
    )
    figure.add_trace(
        go.Waterfall(
            x=[label(name) for name in names],
            y=values,
            measure=["absolute", *["relative"] * (len(names) - 2), "total"],
            text=texts,
            textposition="outside",
            cliponaxis=False,
            increasing={"marker": {"color": style.GAIN}},
            decreasing={"marker": {"color": style.LOSS}},
            totals={"marker": {"color": style.TOTAL}},
            connector={"line": {"color": style.GREY, "width": 1}},
            hovertemplate="%{x}: %{text}<extra></extra>",
        )
    )
    figure.update_yaxes(title_text="final equity, currency", tickformat=",", range=[low, high])
    return figure


def bridge_sentence(bridge: Bridge) -> str:
    """Say what the waterfall shows."""
    total, a_year = bridge.total, bridge.bps_per_year
    difference = total["difference"]
    if not math.isfinite(difference):
        return "The account and the portfolio without friction cannot be compared."
    present = sorted(_present(bridge), key=lambda name: -abs(total[name]))
    if not present:
        return "Nothing stood between the weights and the account: both come to the same."

    is_brief = _is_brief(bridge)

    def worded(name: str) -> str:
        amount, rate = money(total[name], sign=True), bps(a_year[name], sign=True)
        return f"{in_words(name)} ({amount}{'' if is_brief else f', {rate} a year'})"

    way = "less" if difference < 0.0 else "more"
    text = (
        f"Without any friction the requested weights would have come to {money(total['paper'])}; "
        f"the account has {money(abs(difference))} {way}"
    )
    if math.isfinite(a_year["difference"]) and not is_brief:
        text += f", {bps(abs(a_year['difference']))} of return a year"
    largest = [worded(name) for name in present[:3]]
    verb = "The largest terms are" if len(largest) > 1 else "All of it is"
    return f"{text}. {verb} {listed_words(largest)}."


def bridge_table(bridge: Bridge) -> StaticTable:
    """Return every item of the bridge with what it means."""
    rows = [
        (label(term), money(currency, sign=is_term), bps(a_year, sign=is_term), meaning)
        for term, currency, a_year, meaning in bridge.to_frame().iter_rows()
        for is_term in (term not in _LABELS,)
    ]
    return StaticTable(
        caption="The bridge, item by item; for the two portfolios basis points are annual returns",
        heads=("item", "currency", "bps a year", "what it holds"),
        rows=rows,
        numbers=frozenset({"currency", "bps a year"}),
        fold="Every item, and what it means",
    )


def label(term: str) -> str:
    """Return a term as it is written for people."""
    return _LABELS.get(term, term.replace("_", " "))


def in_words(term: str) -> str:
    """Return a term as a sentence has it."""
    return _WORDS.get(term, label(term))


def _is_brief(bridge: Bridge) -> bool:
    return is_short(years(nanoseconds(bridge.paper["timestamp"])))


def _present(bridge: Bridge) -> list[str]:
    """Return the terms that are not nothing, in order."""
    scale = abs(bridge.total["paper"]) + abs(bridge.total["account"])
    return [name for name in bridge.terms if abs(bridge.total[name]) > 1e-9 * max(scale, 1e-300)]


def _range(values: list[float]) -> tuple[float, float]:
    """Return from where to where the axis goes, with room for what stands on the bars."""
    levels = np.cumsum([values[0], *values[1:-1]])
    low, high = float(levels.min()), float(levels.max())
    span = high - low
    if low <= 0.0 or span > _SEEN_FROM * high or not span > 0.0:
        low = min(low, 0.0)
        room = max(high - low, 1e-9)
        return low - 0.1 * room * (low < 0.0), high + 0.18 * room
    # The two totals stay tall enough to be bars.
    return max(low - 0.8 * span, 0.0), high + 0.35 * span
