"""How all figures look: colours, fonts, axes.

The colours are those of Okabe and Ito (2008), which people with any kind of colour blindness can
tell apart. A line differs from its neighbours by its dash or its width too.
"""

from __future__ import annotations

import html
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ml4t.backtest.report.libraries import go

BLUE, ORANGE, GREEN, PINK = "#0072B2", "#E69F00", "#009E73", "#CC79A7"
VERMILLION, SKY, YELLOW, GREY = "#D55E00", "#56B4E9", "#F0E442", "#808080"
#: Of assets, in this order; blue is `SKY` on a dark page, so that `SKY` is not among them.
SERIES = (BLUE, ORANGE, GREEN, PINK, VERMILLION, YELLOW)
#: What is left over beside the series: other assets, and cash.
OTHERS, CASH = "#A6A6A6", "#D9D9D9"
GAIN, LOSS, TOTAL = GREEN, VERMILLION, BLUE
#: A scale from loss to gain. Its blue is one that a dark page keeps: white figures stand on it.
SCALE = ("#D55E00", "#F4F4F2", "#0071B1")
#: What a dark page shows in place of a colour.
ON_DARK = {BLUE: SKY, OTHERS: "#8C8C8C", CASH: "#4D4D4D", SCALE[1]: "#262B33"}

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
#: The style of the lines that are compared everywhere.
ACCOUNT_LINE = {"color": BLUE, "width": 1.8}
PAPER_LINE = {"color": VERMILLION, "width": 1.3, "dash": "dash"}
BENCHMARK_LINE = {"color": GREY, "width": 1.3, "dash": "dot"}

_AXIS = {
    "gridcolor": "#E3E5E8",
    "linecolor": "#9AA0A6",
    "zeroline": False,
    "automargin": True,
    "title": {"standoff": 12, "font": {"size": 12}},
}
#: Pixels above a figure that its title takes, and a note below it.
TITLE_HEIGHT, NOTE_HEIGHT = 28, 20
#: A legend below the axes, where panels leave it no room above.
LEGEND_BELOW: dict[str, Any] = {
    "legend": {"orientation": "h", "x": 0, "y": 0, "yref": "container", "yanchor": "bottom"}
}
_FEW_YEARS = 8
_TEMPLATE = go.layout.Template(
    layout={
        "font": {"family": FONT, "size": 13, "color": "#1F2328"},
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "colorway": list(SERIES),
        "xaxis": {**_AXIS, "showgrid": False, "ticks": "outside", "tickcolor": "#9AA0A6"},
        "yaxis": _AXIS,
        "hoverlabel": {"font": {"family": FONT}},
        "separators": ".,",
    }
)


def new_figure(title: str, height: int = 380, note: str = "", **layout: Any) -> Any:
    """Return an empty figure in the style of the report.

    Parameters
    ----------
    title : str
    height : int
        Pixels; the width is that of the page.
    note : str
        What is to be known of the drawing itself, such as that points are left out: stands below
        the title.
    layout
        Further fields of the layout.
    """
    heading: dict[str, Any] = {"text": title, "x": 0, "xref": "paper"}
    if note:
        heading["subtitle"] = {"text": note}
    heading_height = TITLE_HEIGHT + NOTE_HEIGHT * bool(note)
    # A legend stands above the axes, where there is one and nothing else is said.
    above = 12 if "legend" in layout or layout.get("showlegend") is False else 40
    given: dict[str, Any] = {
        "template": _TEMPLATE,
        "title": heading,
        "height": height,
        "margin": {"l": 60, "r": 16, "t": above + heading_height, "b": 40},
        "legend": {"orientation": "h", "x": 0, "y": 1.01, "yanchor": "bottom"},
        "hovermode": "x unified",
        **layout,
    }
    return go.Figure(layout=given)


def years_axis(years: pl.Series) -> dict[str, Any]:
    """Return the axis of bars that stand for calendar years: a few of them stay slim."""
    if len(years) >= _FEW_YEARS:
        # Ends of its own, so that no tick stands beside the run.
        return {"tickformat": "d", "range": [years[0] - 0.6, years[-1] + 0.6]}
    around = 0.5 * (_FEW_YEARS - len(years))
    return {
        "tickformat": "d",
        "tickvals": list(range(years[0], years[-1] + 1)),
        "range": [years[0] - around, years[-1] + around],
    }


def time_axis(times: pl.Series) -> dict[str, Any]:
    """Return the axis of the times of bars; one bar alone has one tick, not fractions of it."""
    if len(times) != 1:
        return {"type": "date"}
    return {"type": "date", "tickvals": wall_times(times), "tickformat": "%Y-%m-%d %H:%M"}


def wall_times(times: pl.Series) -> NDArray[np.datetime64]:
    """Return times as (n,) datetime64[ms] of the clock on the wall, as plotly draws them."""
    plain = times.dt.replace_time_zone(None).dt.cast_time_unit("ms")
    found: NDArray[np.datetime64] = plain.to_numpy()
    return found


def nothing_to_draw(title: str, why: str) -> Any:
    """Return a figure that says why there is nothing in it."""
    figure = new_figure(title, height=220)
    figure.update_layout(
        xaxis={"visible": False},
        yaxis={"visible": False},
        annotations=[
            {"text": why, "xref": "paper", "yref": "paper", "x": 0.5, "y": 0.5, "showarrow": False}
        ],
    )
    return figure


def label(name: str, most: int = 28) -> str:
    """Return a name as plotly shows it as it is: without tags, and cut in the middle if long.

    Examples
    --------
    >>> label("<b>A</b>"), label("a name of many letters", most=9)
    ('&lt;b&gt;A&lt;/b&gt;', 'a na…ters')
    """
    part = (most - 1) // 2
    short = name if len(name) <= most else f"{name[: most - 1 - part]}…{name[-part:]}"
    return html.escape(short, quote=False)
