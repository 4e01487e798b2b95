"""Drift: how far the account was from its target weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from ml4t.backtest.analysis.tracking import Tracking
from ml4t.backtest.formats import counted, day, money, percent
from ml4t.backtest.report import style
from ml4t.backtest.report.libraries import go
from ml4t.backtest.report.sections import StaticTable
from ml4t.backtest.report.thin import kept_points, thinning_note
from ml4t.backtest.words import reason_in_words

_TITLE = "Distance from the target weights"
_NO_PLAN = "There was no rebalance, so there are no target weights to drift from."


def drift_figure(tracking: Tracking) -> Any:
    """Draw the distance between held and target weights at every close.

    The distance is half the sum of the absolute drifts: the turnover that it would take to be at
    the targets. Beside it the largest drift of a single asset, without its sign.

    Parameters
    ----------
    tracking : Tracking
        ``result.tracking()``.

    Returns
    -------
    plotly.graph_objects.Figure
    """
    over_time = _from_the_first_on(tracking)
    if not over_time.height:
        return style.nothing_to_draw(_TITLE, _NO_PLAN)
    distance = over_time["distance"].fill_null(np.nan).to_numpy()
    largest = np.abs(over_time["largest_drift"].fill_null(np.nan).to_numpy())
    kept = kept_points([distance, largest])
    times = style.wall_times(over_time["timestamp"])[kept]
    figure = style.new_figure(_TITLE, height=320, note=thinning_note(kept.size, distance.size))
    figure.add_trace(
        go.Scatter(
            x=times,
            y=distance[kept],
            name="half the sum of all drifts",
            mode="lines",
            line={"color": style.BLUE, "width": 1.2},
            hovertemplate="%{y:.2%}",
        )
    )
    names = [style.label(name or "") for name in over_time["asset"].gather(pl.Series(kept))]
    figure.add_trace(
        go.Scatter(
            x=times,
            y=largest[kept],
            name="largest of an asset",
            mode="lines",
            line={"color": style.ORANGE, "width": 1.1},
            customdata=names,
            hovertemplate="%{y:.2%} %{customdata}",
        )
    )
    figure.add_trace(
        go.Scatter(
            x=times[[0, -1]],
            y=[tracking.band] * 2,
            name=f"band for an asset, {percent(tracking.band, 0)}",
            mode="lines",
            line={"color": style.VERMILLION, "width": 1.4, "dash": "dash"},
            hoverinfo="skip",
        )
    )
    figure.update_xaxes(**style.time_axis(over_time["timestamp"]))
    figure.update_yaxes(title_text="of equity", tickformat="~%", rangemode="tozero")
    return figure


def drift_sentence(tracking: Tracking) -> str:
    """Say what the figure of drift shows."""
    over_time = _from_the_first_on(tracking)
    distance = over_time["distance"].drop_nulls()
    if not len(distance):
        return _NO_PLAN
    text = (
        f"Once its first rebalance could trade, the account was {percent(_known(distance.mean()))} "
        "of equity away from its target weights on average, at the most "
        f"{percent(_known(distance.max()))}"
    )
    out = int(over_time["out_of_band"].sum())
    band = percent(tracking.band, 0)
    text += (
        f"; at {out:,} of {counted(over_time.height, 'close')} an asset was more than {band} off"
        if out
        else f"; no asset was more than {band} off at a close"
    )
    largest = over_time["largest_drift"].abs()
    if out and largest.max() is not None:
        most = int(largest.arg_max() or 0)
        text += (
            f", {over_time['asset'][most]} the furthest on {day(over_time['timestamp'][most])} "
            f"with {percent(over_time['largest_drift'][most], 1, sign=True)}"
        )
    return (
        f"{text}. Spikes are closes of decisions: their orders have not filled yet, unless they "
        "fill at that close."
    )


def skipped_table(tracking: Tracking) -> StaticTable | None:
    """Return what was asked for and got no order, by reason; None if that is nothing."""
    if not tracking.skipped.height:
        return None
    rows = [
        (
            reason_in_words(reason),
            f"{n_rows:,}",
            percent(_known(share), 1),
            money(_known(value)),
            money(_known(cost)),
        )
        for reason, n_rows, _, value, cost, share in tracking.skipped.iter_rows()
    ]
    return StaticTable(
        caption="What was asked for and got no order, by reason, over all rebalances",
        heads=("reason", "rows", "of all changes", "value, currency", "would have cost"),
        rows=rows,
        numbers=frozenset({"rows", "of all changes", "value, currency", "would have cost"}),
    )


def outcome_sentence(tracking: Tracking) -> str:
    """Say what became of the rebalances."""
    found = tracking.summary
    parts = [
        f"{found[key]:,.0f} {key.replace('_', ' ')}"
        for key in ("executed", "executed_in_part", "not_executed", "nothing_to_do")
        if found[key]
    ]
    return f"Of {counted(int(found['rebalances']), 'rebalance')}: {', '.join(parts)}."


def _from_the_first_on(tracking: Tracking) -> pl.DataFrame:
    """Return the closes after that of the first decision, where all may still be cash."""
    over_time = tracking.over_time
    return over_time[1:] if over_time.height > 1 else over_time


def _known(value: Any) -> float:
    return float("nan") if value is None else float(value)
