"""The ledger: what an account holds and has done, as record tables by asset index."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import numpy as np

from ml4t.backtest.errors import OrderError
from ml4t.backtest.kernel import accounting
from ml4t.backtest.ledger.tables import Table
from ml4t.backtest.records import (
    ACCOUNT,
    END,
    EQUITY,
    FILL,
    HOLDING,
    ORDER,
    PLAN,
    PLAN_ROW,
    TRADE,
    TRIP_STATE,
    VOLUME_USE,
    Floats,
    Records,
)


class Ledger:
    """State and history of one account.

    The book holds the working orders in the order of their submission; an order that is done
    moves to `done`. The broker alone writes here, through the kernel.

    Parameters
    ----------
    assets : tuple of str
        Sorted by name.
    cash : float
        Cash at the start.
    timestamps : list of datetime
        Times of the bars by number. A broker that is stepped by hand appends to it.
    n_bars : int
        How many bars there will be, for the table of equity; 0 where they are not known.
    """

    def __init__(
        self, assets: tuple[str, ...], cash: float, timestamps: list[datetime], n_bars: int = 0
    ) -> None:
        self.timestamps = timestamps
        self.equity: Records = np.zeros(n_bars, EQUITY)
        self.assets = assets
        self.index = {name: i for i, name in enumerate(assets)}
        n = len(assets)
        self.account: Records = np.zeros(1, ACCOUNT)
        self.account["cash"] = cash
        self.holdings: Records = _no_holdings(n)
        self.volume_used: Records = _no_volume_used(n)
        self.multiplier: Floats = np.ones(n)
        self.book: Records = np.zeros(64, ORDER)
        self.done = Table(ORDER)
        self.fills = Table(FILL)
        self.plans = Table(PLAN)
        self.plan_rows = Table(PLAN_ROW)
        self.ends = Table(END)
        self._rows_of_done: dict[int, int] = {}

    @property
    def n_working(self) -> int:
        """How many orders are in the book."""
        n_working: int = self.account["n_working"].item()
        return n_working

    @property
    def n_submitted(self) -> int:
        """How many orders were submitted; they are numbered from 0."""
        return int(self.account["next_order_id"][0])

    @property
    def n_plans(self) -> int:
        """How many plans were applied."""
        return int(self.account["n_plans"][0])

    @property
    def cash(self) -> float:
        """Cash, in currency."""
        return float(self.account["cash"][0])

    @property
    def working(self) -> Records:
        """The working orders, oldest first: a view of the book."""
        return self.book[: self.n_working]

    def record_equity(self, stop: int, marks: Floats) -> None:
        """Write the closes of the bars before `stop` that are not written yet.

        Cash and holdings must not have changed since the last of them that is; `marks` is
        (n_bars, n_assets).
        """
        accounting.record_equity(stop, marks, self.account, self.holdings, self.equity)

    def book_with_room(self, n: int) -> Records:
        """Return the book, grown if need be so that `n` more orders fit."""
        if self.n_working + n > self.book.size:
            grown = np.zeros(max(2 * self.book.size, self.n_working + n), ORDER)
            grown[: self.n_working] = self.working
            self.book = grown
        return self.book

    def add_assets(self, names: Iterable[str]) -> None:
        """Make room for assets that are new, keeping the order of names; changes every index.

        Only a broker that is stepped by hand meets new assets; a feed knows its own.
        """
        assets = tuple(sorted({*self.assets, *names}))
        index = {name: i for i, name in enumerate(assets)}
        moved = np.array([index[name] for name in self.assets], np.int64)
        holdings = _no_holdings(len(assets))
        used = _no_volume_used(len(assets))
        if moved.size:
            holdings[moved] = self.holdings
            used[moved] = self.volume_used
            self.working["asset"] = moved[self.working["asset"]]
            for table in (self.done, self.fills, self.plan_rows):
                records = table.records().copy()
                records["asset"] = moved[records["asset"]]
                table.replace(records)
        self.assets, self.index = assets, index
        self.holdings, self.volume_used = holdings, used
        self.multiplier = np.ones(len(assets))

    def book_row(self, order_id: int) -> int | None:
        """Return where a working order stands in the book, None if it does not work."""
        ids = self.working["order_id"]
        row = int(np.searchsorted(ids, order_id))
        return row if row < ids.size and ids[row] == order_id else None

    def order_record(self, order_id: int) -> np.void:
        """Return the record of an order, working or done.

        Raises
        ------
        ValueError
            If there is no such order.
        """
        row = self.book_row(order_id)
        if row is not None:
            found: np.void = self.book[row]
            return found
        seen = len(self._rows_of_done)
        if len(self.done) > seen:
            for k, done_id in enumerate(self.done.tail(seen)["order_id"].tolist(), seen):
                self._rows_of_done[done_id] = k
        if order_id not in self._rows_of_done:
            raise OrderError(
                f"order {order_id!r} is unknown; {self.n_submitted} orders "
                "were submitted so far, numbered from 0"
            )
        return self.done.row(self._rows_of_done[order_id])

    def asset_name(self, column: int) -> str:
        """Return the name of an asset by its index."""
        return self.assets[column]

    def time_of(self, bar: int) -> datetime | None:
        """Return the time of a bar by its number, None for bar -1 (before the first)."""
        return None if bar < 0 else self.timestamps[bar]

    def all_trades(self) -> Records:
        """Return round trips, open ones included, as records of `TRADE`."""
        fills = self.fills.records()
        trades, states = np.zeros(2 * fills.size, TRADE), np.zeros(fills.size, TRIP_STATE)
        return trades[: accounting.round_trips(fills, len(self.assets), trades, states)]

    def all_orders(self) -> Records:
        """Return every order as it stands now, by id."""
        records = np.concatenate([self.done.records(), self.working])
        return records[np.argsort(records["order_id"], kind="stable")]


def _no_holdings(n: int) -> Records:
    """Return `n` empty holdings."""
    holdings = np.zeros(n, HOLDING)
    holdings["entry_price"] = np.nan
    holdings["entry"] = -1
    return holdings


def _no_volume_used(n: int) -> Records:
    """Return what is used of the volume of `n` assets before the first bar."""
    used = np.zeros(n, VOLUME_USE)
    used["bar"] = -1
    return used
