"""Weights over time: what was asked for above, what was held below."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from ml4t.backtest.feed.bars import nanoseconds
from ml4t.backtest.formats import counted, percent
from ml4t.backtest.records import Floats
from ml4t.backtest.report import style
from ml4t.backtest.report.libraries import go, make_subplots

_TITLE = "Weights, requested against held"
_NO_PLAN = "There was no rebalance with a row, so no weight was asked for."
#: Closes at which what was held is drawn.
_MOST_CLOSES = 1_000
_OTHERS = "all others"


def weights_figure(requested: pl.DataFrame, positions: pl.DataFrame, equity: pl.DataFrame) -> Any:
    """Draw the weights that were requested at each rebalance above those that were held.

    The assets that were held most have a colour each, all others one together.

    Parameters
    ----------
    requested : polars.DataFrame
        ``result.weights("requested")``.
    positions, equity : polars.DataFrame
        Of the result.

    Returns
    -------
    plotly.graph_objects.Figure
    """
    if not requested.height or not equity.height:
        return style.nothing_to_draw(_TITLE, _NO_PLAN)
    chosen = _largest(requested, positions)
    n_others = requested.width - 1 - len(chosen)
    asked = _with_others(requested.drop("timestamp"), chosen, n_others)
    at = np.unique(np.linspace(0, equity.height - 1, _MOST_CLOSES).astype(np.int64))
    held = _held(positions, equity, chosen, at, n_others)
    names = [*chosen, *([_OTHERS] if n_others else [])]
    colors = [*style.SERIES[: len(chosen)], *([style.OTHERS] if n_others else [])]
    has_short = bool((np.nan_to_num(asked) < -1e-9).any() or (np.nan_to_num(held) < -1e-9).any())
    figure = make_subplots(
        rows=2,
        cols=1,
        shared_xaxes=True,
        vertical_spacing=0.06,
        figure=style.new_figure(
            _TITLE,
            height=520,
            note=_note(at.size, equity.height),
            hovermode="x",
            **style.LEGEND_BELOW,
        ),
    )
    # The last request stands until the run ends.
    times = style.wall_times(pl.concat([requested["timestamp"], equity["timestamp"][-1:]]))
    asked = np.vstack([asked, asked[-1:]])
    closes = style.wall_times(equity["timestamp"].gather(pl.Series(at)))
    for row, x, matrix, shape in ((1, times, asked, "hv"), (2, closes, held, "linear")):
        for k, name in enumerate(names):
            figure.add_trace(
                _line(name, x, matrix[:, k], colors[k], shape, row, has_short), row=row, col=1
            )
    figure.update_layout(margin={"b": 80})
    figure.update_xaxes(**style.time_axis(equity["timestamp"]))
    figure.update_yaxes(tickformat="~%", rangemode="tozero")
    figure.update_yaxes(title_text="requested weight", row=1, col=1)
    figure.update_yaxes(title_text="held weight", row=2, col=1)
    return figure


def weights_sentence(requested: pl.DataFrame, positions: pl.DataFrame, equity: pl.DataFrame) -> str:
    """Say what the figure of weights shows."""
    if not requested.height or not equity.height:
        return _NO_PLAN
    asked = np.nan_to_num(requested.drop("timestamp").to_numpy().astype(float))
    total = float(np.median(asked.sum(axis=1)))
    # Before the first decision there was nothing to hold.
    since = pl.col("timestamp") >= requested["timestamp"][0]
    positions, equity = positions.filter(since), equity.filter(since)
    exposure = float(equity["net_exposure"].mean())  # type: ignore[arg-type]
    text = (
        f"{counted(requested.height, 'rebalance')} asked for {percent(total, 0)} of equity in the "
        f"median, among {counted(requested.width - 1, 'asset')}; at the close "
        f"{percent(exposure, 1)} was invested on average from the first of them on, the rest was "
        "cash"
    )
    mean = _mean_weights(positions, equity)
    if mean.height:
        text += (
            f". The largest position on average was {mean['asset'][0]} with "
            f"{percent(mean['weight'][0], 1)}"
        )
    return text + "."


def _line(name: str, x: Any, y: Floats, color: str, shape: str, row: int, has_short: bool) -> Any:
    common = {
        "x": x,
        "y": y,
        "name": style.label(name),
        "legendgroup": name,
        "showlegend": row == 1,
        "hovertemplate": "%{y:.1%}",
        "mode": "lines",
    }
    # Areas on top of each other mean nothing where some are negative.
    if has_short:
        return go.Scatter(**common, line={"color": color, "width": 1.4, "shape": shape})
    return go.Scatter(
        **common,
        line={"color": color, "width": 0.6, "shape": shape},
        fillcolor=color,
        stackgroup=str(row),
    )


def _largest(requested: pl.DataFrame, positions: pl.DataFrame) -> list[str]:
    """Return the assets with the largest mean weight, held and requested, by name."""
    asked = requested.drop("timestamp")
    size = {name: float(asked[name].fill_null(0.0).abs().sum()) for name in asked.columns}
    total = max(sum(size.values()), 1e-300)
    of_held = positions.group_by("asset").agg(pl.col("weight").abs().sum())
    held_total = max(float(of_held["weight"].sum()), 1e-300)
    for asset, weight in of_held.iter_rows():
        size[asset] = size.get(asset, 0.0) / total + weight / held_total
    ranked = sorted(size, key=lambda name: (-size[name], name))
    return sorted(ranked[: len(style.SERIES)])


def _with_others(asked: pl.DataFrame, chosen: list[str], n_others: int) -> Floats:
    """Return (n, chosen and others): what is not in the targets weighs 0."""
    matrix: Floats = np.nan_to_num(asked.select(chosen).to_numpy().astype(float))
    if not n_others:
        return matrix
    rest = np.nan_to_num(asked.drop(chosen).to_numpy().astype(float)).sum(axis=1)
    return np.column_stack([matrix, rest])


def _held(
    positions: pl.DataFrame, equity: pl.DataFrame, chosen: list[str], at: Any, n_others: int
) -> Floats:
    """Return the weights at the closes `at`, (len(at), chosen and others)."""
    held: Floats = np.zeros((equity.height, len(chosen)))
    bar = np.searchsorted(nanoseconds(equity["timestamp"]), nanoseconds(positions["timestamp"]))
    names, weight = positions["asset"].to_numpy(), positions["weight"].to_numpy()
    for k, asset in enumerate(chosen):
        of_asset = names == asset
        held[bar[of_asset], k] = weight[of_asset]
    drawn: Floats = held[at]
    if not n_others:
        return drawn
    rest = equity["net_exposure"].to_numpy()[at] - np.nan_to_num(drawn).sum(axis=1)
    # What rounding leaves is nothing.
    rest[np.abs(rest) < 1e-9] = 0.0
    return np.column_stack([drawn, rest])


def _mean_weights(positions: pl.DataFrame, equity: pl.DataFrame) -> pl.DataFrame:
    total = positions.group_by("asset").agg(pl.col("weight").sum() / equity.height)
    return total.sort(pl.col("weight").abs(), pl.col("asset"), descending=[True, False])


def _note(n_drawn: int, n_bars: int) -> str:
    return (
        "" if n_drawn == n_bars else f"What was held is drawn at {n_drawn:,} of {n_bars:,} closes."
    )
