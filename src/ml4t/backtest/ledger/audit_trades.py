"""The audit of round trips: added up again, fill by fill."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ml4t.backtest.kernel.quantities import ZERO_QUANTITY
from ml4t.backtest.ledger.books import MONEY, NOISE, Books, Violation


@dataclass
class _Trip:
    """What the fills of a round trip add up to so far.

    The kernel keeps averages; here are sums. `cost` is what the units that are still held have
    cost: a sale takes the same part of it along as of the units.
    """

    entry_time: datetime
    side: str
    exit_time: datetime | None = None
    held: float = 0.0
    cost: float = 0.0
    entered: float = 0.0
    paid: float = 0.0
    left: float = 0.0
    received: float = 0.0
    commission: float = 0.0
    slippage: float = 0.0
    n_fills: int = 0

    def add(self, fill: dict[str, Any]) -> bool:
        """Add a fill; True if nothing is held any more."""
        units, value = fill["quantity"], fill["quantity"] * fill["price"]
        self.commission += fill["commission"]
        self.slippage += fill["slippage"]
        self.n_fills += 1
        if fill["side"] == self.side:
            self.held += units
            self.cost += value
            self.entered += units
            self.paid += value
            return False
        self.left += units
        self.received += value
        before, self.held = self.held, self.held - units
        if abs(self.held) < ZERO_QUANTITY:
            self.exit_time, self.cost = fill["timestamp"], 0.0
            return True
        # Books that are wrong may sell what is not there.
        self.cost *= self.held / before if before > 0.0 else 0.0
        return False

    def expected(self) -> dict[str, tuple[Any, float]]:
        """Return what the table has to say, and how far off it may be."""
        sign = 1.0 if self.side == "buy" else -1.0
        money = MONEY + NOISE * (self.paid + self.received)
        gain = sign * (self.received - (self.paid - self.cost)) - self.commission
        entry_price = self.paid / self.entered if self.entered else float("nan")
        exit_price = self.received / self.left if self.left else None
        return {
            "quantity": (sign * self.entered, ZERO_QUANTITY + NOISE * self.entered),
            "entry_time": (self.entry_time, 0.0),
            "exit_time": (self.exit_time, 0.0),
            "entry_price": (entry_price, NOISE * entry_price),
            "exit_price": (exit_price, NOISE * (exit_price or 0.0)),
            "pnl": (gain, money),
            "commission": (self.commission, money),
            "slippage": (self.slippage, money),
            "n_fills": (self.n_fills, 0.0),
        }


def check_trades(books: Books) -> list[Violation]:
    """Check that the round trips are those that the fills add up to."""
    expected: dict[str, list[_Trip]] = {}
    is_open: dict[str, bool] = {}
    for fill in books.fills.iter_rows(named=True):
        trips = expected.setdefault(fill["asset"], [])
        if not is_open.get(fill["asset"], False):
            trips.append(_Trip(fill["timestamp"], fill["side"]))
        is_open[fill["asset"]] = not trips[-1].add(fill)
    shown: dict[str, list[dict[str, Any]]] = {}
    for trade in books.trades.iter_rows(named=True):
        shown.setdefault(trade["asset"], []).append(trade)
    found = []
    for asset in sorted({*expected, *shown}):
        trips, trades = expected.get(asset, []), shown.get(asset, [])
        if len(trades) != len(trips):
            message = "the number of round trips is not that of the fills"
            found.append(Violation("trades", message, len(trades), len(trips), asset=asset))
            continue
        for trip, trade in zip(trips, trades, strict=True):
            found += _compare(asset, trip, trade)
    return found


def _compare(asset: str, trip: _Trip, trade: dict[str, Any]) -> list[Violation]:
    return [
        Violation(
            check="trades",
            message=f"the {field} of a round trip is not that of its fills",
            found=trade[field],
            expected=value,
            asset=asset,
            timestamp=trip.entry_time,
        )
        for field, (value, noise) in trip.expected().items()
        if not _is_near(trade[field], value, noise)
    ]


def _is_near(found: Any, expected: Any, noise: float) -> bool:
    """Whether two values are the same, numbers to the noise; NaN is near nothing."""
    if isinstance(found, float) and isinstance(expected, float):
        return abs(found - expected) <= noise
    return bool(found == expected)
