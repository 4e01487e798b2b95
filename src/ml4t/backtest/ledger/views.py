"""The ledger by name: positions, fills and a snapshot, made when somebody looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import isnan

import numpy as np

from ml4t.backtest.costs import Costs
from ml4t.backtest.enums import OrderSide, OrderStatus, OrderType
from ml4t.backtest.ledger.ledger import Ledger
from ml4t.backtest.ledger.snapshot import PortfolioSnapshot, WorkingOrder
from ml4t.backtest.records import Floats
from ml4t.backtest.types import Fill, Position, Trade


class Positions(Mapping[str, Position]):
    """What is held, by asset; a live view.

    Parameters
    ----------
    ledger : Ledger
    marks : callable
        Returns the marks of now, (n_assets,).
    """

    def __init__(self, ledger: Ledger, marks: Callable[[], Floats]) -> None:
        self._ledger = ledger
        self._marks = marks

    def __getitem__(self, asset: str) -> Position:
        """Return a position as it is now; raises `KeyError` where nothing is held."""
        holding = self._ledger.holdings[self._ledger.index[asset]]
        quantity = float(holding["quantity"])
        if quantity == 0.0:
            raise KeyError(asset)
        mark = float(self._marks()[self._ledger.index[asset]])
        entry_price = float(holding["entry_price"])
        return Position(
            asset=asset,
            quantity=quantity,
            entry_price=entry_price,
            entry_time=self._ledger.time_of(int(holding["entry"])),
            market_price=mark,
            market_value=quantity * mark,
            unrealized_pnl=quantity * (mark - entry_price),
        )

    def __iter__(self) -> Iterator[str]:
        """Iterate over the assets that are held, by name."""
        for column in np.flatnonzero(self._ledger.holdings["quantity"]):
            yield self._ledger.assets[column]

    def __len__(self) -> int:
        """Count the assets that are held."""
        return int(np.count_nonzero(self._ledger.holdings["quantity"]))

    def __repr__(self) -> str:
        """Like a dict's."""
        return repr(dict(self))


def list_fills(ledger: Ledger) -> list[Fill]:
    """Return every fill, in sequence."""
    return [
        Fill(
            timestamp=ledger.timestamps[record["bar"]],
            order_id=int(record["order_id"]),
            plan_idx=int(record["plan_idx"]),
            asset=ledger.assets[record["asset"]],
            side=OrderSide.BUY if record["quantity"] > 0.0 else OrderSide.SELL,
            quantity=abs(float(record["quantity"])),
            price=float(record["price"]),
            commission=float(record["commission"]),
            slippage=float(record["slippage"]),
        )
        for record in ledger.fills.records()
    ]


def list_trades(ledger: Ledger) -> list[Trade]:
    """Return round trips, open ones included, in the order of their entries."""
    return [
        Trade(
            asset=ledger.assets[record["asset"]],
            quantity=float(record["quantity"]),
            entry_time=ledger.timestamps[record["entry"]],
            exit_time=ledger.time_of(int(record["exit"])),
            entry_price=float(record["entry_price"]),
            exit_price=None if np.isnan(record["exit_price"]) else float(record["exit_price"]),
            pnl=float(record["pnl"]),
            commission=float(record["commission"]),
            slippage=float(record["slippage"]),
            n_fills=int(record["n_fills"]),
        )
        for record in ledger.all_trades()
    ]


def snapshot_ledger(
    ledger: Ledger, marks: Floats, prices: Mapping[str, float | None], costs: Costs
) -> PortfolioSnapshot:
    """Return the account as a planner needs it, at the given prices."""
    held = np.flatnonzero(ledger.holdings["quantity"])
    return PortfolioSnapshot(
        cash=ledger.cash,
        positions={ledger.assets[i]: float(ledger.holdings["quantity"][i]) for i in held},
        prices=prices,
        marks={name: float(marks[i]) for name, i in ledger.index.items() if marks[i] > 0.0},
        open_orders=tuple(
            WorkingOrder(
                asset=ledger.assets[record["asset"]],
                side=OrderSide.from_code(record["side"]),
                quantity=float(record["quantity"]),
                filled_quantity=float(record["filled"]),
                order_type=OrderType.from_code(record["type"]),
                limit_price=_price(record["limit_price"]),
                stop_price=_price(record["stop_price"]),
                triggered=bool(record["triggered_in"] >= 0),
                reduce_only=bool(record["reduce_only"]),
                status=OrderStatus.from_code(record["status"]),
                order_id=int(record["order_id"]),
            )
            for record in ledger.working
        ),
        costs=costs,
    )


def _price(price: float) -> float | None:
    """Return a price of an order, None for NaN."""
    return None if isnan(price) else float(price)
