"""The account against the frictionless portfolio and a benchmark."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from ml4t.backtest.formats import NOT_DEFINED, day, money, percent
from ml4t.backtest.report import style
from ml4t.backtest.report.libraries import go, make_subplots
from ml4t.backtest.report.thin import kept_points, thinning_note

_TITLE = "Equity"
_NEVER_A_BAR = "The run has no complete bar, so there is no equity to show."
# From here on a linear axis hides the beginning.
_SEVERAL = 5.0


def equity_figure(
    equity: pl.DataFrame,
    paper: pl.DataFrame | None = None,
    benchmark: pl.DataFrame | None = None,
    benchmark_name: str = "benchmark",
    log: bool = False,
) -> Any:
    """Draw equity at every close, and below it what the account lost to friction.

    Parameters
    ----------
    equity, paper, benchmark : polars.DataFrame
        ``timestamp`` and ``equity`` in currency each; the benchmark as what the same cash would
        have become.
    benchmark_name : str
    log : bool
        A logarithmic axis: equal distances are equal returns.

    Returns
    -------
    plotly.graph_objects.Figure
    """
    if not equity.height:
        return style.nothing_to_draw(_TITLE, _NEVER_A_BAR)
    kept = kept_points([equity["equity"].to_numpy()])
    has_paper = paper is not None
    figure = make_subplots(
        rows=1 + has_paper,
        cols=1,
        shared_xaxes=True,
        vertical_spacing=0.05,
        row_heights=[0.76, 0.24][: 1 + has_paper],
        figure=style.new_figure(
            _TITLE, height=520 if has_paper else 420, note=thinning_note(kept.size, equity.height)
        ),
    )
    lines = [
        ("account", equity, style.ACCOUNT_LINE),
        ("without friction", paper, style.PAPER_LINE),
        (style.label(benchmark_name), benchmark, style.BENCHMARK_LINE),
    ]
    for name, frame, line in lines:
        if frame is None:
            continue
        points = kept_points([frame["equity"].to_numpy()])
        figure.add_trace(
            go.Scatter(
                x=style.wall_times(frame["timestamp"])[points],
                y=frame["equity"].to_numpy()[points],
                name=name,
                mode="lines" if frame.height > 1 else "markers",
                line=line,
                hovertemplate="%{y:,.0f}",
            ),
            row=1,
            col=1,
        )
    figure.update_xaxes(**style.time_axis(equity["timestamp"]))
    figure.update_yaxes(
        title_text="equity, currency",
        tickformat=",",
        type="log" if log else "linear",
        dtick=_log_step(equity) if log else None,
        row=1,
        col=1,
    )
    # What the page needs to change the scale.
    figure.update_layout(meta={"log_step": _log_step(equity)})
    if paper is not None:
        _add_distance(figure, equity, paper)
    return figure


def _add_distance(figure: Any, equity: pl.DataFrame, paper: pl.DataFrame) -> None:
    """Draw what the account has more or less than the portfolio without friction."""
    without = paper["equity"].to_numpy()
    distance = equity["equity"].to_numpy() / np.where(without > 0.0, without, np.nan) - 1.0
    kept = kept_points([distance])
    figure.add_trace(
        go.Scatter(
            x=style.wall_times(equity["timestamp"])[kept],
            y=distance[kept],
            name="account against without friction",
            mode="lines" if equity.height > 1 else "markers",
            line={"color": style.BLUE, "width": 1},
            fill="tozeroy",
            showlegend=False,
            hovertemplate="%{y:.2%}",
        ),
        row=2,
        col=1,
    )
    figure.update_yaxes(title_text="against<br>no friction", tickformat="~%", row=2, col=1)


def _log_step(equity: pl.DataFrame) -> str:
    """Return where a logarithmic axis has its labels: at 1, 2, 5, or at all of 1 to 9."""
    return "D2" if _spread(equity) > _SEVERAL else "D1"


def _spread(equity: pl.DataFrame) -> float:
    """Return the highest equity over the lowest; NaN where that is not positive."""
    low, high = float(equity["equity"].min()), float(equity["equity"].max())  # type: ignore[arg-type]
    return high / low if low > 0.0 else float("nan")


def equity_sentence(
    equity: pl.DataFrame,
    initial_cash: float,
    paper: pl.DataFrame | None = None,
    benchmark: pl.DataFrame | None = None,
    benchmark_name: str = "benchmark",
) -> str:
    """Say what the equity figure shows."""
    if not equity.height:
        return _NEVER_A_BAR
    final = float(equity["equity"][-1])
    text = (
        f"The account went from {money(initial_cash)} to {money(final)} "
        f"({percent(final / initial_cash - 1.0, 1, sign=True)}), "
        f"{day(equity['timestamp'][0])} to {day(equity['timestamp'][-1])}"
    )
    others = []
    if paper is not None and paper.height:
        others.append(f"the same weights without any friction to {money(paper['equity'][-1])}")
    is_partial = benchmark is not None and benchmark.height < equity.height
    if benchmark is not None and benchmark.height and not is_partial:
        ending = money(benchmark["equity"][-1])
        if ending != NOT_DEFINED:
            others.append(f"{benchmark_name} to {ending}")
    if others:
        text += f"; {' and '.join(others)}"
    if benchmark is not None and benchmark.height and is_partial:
        text += f". {_over_a_part(equity, benchmark, benchmark_name)}"
    return text + "."


def _over_a_part(equity: pl.DataFrame, benchmark: pl.DataFrame, name: str) -> str:
    """Say what a benchmark that lacks bars came to, and the account beside it."""
    first, last = benchmark["timestamp"][0], benchmark["timestamp"][-1]
    (account,) = equity.filter(pl.col("timestamp") == last)["equity"]
    begin = money(benchmark["equity"][0])
    return (
        f"From {day(first)} to {day(last)} {name} would have brought the {begin} that the account "
        f"had then to {money(benchmark['equity'][-1])}, the account itself came to {money(account)}"
    )


def wants_log(equity: pl.DataFrame) -> bool:
    """Whether a logarithmic axis shows more: equity has grown or fallen several times over."""
    return bool(equity.height) and _spread(equity) > _SEVERAL
