"""The simulated broker: the only writer of an account's state."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from datetime import datetime
from typing import TypeGuard

import numpy as np

from ml4t.backtest.config import BacktestConfig, RebalanceConfig
from ml4t.backtest.enums import ExecutionMode, OrderSide, OrderStatus, Reason
from ml4t.backtest.errors import DataError, OrderError, StateError, listed, nearest
from ml4t.backtest.execution.inputs import PlanInputs, closes_of
from ml4t.backtest.execution.plan import RebalancePlan, make_plan
from ml4t.backtest.execution.weights import is_finite, weights_vector
from ml4t.backtest.feed.bars import Bars
from ml4t.backtest.feed.stepping import checked_bar, next_bars, no_bars, widened
from ml4t.backtest.feed.view import BarData
from ml4t.backtest.kernel import accounting, matching
from ml4t.backtest.kernel.quantities import ZERO_QUANTITY
from ml4t.backtest.ledger.ledger import Ledger
from ml4t.backtest.ledger.snapshot import PortfolioSnapshot
from ml4t.backtest.ledger.views import Positions, list_fills, list_trades, snapshot_ledger
from ml4t.backtest.records import PLAN, PLANNED_ORDER, Floats, Ints, Records
from ml4t.backtest.types import Fill, Order, Orders, Position, Trade


class Broker:
    """A cash account, its orders, and the market they are matched against.

    Inside an `Engine` it follows a feed. Alone it is stepped by hand: `step` brings the next bar,
    `settle` ends it.

    Parameters
    ----------
    config : BacktestConfig, optional
        None: the defaults.
    initial_cash : float, optional
        Overrides the config's.
    bars : Bars, optional
        The bars of a feed, when an engine drives the broker. None: bars come by `step`, and
        assets are known from the moment they are named.

    Examples
    --------
    >>> from datetime import datetime
    >>> broker = Broker(initial_cash=1_000.0)
    >>> order = broker.submit_order("AAPL", 5)
    >>> broker.step(datetime(2024, 1, 2), {"AAPL": {"open": 100.0, "close": 104.0}})
    >>> order.status, broker.cash, broker.get_account_value()
    (<OrderStatus.FILLED: 'filled'>, 500.0, 1020.0)
    """

    def __init__(
        self,
        config: BacktestConfig | None = None,
        initial_cash: float | None = None,
        *,
        bars: Bars | None = None,
    ) -> None:
        settings = BacktestConfig() if config is None else config
        if initial_cash is not None:
            fields = {name: getattr(settings, name) for name in BacktestConfig.model_fields}
            settings = BacktestConfig(**(fields | {"initial_cash": initial_cash}))
        if bars is not None and bars.volume is None and settings.max_participation is not None:
            raise DataError(
                f"config: max_participation={settings.max_participation} needs a volume column, "
                "which the feed does not have; add it or pass max_participation=None"
            )
        self.config = settings
        self._follows_feed = bars is not None
        self._bars = no_bars() if bars is None else bars
        self._bar = -1
        self._is_over = False
        timestamps = [] if bars is None else list(bars.timestamps)
        n_bars = len(timestamps)
        self.ledger = Ledger(self._bars.assets, settings.initial_cash, timestamps, n_bars)
        self._costs = settings.costs
        self._cost_params = settings.costs.params

    # ------------------------------------------------------------------ the market

    def advance(self, bar: int) -> None:
        """Go to bar number `bar` of the feed and match the working orders against it.

        Raises
        ------
        StateError
            If that is not the next bar: an engine drives the broker, a strategy does not.
        """
        if not self._follows_feed or bar != self._bar + 1 or bar >= len(self._bars.times):
            raise StateError(
                f"broker: bar {bar} does not follow bar {self._bar} of a feed; leave advance to "
                "the engine, and use step on a broker that was made alone"
            )
        self._bar = bar
        if self.ledger.n_working:
            self._match(self._bars.open, since=-1)

    def finish(self) -> None:
        """Record what is left and accept nothing any more: the run is over."""
        if self._follows_feed:
            self.ledger.record_equity(self._bar + 1, self._bars.mark)
        self._is_over = True

    def _check_open(self) -> None:
        if self._is_over:
            raise StateError("broker: the run is over; orders are not accepted any more")

    def step(self, timestamp: datetime, bars: Mapping[str, Mapping[str, float]]) -> None:
        """Bring the next bar by hand: match the working orders, then mark to its close.

        Parameters
        ----------
        timestamp : datetime
            Later than the one before.
        bars : mapping of asset to a mapping with "close" and optionally the other fields
            An asset that is not in it has no bar now: its orders rest, its mark stays.

        Raises
        ------
        ValueError
            For a bar without a close, a value that is no number, a time that is not later, or a
            missing volume under `max_participation`. Nothing has changed then.
        """
        if self._follows_feed:
            raise OrderError("step: this broker follows a feed; only one made alone is stepped")
        if not isinstance(timestamp, datetime):
            raise DataError(f"step: timestamp={timestamp!r} is not a datetime")
        if self.ledger.timestamps:
            before = self.ledger.timestamps[-1]
            if (before.tzinfo is None) != (timestamp.tzinfo is None):
                raise DataError(
                    f"step: {timestamp} and {before} must both have a time zone, or neither"
                )
            if not timestamp > before:
                raise DataError(f"step: {timestamp} is not later than {before}")
        needs_volume = self.config.max_participation is not None
        values = {name: checked_bar(name, bar, needs_volume) for name, bar in bars.items()}
        new = [name for name in values if name not in self.ledger.index]
        if new:
            self._add_assets(new)
        self._bars = next_bars(self._bars, timestamp, values)
        self.ledger.timestamps.append(timestamp)
        self._bar += 1
        if self.ledger.n_working:
            self._match(self._bars.open, since=-1)

    def settle(self) -> None:
        """End the bar: in SAME_BAR mode match what was submitted in it, at its close."""
        if self._bar < 0 or self.config.execution_mode is not ExecutionMode.SAME_BAR:
            return
        if self.ledger.n_working:
            self._match(self._bars.close, since=self._bar)

    def _match(self, price: Floats, since: int) -> None:
        ledger, row = self.ledger, self._row
        if self._follows_feed:
            ledger.record_equity(self._bar, self._bars.mark)
        n_working = ledger.n_working
        # Without a cap there is no volume to share, and what stands in for it is not read.
        volume = price if self._bars.volume is None else self._bars.volume
        matching.match_market_orders(
            self._bar,
            since,
            price[row],
            volume[row],
            ledger.book,
            ledger.account,
            ledger.holdings,
            ledger.volume_used,
            ledger.volume_used_in,
            self.config.participation,
            self._cost_params,
            ledger.done.room(n_working),
            ledger.done.used,
            ledger.fills.room(n_working),
            ledger.fills.used,
        )

    @property
    def _row(self) -> int:
        """The row of the present bar in the matrices; stepped by hand there is only one."""
        return self._bar if self._follows_feed else 0

    @property
    def data(self) -> BarData:
        """The present bar as a strategy sees it; there is none before the first."""
        if self._bar < 0:
            raise StateError("broker: there is no bar yet, so there is no data; wait for the first")
        return BarData(self._bars, self._row)

    # ------------------------------------------------------------------ the account

    @property
    def cash(self) -> float:
        """Cash, in currency."""
        return self.ledger.cash

    def get_account_value(self) -> float:
        """Cash plus positions at their marks (the last close seen), in currency."""
        ledger = self.ledger
        held = ledger.holdings["quantity"]
        return accounting.equity_of(ledger.cash, held, self._marks(), ledger.multiplier)

    def _marks(self) -> Floats:
        if self._bar < 0:
            return np.full(len(self.ledger.assets), np.nan)
        marks: Floats = self._bars.mark[self._row]
        return marks

    @property
    def positions(self) -> Positions:
        """What is held, by asset; a live view."""
        return Positions(self.ledger, self._marks)

    def get_position(self, asset: str) -> Position | None:
        """Return what is held of an asset, None if nothing is."""
        return self.positions.get(asset)

    # ------------------------------------------------------------------ orders

    def submit_order(
        self, asset: str, quantity: float, side: OrderSide | str | None = None
    ) -> Order:
        """Submit a market order.

        In NEXT_BAR mode it is matched from the next bar on, in SAME_BAR mode at the close of this
        one. It works until it is filled, cancelled or refused.

        Parameters
        ----------
        asset : str
        quantity : float
            Units. Positive with a side; signed without one (negative sells).
        side : OrderSide or {"buy", "sell"}, optional

        Raises
        ------
        ValueError
            For a quantity of 0, NaN or infinity, a negative one with a side, and an asset that the
            feed does not have. Nothing has changed then.
        """
        self._check_open()
        signed = _signed_quantity(asset, quantity, side)
        self._check_asset(asset)
        if asset not in self.ledger.index:
            self._add_assets([asset])
        planned = np.zeros(1, PLANNED_ORDER)
        planned["asset"] = self.ledger.index[asset]
        planned["quantity"] = signed
        planned["step"] = 1 if signed == math.floor(signed) else 0
        return self._accept(planned, plan_idx=-1)[0]

    def _accept(self, planned: Records, plan_idx: int) -> Orders:
        ledger = self.ledger
        first = int(ledger.account["next_order_id"][0])
        book = ledger.book_with_room(planned.size)
        matching.accept_orders(planned, plan_idx, self._bar, book, ledger.account)
        return Orders(self.ledger, range(first, first + planned.size))

    def cancel_order(self, order_id: int) -> bool:
        """Cancel a working order at once; False if it is unknown or done."""
        self._check_open()
        row = self._book_row(order_id)
        if row is None:
            return False
        self._cancel([row], Reason.CANCELLED)
        return True

    def _book_row(self, order_id: object) -> int | None:
        return self.ledger.book_row(int(order_id)) if _is_order_id(order_id) else None

    def _cancel(self, rows: list[int], reason: Reason) -> None:
        ledger = self.ledger
        for row in rows:
            matching.finish(ledger.book[row], OrderStatus.CANCELLED.code, reason.code, self._bar)
        matching.clear_finished(
            ledger.book, ledger.account, ledger.done.room(len(rows)), ledger.done.used
        )

    def close_position(self, asset: str) -> Order | None:
        """Submit what brings an asset to zero, working orders counted.

        Returns None where nothing is to be sent: nothing is held, a close is working already, or
        the asset has no price now.
        """
        self._check_open()
        self._check_asset(asset)
        if asset not in self.ledger.index:
            return None
        # An exit reads no other rule than these two.
        rules = RebalanceConfig(unmentioned="hold", cancel_before_rebalance=False)
        inputs = self.plan_inputs({asset: 0.0}, rules)
        orders = self._apply(make_plan(inputs), plan_idx=-1, reason=Reason.CANCELLED)
        return orders[0] if orders else None

    def submit_plan(self, plan: RebalancePlan) -> Orders:
        """Apply a plan: its cancels first, then its orders in sequence.

        A plan is applied as it is, to the account as it is now: a plan that is submitted twice
        sends its orders twice.

        Raises
        ------
        ValueError
            If an order that the plan cancels does not work any more, or an asset is unknown to
            the feed. Nothing has changed then.
        """
        self._check_plan(plan)
        ledger = self.ledger
        plan_idx = len(ledger.plans)
        orders = self._apply(plan, plan_idx, Reason.REBALANCE)
        rows = ledger.plan_rows.append(plan.row_records)
        rows["plan_idx"] = plan_idx
        columns = self._columns_of(plan)
        if columns is not None:
            rows["asset"] = columns[rows["asset"]]
        record = np.zeros(1, PLAN)
        record[0] = (
            plan.equity,
            plan.turnover,
            plan.estimated_cost,
            plan_idx,
            self._bar,
            rows.size,
            len(orders),
            len(plan.cancels),
        )
        ledger.plans.append(record)
        return orders

    def _check_plan(self, plan: RebalancePlan) -> None:
        """Raise if a plan was made for an account that is not as it was, or for another feed."""
        self._check_open()
        if not isinstance(plan, RebalancePlan):
            raise OrderError(f"plan: a {type(plan).__name__} is not a RebalancePlan")
        plan.check_cancels()
        stale = [order_id for order_id in plan.cancels if self._book_row(order_id) is None]
        if stale:
            raise OrderError(
                f"plan: orders {listed(stale)} that it cancels do not work any more; "
                "make a new plan from the account as it is now"
            )
        if plan.inputs.assets is not self.ledger.assets:
            for name in plan.inputs.assets:
                self._check_asset(name)

    def _columns_of(self, plan: RebalancePlan) -> Ints | None:
        """Return our indices of a plan's assets, None where they are the same."""
        names = plan.inputs.assets
        if names is self.ledger.assets:
            return None
        new = [name for name in names if name not in self.ledger.index]
        if new:
            self._add_assets(new)
        return np.array([self.ledger.index[name] for name in names], np.int64)

    def _apply(self, plan: RebalancePlan, plan_idx: int, reason: Reason) -> Orders:
        """Cancel and submit what a checked plan says."""
        planned = plan.order_records
        columns = self._columns_of(plan)
        if columns is not None:
            planned = planned.copy()
            planned["asset"] = columns[planned["asset"]]
        if plan.cancels:
            found = (self._book_row(order_id) for order_id in plan.cancels)
            self._cancel([row for row in found if row is not None], reason)
        return self._accept(planned, plan_idx)

    def _check_asset(self, asset: str) -> None:
        if not isinstance(asset, str):
            raise OrderError(f"order: asset {asset!r} is not a string; pass the asset's name")
        if self._follows_feed and asset not in self.ledger.index:
            raise OrderError(
                f"order: the feed has no asset {asset!r}{nearest(asset, self.ledger.assets)}"
            )

    def get_order(self, order_id: int) -> Order:
        """Return an order by its id; raises `ValueError` for an unknown one."""
        if not _is_order_id(order_id):
            submitted = int(self.ledger.account["next_order_id"][0])
            raise OrderError(
                f"order {order_id!r} is unknown; {submitted} orders were submitted so far, "
                "numbered from 0"
            )
        self.ledger.order_record(int(order_id))
        return Order(self.ledger, order_id)

    @property
    def pending_orders(self) -> Orders:
        """The working orders, in the order of submission."""
        return Orders(self.ledger, self.ledger.working["order_id"].tolist())

    @property
    def orders(self) -> Orders:
        """Every order ever submitted, by id."""
        return Orders(self.ledger, range(int(self.ledger.account["next_order_id"][0])))

    @property
    def trades(self) -> list[Trade]:
        """Round trips at average cost, in the order of their entries; open ones included."""
        return list_trades(self.ledger)

    @property
    def fills(self) -> list[Fill]:
        """Every fill, in sequence."""
        return list_fills(self.ledger)

    # ------------------------------------------------------------------ for the planner

    def snapshot(self, data: Mapping[str, Mapping[str, object]] | None = None) -> PortfolioSnapshot:
        """Return the account as a planner needs it.

        Parameters
        ----------
        data : mapping of asset to a mapping with "close", optional
            Today's prices; None: those of the present bar.
        """
        if data is None:
            data = self.data if self._bar >= 0 else {}
        return snapshot_ledger(self.ledger, self._marks(), closes_of(data), self._costs)

    def plan_inputs(
        self,
        weights: dict[str, float],
        config: RebalanceConfig,
        data: Mapping[str, Mapping[str, object]] | None = None,
    ) -> PlanInputs:
        """Return the arguments of a plan for this account.

        The arrays are taken as they are when the prices are those of the present bar; other
        prices, and assets that a broker stepped by hand has not met, go through `snapshot`.
        """
        ledger = self.ledger
        is_present = data is None or (
            isinstance(data, BarData) and data.is_of(self._bars, self._row)
        )
        is_known = self._follows_feed or weights.keys() <= ledger.index.keys()
        if not is_present or not is_known or self._bar < 0:
            if self._follows_feed:
                weights_vector(weights, ledger.assets, ledger.index)
            return PlanInputs.from_snapshot(weights, self.snapshot(data), config)
        orders = ledger.working.copy()
        return PlanInputs(
            assets=ledger.assets,
            cash=self.cash,
            equity=self.get_account_value(),
            quantity=ledger.holdings["quantity"].copy(),
            price=self._bars.close[self._row],
            mark=self._marks(),
            multiplier=ledger.multiplier,
            requested=weights_vector(weights, ledger.assets, ledger.index),
            orders=orders,
            order_ids=tuple(orders["order_id"].tolist()),
            config=config,
            costs=self._costs,
        )

    def _add_assets(self, names: list[str]) -> None:
        self.ledger.add_assets(names)
        self._bars = widened(self._bars, self.ledger.assets)

    def __repr__(self) -> str:
        """One line: cash, positions, orders."""
        return (
            f"Broker(cash={self.cash:,.2f}, positions={len(self.positions)}, "
            f"working_orders={self.ledger.n_working})"
        )


def _is_order_id(order_id: object) -> TypeGuard[int]:
    return isinstance(order_id, numbers.Integral) and not isinstance(order_id, bool)


def _signed_quantity(asset: object, quantity: object, side: OrderSide | str | None) -> float:
    """Return the quantity with the sign of its side; raises for one that cannot be ordered."""
    where = f"order for {asset!r}: quantity={quantity!r}"
    if isinstance(quantity, (bool, np.bool_)) or not isinstance(quantity, numbers.Real):
        raise OrderError(f"{where} is not a number")
    value = float(quantity) if is_finite(quantity) else math.nan
    if not math.isfinite(value) or abs(value) < ZERO_QUANTITY:
        raise OrderError(f"{where} must be finite and not 0")
    if side is None:
        return value
    try:
        known = OrderSide(side)
    except ValueError:
        raise OrderError(f"{where}: side={side!r} is not 'buy' or 'sell'") from None
    if value < 0.0:
        raise OrderError(
            f"{where} is negative and side={known.value!r} is given; pass a positive quantity with "
            "a side, or a signed one without"
        )
    return value if known is OrderSide.BUY else -value
