"""The tables of a run, each a frame that is made when somebody looks."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from ml4t.backtest.config import BacktestConfig
from ml4t.backtest.errors import InputError, MissingExtraError, listed
from ml4t.backtest.feed.bars import Bars
from ml4t.backtest.frames import FRAMES, OPTIMIZATIONS, RunFrames, bars_of
from ml4t.backtest.ledger.audit import audit_books
from ml4t.backtest.ledger.books import Books, Violation
from ml4t.backtest.records import EQUITY, Records


class RunTables:
    """What a run left behind: its tables, its bars, and the check of its books.

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
