"""BacktestResult: what a run did, as frames, and the figures that follow from them."""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING, Self

import polars as pl

from ml4t.backtest import storage
from ml4t.backtest.analysis.benchmark import as_benchmark
from ml4t.backtest.analysis.contributions import contributions_frame
from ml4t.backtest.analysis.round_trips import round_trips_frame
from ml4t.backtest.analysis.run_figures import RunFigures
from ml4t.backtest.analysis.tracking import Tracking, track
from ml4t.backtest.analysis.weight_frames import weights_frame
from ml4t.backtest.html_tables import html_facts
from ml4t.backtest.run_summary import rows_of_summary
from ml4t.backtest.run_tables import RunTables

if TYPE_CHECKING:
    from pathlib import Path

    from ml4t.backtest.attribution.bridge import Bridge
    from ml4t.backtest.report.plots import ResultPlots


class BacktestResult(RunTables):
    """What a run did and what came of it: its tables (`RunTables`), and what follows from them.

    It is made by a run, or by `load`.
    """

    def weights(self, kind: str) -> pl.DataFrame:
        """Return the weights of every rebalance: a row for each plan, a column for each asset.

        Fractions of equity; what is missing to 1 is cash.

        Parameters
        ----------
        kind : {"requested", "target", "planned", "filled", "drifted"}
            "requested": as they were asked for; null where an asset was not in the targets.
            "target": after the adjustments (`Adjustment`); null where an asset is held back.
            "planned": what the plan comes to at its prices if its orders, and those that go on
            working and count, fill whole: whole shares and what thresholds skip make it differ
            from the target. "filled": what was held at the first close after the orders could
            fill, that of the next bar (of the same bar in SAME_BAR mode); null where the run ends
            before. "drifted": what was held when the next rebalance was decided, before it; at the
            last close for the last one.

        Returns
        -------
        polars.DataFrame
            ``timestamp`` of the decision, and the assets by name that are in some plan or
            position of the run: the others have no weight of any kind. Null too, but for
            "requested", where there was no equity. A plan without a row, since nothing was wanted
            and nothing held, has none here. Several plans at one bar have a row each; what was
            filled and drifted is then the outcome of all of them.

        Raises
        ------
        ValueError
            For another kind, and if an asset is called timestamp.

        Notes
        -----
        ``WeightSchedule.from_frame(result.weights("requested"))`` is the schedule that was traded,
        but for rows and columns without a number, if there was no more than one plan at a bar.
        """
        return weights_frame(self._frames, self.config.execution_mode, kind)

    def bridge(self, prices: object | None = None) -> Bridge:
        """Split the account's distance from the paper portfolio into the frictions that made it.

        The paper portfolio is what the requested weights promise: traded in fractions at the close
        of their decision, free, on credit and short where they say so. The same weights are run
        again with one friction more each time; what a term holds is the difference that it made.
        docs/bridge.md says in which order, and why.

        Parameters
        ----------
        prices : DataFeed, dataframe or path, optional
            As in `bars`.

        Returns
        -------
        Bridge

        Raises
        ------
        ValueError
            As `bars` does, and for a loaded result whose cost model was written in Python.
        """
        # Upward, by a name in the import contract: whoever holds a result looks for it here.
        from ml4t.backtest.attribution.bridge import make_bridge  # noqa: PLC0415

        return make_bridge(self.config, self._frames, prices)

    # ------------------------------------------------------------------ trades and tracking

    def round_trips(self, method: str = "average", prices: object | None = None) -> pl.DataFrame:
        """Return the round trips with their profit and loss after costs, open ones marked.

        The `pnl` of all rows add up to the final equity less the initial cash, by either method.

        Parameters
        ----------
        method : {"average", "fifo"}
            "average": a row from the fill that opens a position to the one that closes it, or takes
            it through zero, as in `trades`; what comes in between changes its average cost. "fifo":
            a sale sells what was bought first; a row for every pair of a purchase and a sale, and
            one for what is left of a purchase. Commission and slippage of a fill are shared by
            quantity. For a short the same with sales and purchases exchanged.
        prices : DataFeed, dataframe or path, optional
            Those of the run, for `mae` and `mfe` of a result that was loaded: without them these
            two are null there. They are compared with its fingerprint.

        Returns
        -------
        polars.DataFrame
            In the order of the entries ("fifo": then of the exits):

            - asset, side ("long" or "short");
            - quantity: units that were entered in all, > 0;
            - entry_time, exit_time: of the fills; the second is null while it is open;
            - entry_price, exit_price: means of the fills, after slippage. What is still open
              counts in the second at its mark at the last close;
            - pnl: currency, after commission and slippage, what is open at its mark; not with what
              it would cost to close it. pnl_before_costs: the same without both;
            - commission, slippage: currency, >= 0;
            - return: `pnl` over what was entered, ``quantity * entry_price``;
            - n_fills: how many fills it has, 2 or 1 by "fifo";
            - n_bars, holding_time: bars of the feed and time from the entry to the exit, for what
              is open to the last close; 0 within one bar;
            - mae, mfe: the maximum adverse (<= 0) and favourable (>= 0) excursion while it was
              held, as fractions of the average cost of a unit at that time (by "fifo": of
              `entry_price`). For a long: the lowest low, the highest high, over that cost, less 1;
              for a short the other way around. 0 where the price was never on that side, null where
              it is beyond all floats;
            - is_open.

        Raises
        ------
        ValueError
            For another method, and for prices that are not those of the run.

        Notes
        -----
        Which bars count for `mae` and `mfe`: all those between entry and exit. The bar of a fill at
        its close (SAME_BAR, ``fill_price="close"``, market-on-close) counts whole for what was held
        before, and not for what is held after. Of a fill before the close it is the other way
        around: an entry sees all of its bar, an exit nothing of it. That is so at the open; inside
        the bar (limits, stops, hl2, vwap) it is an assumption, as nobody knows the time. So fills
        inside a bar come before those at its close, whatever their sequence. The price of an exit
        itself always counts.
        """
        return round_trips_frame(self._frames, self.config, method, prices)

    def contributions(self) -> pl.DataFrame:
        """Return what each asset that was traded has added to the outcome; by name.

        Returns
        -------
        polars.DataFrame
            asset; pnl (currency, after costs, what is held at its mark; settlements of assets that
            ended are in it); contribution (`pnl` over the initial cash: they add up to the total
            return); commission, slippage (currency); n_fills; n_round_trips (as in `trades`, an
            open one included); bars_held (closes at which it was held); average_weight (the mean
            over all closes that have equity, 0 where it was not held).
        """
        return contributions_frame(self._frames, self.config)

    def tracking(self, band: float = 0.05) -> Tracking:
        """Return how near the account was to its target weights, and what kept it from them.

        Parameters
        ----------
        band : float
            Drift of an asset, as a fraction of equity, above which a close counts as out of band;
            0 < band < 1.

        Raises
        ------
        ValueError
            For a band out of its range.
        """
        return track(self._frames, self.config, band)

    # ------------------------------------------------------------------ to look at

    def report(
        self,
        path: str | os.PathLike[str],
        benchmark: object | None = None,
        title: str | None = None,
        prices: object | None = None,
    ) -> Path:
        """Write the tearsheet: one HTML file that needs no network.

        The verdict and the bridge, equity, drawdowns, monthly returns, weights, costs, drift, every
        rebalance asset by asset, trades, the optimizer log, remarks on the data, settings; see
        docs/report.md. Needs the extra ``report``.

        Parameters
        ----------
        path : str or path
            The file; its folder exists. A file that is there is replaced, once the new one is
            complete.
        benchmark : str, dataframe, path, BacktestResult or Benchmark, optional
            As in `statistics`.
        title : str, optional
            Heading of the page.
        prices : DataFeed, dataframe or path, optional
            As in `bars`. A loaded result without them has no bridge in its report.

        Returns
        -------
        Path
            Of the file.

        Raises
        ------
        ValueError
            For a path that cannot be written to, a benchmark that cannot be aligned, and prices
            that are not those of the run.
        ImportError
            Without plotly and jinja2; the message holds the pip line.

        Examples
        --------
        >>> result.report("report.html", title="Momentum, monthly")  # doctest: +SKIP
        """
        from ml4t.backtest.report.tearsheet import write_report  # noqa: PLC0415

        return write_report(self, path, benchmark, title, prices)

    @property
    def plot(self) -> ResultPlots:
        """The figures of the run: ``result.plot.equity()`` and others; see `ResultPlots`.

        Needs the extra ``report``.
        """
        from ml4t.backtest.report.plots import ResultPlots  # noqa: PLC0415

        return ResultPlots(self)

    # ------------------------------------------------------------------ on disk

    def save(self, folder: str | os.PathLike[str], overwrite: bool = False) -> None:
        """Write the result to a folder: a parquet file for each frame, and ``result.json``.

        The files of `tables` are called ``strategy.<name>.parquet``. The folder is there whole or
        not at all, also if the process dies meanwhile; when a result is overwritten, the old one
        stays until the new one is complete. Two processes must not save to one folder at the same
        time.

        Parameters
        ----------
        folder : str or path
            Made, with the folders above it.
        overwrite : bool
            Replace a result that is there.

        Raises
        ------
        ValueError
            If the folder exists and `overwrite` is False, or if it holds something else than a
            result.

        Examples
        --------
        >>> result.save("runs/momentum")  # doctest: +SKIP
        >>> BacktestResult.load("runs/momentum").summary()  # doctest: +SKIP
        """
        storage.save(folder, self.config, self._frames, self.tables, self.metrics, overwrite)

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Self:
        """Read a result that `save` wrote; every file is checked against its checksum.

        Parameters
        ----------
        folder : str or path

        Raises
        ------
        ValueError
            If the folder is no result, or one of its files is missing, damaged, or of another
            format; the message names the file.
        """
        return cls(*storage.load(folder))

    # ------------------------------------------------------------------ figures

    @cached_property
    def metrics(self) -> dict[str, float]:
        """The figures of the run.

        Returns and rates are fractions, money is currency. Total and annual return and drawdown
        start from the initial cash, volatility and Sharpe ratio are of the returns between
        closes. `turnover` is half the traded value over the equity at the close of its bar,
        summed over the bars that have equity, `annual_turnover` that a year.
        `rebalances_requested` counts plans, `rebalances_executed` those of which an order filled
        at least in part. `ends_inferred` counts assets whose bars end before the feed does. NaN
        where a figure is not defined.
        """
        return RunFigures(self._frames, self.config.initial_cash).basic()

    def statistics(
        self,
        benchmark: object | None = None,
        prices: object | None = None,
        periods_per_year: float | None = None,
        risk_free_rate: float = 0.0,
    ) -> dict[str, float]:
        """Return every figure of the run by name, those of `metrics` first.

        Parameters
        ----------
        benchmark : str, dataframe, path, BacktestResult or Benchmark, optional
            An asset of the feed, a frame of levels, or another result; see `as_benchmark`. Without
            one there are no relative figures.
        prices : DataFeed, dataframe or path, optional
            Those of the run; only a result that was loaded needs them, for an asset as benchmark.
        periods_per_year : float, optional
            Bars a year; from the times of the bars if it is left out (about 252 for daily ones).
        risk_free_rate : float
            Of a year, as a fraction.

        Returns
        -------
        dict of str to float
            The page "Metrics" says what each of them means. NaN where one is not defined.

        Raises
        ------
        ValueError
            For a benchmark that cannot be aligned, and for numbers that are no rate or count.
        """
        found = None if benchmark is None else as_benchmark(benchmark, self, prices)
        figures = RunFigures(self._frames, self.config.initial_cash, periods_per_year)
        return figures.all(found, risk_free_rate)

    def drawdowns(self, n: int = 10) -> pl.DataFrame:
        """Return the deepest falls of equity from a high, the deepest first.

        Parameters
        ----------
        n : int
            How many at most.

        Returns
        -------
        polars.DataFrame
            peak (the last time at the high; null for the initial cash, before the first bar),
            valley, recovery (null while it lasts), depth (a fraction < 0), bars_down (from peak to
            valley), bars_up (from valley to recovery; null while it lasts).
        """
        return RunFigures(self._frames, self.config.initial_cash).drawdowns(n)

    def monthly_returns(self) -> pl.DataFrame:
        """Return what every month and year gained, by the calendar of the bars' time zone.

        Returns
        -------
        polars.DataFrame
            year, jan to dec, total (of the year), as fractions; the first month begins with the
            initial cash. Null where there is no bar.
        """
        return RunFigures(self._frames, self.config.initial_cash).monthly_returns()

    def summary(self) -> str:
        """Return the figures as a readable table."""
        rows = self.summary_rows()
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)

    def summary_rows(self) -> list[tuple[str, str]]:
        """Return the rows of `summary`: what it is, and the figure as text."""
        return rows_of_summary(self, self.metrics)

    def __repr__(self) -> str:
        """One line: length and outcome."""
        found = self.metrics
        return (
            f"BacktestResult(bars={self.equity.height}, "
            f"final_equity={found['final_equity']:,.2f}, total_return={found['total_return']:z.2%})"
        )

    def _repr_html_(self) -> str:
        """Return a table for notebooks: the rows of `summary`."""
        return html_facts(self.summary_rows(), "Backtest")
