"""The tearsheet: everything about one run on one page."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ml4t.backtest.errors import BacktestError
from ml4t.backtest.formats import counted, day
from ml4t.backtest.report.bridge import bridge_figure, bridge_sentence, bridge_table
from ml4t.backtest.report.contributions import contributions_figure, contributions_sentence
from ml4t.backtest.report.costs import costs_figure, costs_sentence
from ml4t.backtest.report.data import data_remarks
from ml4t.backtest.report.drawdown import drawdown_figure, drawdown_rows, drawdown_sentence
from ml4t.backtest.report.equity import equity_figure, equity_sentence, wants_log
from ml4t.backtest.report.explorer import explorer_data, explorer_rows
from ml4t.backtest.report.heatmap import monthly_figure, monthly_sentence
from ml4t.backtest.report.libraries import plotly
from ml4t.backtest.report.pack import Packer
from ml4t.backtest.report.page import checked_target, render, write_whole
from ml4t.backtest.report.rolling import rolling_sharpe_figure, rolling_sharpe_sentence
from ml4t.backtest.report.sections import Figures, GridBox, Section
from ml4t.backtest.report.sources import Sources
from ml4t.backtest.report.statistics import statistics_table
from ml4t.backtest.report.tables import (
    HOW_COUNTED,
    is_optimizer_log,
    log_grid,
    log_sentence,
    trades_grid,
    trades_sentence,
)
from ml4t.backtest.report.tracking import (
    drift_figure,
    drift_sentence,
    outcome_sentence,
    skipped_table,
)
from ml4t.backtest.report.turnover import turnover_figure, turnover_sentence
from ml4t.backtest.report.verdict import verdict_sentences, verdict_tiles
from ml4t.backtest.report.weights import weights_figure, weights_sentence
from ml4t.backtest.result import BacktestResult
from ml4t.backtest.toml import write_toml
from ml4t.backtest.version import __version__

_COMPLETE = "Every asset has a bar at every time of the run."


def write_report(
    result: BacktestResult,
    path: str | os.PathLike[str],
    benchmark: object | None = None,
    title: str | None = None,
    prices: object | None = None,
) -> Path:
    """Write the tearsheet of a result; see `BacktestResult.report`."""
    target = checked_target(path)
    write_whole(target, Tearsheet(Sources(result, benchmark, prices), title).html())
    return Path(path)


class Tearsheet:
    """The page of one run.

    Parameters
    ----------
    found : Sources
    title : str, optional
    """

    def __init__(self, found: Sources, title: str | None = None) -> None:
        self._found = found
        self._title = str(title or "").strip() or "Backtest report"
        self._packer = Packer()
        self._figures = Figures(self._packer)
        self._tables: dict[str, Any] = {}
        self._explorer: dict[str, Any] | None = None

    def html(self) -> str:
        """Return the page."""
        parts = [
            self._verdict(),
            self._equity(),
            self._drawdown(),
            self._months(),
            self._risk(),
            self._weights(),
            self._contributions(),
            self._costs(),
            self._drift(),
            self._rebalances(),
            self._trades(),
            self._log(),
            self._data(),
            self._config(),
        ]
        context = {
            "title": self._title,
            "about": self._about(),
            "sections": [part for part in parts if part is not None],
            "version": __version__,
            "footer": f"Made with ml4t-backtest {__version__}. One file: nothing is loaded from "
            "anywhere.",
        }
        content: dict[str, Any] = {"figures": self._figures.packed, "tables": self._tables}
        if self._explorer is not None:
            content["explorer"] = self._explorer
        return render("page.html", context, content, self._packer)

    def _about(self) -> str:
        equity = self._found.result.equity
        if not equity.height:
            return "A run without a complete bar."
        times = equity["timestamp"]
        text = f"{day(times[0])} to {day(times[-1])}, {counted(equity.height, 'bar')}"
        if self._found.bars is not None:
            text += f" of {counted(len(self._found.bars.assets), 'asset')}"
        return (
            text + f"; {counted(int(self._found.statistics['rebalances_requested']), 'rebalance')}."
        )

    def _verdict(self) -> Section:
        found = self._found
        charts, tables = [], []
        if found.bridge is not None:
            charts.append(
                self._figures.chart(
                    "bridge",
                    bridge_figure(found.bridge),
                    bridge_sentence(found.bridge),
                    "From the promise of the weights to the account",
                )
            )
            tables.append(bridge_table(found.bridge))
        return Section(
            "verdict",
            "Verdict",
            "Verdict",
            lead=verdict_sentences(found),
            tiles=verdict_tiles(found),
            reason=found.no_bridge,
            charts=charts,
            tables=[
                *tables,
                statistics_table({"account": found.statistics}, "Figures", "Every figure"),
            ],
        )

    def _equity(self) -> Section:
        found = self._found
        lines = (found.result.equity, found.paper, found.benchmark_equity)
        log = wants_log(found.result.equity)
        chart = self._figures.chart(
            "equity",
            equity_figure(*lines, found.benchmark_name, log),
            equity_sentence(lines[0], found.initial_cash, *lines[1:], found.benchmark_name),
            scale="log" if log else "linear",
        )
        return Section("equity", "Equity", "Equity", charts=[chart])

    def _drawdown(self) -> Section:
        found = self._found
        chart = self._figures.chart(
            "drawdown",
            drawdown_figure(
                found.result.equity,
                found.initial_cash,
                found.benchmark_equity,
                found.benchmark_name,
            ),
            drawdown_sentence(found.result.equity, found.initial_cash),
        )
        table = drawdown_rows(found.result.drawdowns(5))
        return Section(
            "drawdown",
            "Drawdown",
            "Drawdown",
            charts=[chart],
            tables=[] if table is None else [table],
        )

    def _months(self) -> Section:
        monthly = self._found.result.monthly_returns()
        sentence = monthly_sentence(monthly, self._found.begin)
        chart = self._figures.chart("months", monthly_figure(monthly), sentence)
        return Section("months", "Returns by month", "Months", charts=[chart])

    def _risk(self) -> Section:
        found = self._found
        sharpe = self._figures.chart(
            "sharpe",
            rolling_sharpe_figure(
                found.result.equity, found.benchmark_equity, found.benchmark_name
            ),
            rolling_sharpe_sentence(found.result.equity),
            "Sharpe ratio of the year before",
        )
        turnover = self._figures.chart(
            "turnover",
            turnover_figure(found.tracking),
            turnover_sentence(found.tracking),
            "Turnover",
        )
        return Section("risk", "Risk and turnover over time", "Risk", charts=[sharpe, turnover])

    def _weights(self) -> Section:
        result = self._found.result
        name, title = "weights", "Weights: requested against held"
        try:
            given = (result.weights("requested"), result.positions, result.equity)
        except BacktestError as error:  # an asset that is called as the column of times
            return Section(name, title, "Weights", reason=f"{error}.")
        chart = self._figures.chart(name, weights_figure(*given), weights_sentence(*given))
        return Section(name, title, "Weights", charts=[chart])

    def _contributions(self) -> Section:
        contributions = self._found.result.contributions()
        chart = self._figures.chart(
            "contributions",
            contributions_figure(contributions),
            contributions_sentence(contributions),
        )
        return Section("assets", "What each asset earned", "Assets", charts=[chart])

    def _costs(self) -> Section:
        given = (self._found.result.fills, self._found.result.equity)
        chart = self._figures.chart("costs", costs_figure(*given), costs_sentence(*given))
        return Section("costs", "Costs", "Costs", charts=[chart])

    def _drift(self) -> Section:
        tracking = self._found.tracking
        chart = self._figures.chart("drift", drift_figure(tracking), drift_sentence(tracking))
        table = skipped_table(tracking)
        return Section(
            "drift",
            "Drift from the target weights",
            "Drift",
            charts=[chart],
            tables=[] if table is None else [table],
        )

    def _rebalances(self) -> Section:
        result = self._found.result
        name, title, short = "rebalances", "Rebalance explorer", "Rebalances"
        if not result.rebalances.height:
            return Section(name, title, short, reason="There was no rebalance with a row.")
        try:
            shown = explorer_rows(result)
        except BacktestError as error:  # an asset that is called as the column of times
            return Section(name, title, short, reason=f"{error}.")
        self._explorer = explorer_data(shown, self._packer)
        texts = [outcome_sentence(self._found.tracking), shown.note]
        return Section(name, title, short, lead=[text for text in texts if text], explorer=True)

    def _trades(self) -> Section:
        trips = self._found.round_trips
        text = trades_sentence(trips)
        if not trips.height:
            return Section("trades", "Trades", "Trades", reason=text)
        self._tables["trades-grid"] = trades_grid(trips, self._packer, self._found.result.positions)
        grid = GridBox("trades-grid", placeholder="asset, side, date")
        return Section("trades", "Trades", "Trades", lead=[text, HOW_COUNTED], grids=[grid])

    def _log(self) -> Section | None:
        asked = self._found.result.optimizations
        if not is_optimizer_log(asked):
            return None
        self._tables["log-grid"] = log_grid(asked, self._packer)
        grid = GridBox("log-grid", placeholder="status, message")
        return Section(
            "log", "Optimizer log", "Optimizer", lead=[log_sentence(asked)], grids=[grid]
        )

    def _data(self) -> Section:
        remarks = data_remarks(self._found.result, self._found.bars)
        has_bars = self._found.result.equity.height > 0
        return Section(
            "data",
            "Data",
            "Data",
            lead=[] if remarks or not has_bars else [_COMPLETE],
            reason="" if remarks or has_bars else "The run has no bars.",
            warnings=remarks,
        )

    def _config(self) -> Section:
        result = self._found.result
        return Section(
            "config",
            "Settings and fingerprint",
            "Settings",
            facts=[
                ("Fingerprint of the input", result.fingerprint),
                ("ml4t-backtest", __version__),
                ("Python", platform.python_version()),
                ("polars, numpy", f"{pl.__version__}, {np.__version__}"),
                ("plotly", plotly.__version__),
            ],
            text=write_toml(result.config.to_table()),
        )
