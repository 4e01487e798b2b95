"""BacktestResult: what a run did, as frames, and the figures that follow from them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import polars as pl

from ml4t.backtest import storage
from ml4t.backtest.benchmark import as_benchmark
from ml4t.backtest.config import BacktestConfig
from ml4t.backtest.contributions import contributions_frame
from ml4t.backtest.errors import InputError, MissingExtraError, listed
from ml4t.backtest.feed.bars import Bars
from ml4t.backtest.frames import FRAMES, OPTIMIZATIONS, RunFrames, bars_of
from ml4t.backtest.html_tables import html_facts
from ml4t.backtest.ledger.audit import audit_books
from ml4t.backtest.ledger.books import Books, Violation
from ml4t.backtest.records import EQUITY, Records
from ml4t.backtest.round_trips import round_trips_frame
from ml4t.backtest.run_figures import RunFigures
from ml4t.backtest.tracking import Tracking, track
from ml4t.backtest.weight_frames import weights_frame

if TYPE_CHECKING:
    from pathlib import Path

    from ml4t.backtest.attribution.bridge import Bridge
    from ml4t.backtest.report.plots import ResultPlots


class BacktestResult:
    """What a run did and what came of it.

    Attributes
    ----------
    equity : polars.DataFrame
        At every close: timestamp, equity, cash, gross_exposure, net_exposure. Money in currency,
        exposures as fractions of equity.
    orders : polars.DataFrame
        order_id, plan_idx, asset, side, quantity, filled_quantity, order_type, limit_price,
        stop_price, status, reason, created_at, finished_at, average_fill_price. `reason` is null
        for an order that works or has filled, `plan_idx` -1 for one that no plan sent.
    fills : polars.DataFrame
        timestamp, order_id, plan_idx, asset, side, quantity, price, commission, slippage. `price`
        is after slippage; `slippage` is money against the price before it.
    trades : polars.DataFrame
        Round trips at average cost: asset, quantity, entry_time, exit_time, entry_price,
        exit_price, pnl, commission, slippage, n_fills. `exit_time` is null for one that is still
        open, whose `pnl` is that of what was closed so far.
    positions : polars.DataFrame
        A row for every asset held at every close: timestamp, asset, quantity, market_value,
        weight.
    rebalances : polars.DataFrame
        Every row of every plan that was applied: timestamp, plan_idx, asset, requested_weight,
        target_weight, current_weight, effective_weight, planned_weight, price, target_quantity,
        quantity, value, estimated_cost, reason, adjustments; see `PlanRow`.
    ends : polars.DataFrame
        Every asset whose bars end before the feed does: timestamp (of the first bar without it),
        asset, last_bar, quantity, market_value (what was held when it ended, at its last mark).
        That it ended is inferred from the feed: no trader could have known.
    optimizations : polars.DataFrame
        Every time that a weight provider was asked, what it cost and whether it failed.
    tables : dict of str to polars.DataFrame
        What the strategy itself returned (`Strategy.tables`); empty where it has none.
    config : BacktestConfig
    """

    def __init__(
        self,
        config: BacktestConfig,
        frames: RunFrames,
        tables: Mapping[str, pl.DataFrame] | None = None,
    ) -> None:
        self.config = config
        self.tables = {} if tables is None else dict(tables)
        self._frames = frames

    # ------------------------------------------------------------------ tables

    @property
    def equity(self) -> pl.DataFrame:
        """The account at every close."""
        return self._frames.equity

    @property
    def orders(self) -> pl.DataFrame:
        """Every order, by id, as it stood at the end."""
        return self._frames.orders

    @property
    def fills(self) -> pl.DataFrame:
        """Every fill, in sequence."""
        return self._frames.fills

    @property
    def trades(self) -> pl.DataFrame:
        """Round trips, in the order of their entries."""
        return self._frames.trades

    @property
    def positions(self) -> pl.DataFrame:
        """What was held at every close."""
        return self._frames.positions

    @property
    def rebalances(self) -> pl.DataFrame:
        """Every row of every plan that was applied."""
        return self._frames.rebalances

    @property
    def ends(self) -> pl.DataFrame:
        """Every asset that ended before the feed did, and what was held of it."""
        return self._frames.ends

    @property
    def optimizations(self) -> pl.DataFrame:
        """Every time that a weight provider was asked: the table "optimizations" of `tables`.

        `timestamp`, `provider`; `status`: "ok", "failed", "timed_out", or "no_decision" (it had not
        enough bars yet, or said that it has nothing to say); `seconds` it took; `message`: what
        failed, or what is to be remarked; `fallback`: which policy answered a failure ("raise",
        "hold", "previous", "equal", "cash", or the name of a provider, which has a row of its own);
        `warnings`: what was warned of meanwhile, a line each. Null where there is nothing. Without
        rows if the run had no provider; `WeightStrategy` and `run_provider` keep this table.
        """
        found = self.tables.get("optimizations")
        if found is None:
            zone = self.equity.schema["timestamp"]
            return pl.DataFrame(schema={"timestamp": zone, **OPTIMIZATIONS})
        return found

    @cached_property
    def equity_records(self) -> Records:
        """The equity table as records of `EQUITY`, one a bar."""
        records = np.zeros(self.equity.height, EQUITY)
        for name in EQUITY.names or ():
            records[name] = self.equity[name].to_numpy()
        return records

    def bars(self, prices: object | None = None) -> Bars:
        """Return the bars that the run followed, (n_bars, n_assets) each.

        Parameters
        ----------
        prices : DataFeed, dataframe or path, optional
            Those of the run, with its signals if it had some; only a result that was loaded needs
            them, since it holds none. They are compared with its fingerprint.

        Raises
        ------
        ValueError
            If a loaded result is given no prices, and for prices that are not those of the run.
        """
        return bars_of(self._frames, prices)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the prices, volumes and signals of the run, as a hex string."""
        return self._frames.fingerprint

    def to_pandas(self, name: str) -> Any:
        """Return one of the frames as a pandas DataFrame.

        Parameters
        ----------
        name : str
            "equity", "orders", "fills", "trades", "positions", "rebalances", "ends",
            "optimizations", or the name of one of `tables`.

        Raises
        ------
        ValueError
            For another name.
        """
        known = tuple(dict.fromkeys((*FRAMES, "optimizations", *self.tables)))
        if name not in known:
            raise InputError(f"to_pandas: no frame {name!r}; there are {listed(known, 20)}")
        is_table = name in self.tables
        frame: pl.DataFrame = self.tables[name] if is_table else getattr(self, name)
        try:
            return frame.to_pandas()
        except ImportError:
            raise MissingExtraError(
                'to_pandas needs pandas and pyarrow; run: pip install "ml4t-backtest[pandas]"'
            ) from None

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
              for a short the other way around. 0 where the price was never on that side;
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
        the bar (limits, stops, hl2, vwap) it is an assumption, as nobody knows the time. The price
        of an exit itself always counts.
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

    # ------------------------------------------------------------------ checks

    def audit(self) -> list[Violation]:
        """Check the tables against each other and against the rules of an account.

        Returns
        -------
        list of Violation
            Empty for a run whose books are in order. `ledger/audit.py` has the list of checks,
            which are those of a cash account.
            What the account itself held at the end is compared for a fresh result only: it is in
            no table.
        """
        return audit_books(
            Books(
                config=self.config,
                equity=self.equity,
                orders=self.orders,
                fills=self.fills,
                trades=self.trades,
                positions=self.positions,
                rebalances=self.rebalances,
                ends=self.ends,
                holdings=self._frames.holdings,
            )
        )

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
        found = self.metrics
        times = self.equity["timestamp"]
        # A run that was stopped in its first bar has none that is complete.
        period = f"{times[0]:%Y-%m-%d} to {times[-1]:%Y-%m-%d}, " if len(times) else ""

        def shown(name: str, form: str) -> str:
            # "z": what rounds to zero has no sign.
            return "n/a" if np.isnan(found[name]) else format(found[name], f"z{form}")

        bars = f"{self.equity.height:,} {'bar' if self.equity.height == 1 else 'bars'}"

        lines = [
            ("Period", f"{period}{bars}"),
            ("Initial cash", shown("initial_cash", ",.2f")),
            ("Final equity", shown("final_equity", ",.2f")),
            ("Total return", shown("total_return", ".2%")),
            ("Annual return", shown("annual_return", ".2%")),
            ("Volatility a year", shown("volatility", ".2%")),
            ("Sharpe ratio", shown("sharpe_ratio", ".2f")),
            ("Max drawdown", shown("max_drawdown", ".2%")),
            ("Turnover a year", shown("annual_turnover", ".2%")),
            ("Commission", shown("commission", ",.2f")),
            ("Slippage", shown("slippage", ",.2f")),
            ("Orders, fills", f"{found['orders']:,.0f}, {found['fills']:,.0f}"),
            (
                "Rebalances",
                f"{found['rebalances_requested']:,.0f} requested, "
                f"{found['rebalances_executed']:,.0f} executed",
            ),
        ]
        asked = self.optimizations
        # A strategy may have a table of its own of this name.
        if asked.height and "status" in asked.columns:
            counts = asked.group_by("status").len().sort("status").iter_rows()
            lines.append(
                ("Provider asked", ", ".join(f"{count:,} {status}" for status, count in counts))
            )
        if self.ends.height:
            held = self.ends.filter(pl.col("quantity") != 0.0)
            lines.append(
                (
                    "Assets that ended",
                    f"{self.ends.height:,}, {held.height:,} of them held, worth "
                    f"{held['market_value'].sum():,.2f} (delisting={self.config.delisting!r})",
                )
            )
        return lines

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
