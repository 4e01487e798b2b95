"""The simulated broker: the only writer of an account's state."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from ml4t.backtest.config import BacktestConfig, RebalanceConfig, as_config
from ml4t.backtest.enums import (
    OrderSide,
    OrderType,
    Reason,
)
from ml4t.backtest.errors import OrderError, StateError, shown, with_nearest
from ml4t.backtest.execution.account import Account
from ml4t.backtest.execution.desk import NO_PLAN, OrderDesk
from ml4t.backtest.execution.exchange import Exchange
from ml4t.backtest.execution.inputs import PlanInputs
from ml4t.backtest.execution.order_checks import (
    checked_reduce_only,
    checked_type,
    signed_quantity,
)
from ml4t.backtest.execution.plan import RebalancePlan, make_plan
from ml4t.backtest.execution.weights import as_weights
from ml4t.backtest.feed.bars import Bars
from ml4t.backtest.feed.market import Market
from ml4t.backtest.feed.view import BarData
from ml4t.backtest.ledger.ledger import Ledger
from ml4t.backtest.ledger.snapshot import PortfolioSnapshot
from ml4t.backtest.ledger.views import Positions, list_fills, list_trades
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
        settings = as_config(config)
        if initial_cash is not None:
            settings = settings.model_copy(update={"initial_cash": initial_cash})
        self.config = settings
        self._market = Market(bars, settings)
        self._is_over = False
        self._ended = -1
        self.ledger = Ledger(
            self._market.bars.assets,
            settings.initial_cash,
            self._market.timestamps,
            len(self._market.timestamps),
        )
        self._desk = OrderDesk(self.ledger, self._market)
        self._exchange = Exchange(self.ledger, self._market, settings)
        self._account = Account(self.ledger, self._market, settings.costs)

    # ------------------------------------------------------------------ the market

    def advance(self, bar: int) -> None:
        """Go to bar number `bar` of the feed and match the working orders against it.

        Raises
        ------
        StateError
            If that is not the next bar, or if `finish` was called: an engine drives the broker, a
            strategy does not.
        """
        self._check_open()
        self._market.advance(bar)
        self._exchange.open_bar()

    def finish(self) -> None:
        """Record what is left and accept nothing any more: the run is over."""
        if self._market.follows_feed:
            self.ledger.record_equity(self._market.bar + 1, self._market.bars.mark)
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
            For a bar without a close, a value that is no number (NaN means that there is none), a
            time that is not later, a missing volume under `max_participation` or a missing vwap
            under ``fill_price="vwap"``. Nothing has changed then.
        CostModelError
            If a cost model of the user's own fails. The bar has come then and its closes are the
            marks, but nothing was matched: the working orders wait for the next one.
        """
        values = self._market.checked_step(timestamp, bars)
        new = [name for name in values if name not in self.ledger.index]
        if new:
            self._add_assets(new)
        self._market.step(timestamp, values)
        self._exchange.open_bar()

    def settle(self) -> None:
        """End the bar: in SAME_BAR mode match what was submitted in it, at its close.

        If a cost model of the user's own fails, nothing was matched, and `settle` can be called
        again.
        """
        if self._market.follows_feed:
            raise StateError("settle: this broker follows a feed, and the engine ends its bars")
        self._exchange.close_bar()

    def end_bar(self, bar: int) -> None:
        """Match at the close of bar number `bar` of the feed what was submitted in it.

        Only in SAME_BAR mode is there anything to match.

        Raises
        ------
        StateError
            If that is not the present bar, or has ended: an engine drives the broker.
        """
        if bar != self._market.bar or bar == self._ended:
            raise StateError(
                f"broker: bar {bar} is not the present one, or has ended; leave end_bar to the "
                "engine"
            )
        self._ended = bar
        self._exchange.close_bar()

    @property
    def data(self) -> BarData:
        """The present bar as a strategy sees it; there is none before the first."""
        return self._market.data

    # ------------------------------------------------------------------ the account

    @property
    def cash(self) -> float:
        """Cash, in currency."""
        return self.ledger.cash

    def get_account_value(self) -> float:
        """Cash plus positions at their marks (the last close seen), in currency."""
        return self._account.equity()

    @property
    def positions(self) -> Positions:
        """What is held, by asset; a live view."""
        return Positions(self.ledger, self._market.marks)

    def get_position(self, asset: str) -> Position | None:
        """Return what is held of an asset, None if nothing is."""
        return self.positions.get(asset)

    # ------------------------------------------------------------------ orders

    def submit_order(
        self,
        asset: str,
        quantity: float,
        side: OrderSide | str | None = None,
        order_type: OrderType | str = OrderType.MARKET,
        limit_price: float | None = None,
        stop_price: float | None = None,
        reduce_only: bool = False,
    ) -> Order:
        """Submit an order.

        In NEXT_BAR mode it is matched from the next bar on, in SAME_BAR mode at the close of this
        one. It works until it is filled, cancelled or refused.

        Parameters
        ----------
        asset : str
        quantity : float
            Units. Positive with a side; signed without one (negative sells).
        side : OrderSide or {"buy", "sell"}, optional
        order_type : OrderType or {"market", "market_on_close", "limit", "stop"}
        limit_price : float, optional
            Worst price of a limit order, which it needs; no other type takes one. > 0.
        stop_price : float, optional
            Trigger of a stop order, which it needs; no other type takes one. > 0.
        reduce_only : bool
            For a sale: it goes when the position is closed, and a planner does not count it as
            pending.

        Raises
        ------
        ValueError
            For a quantity of 0, NaN or infinity, a negative one with a side, prices that the type
            does not take or lacks, a `reduce_only` that is no bool or on a purchase (a cash
            account has no shorts to reduce), and an asset that the feed does not have. Nothing
            has changed then.
        """
        self._check_open()
        signed = signed_quantity(asset, quantity, side)
        kind, limit, stop = checked_type(asset, order_type, limit_price, stop_price)
        reduces = checked_reduce_only(asset, reduce_only, signed)
        self._check_asset(asset)
        if asset not in self.ledger.index:
            self._add_assets([asset])
        return self._desk.submit(self.ledger.index[asset], signed, kind, limit, stop, reduces)

    def order_target_percent(self, asset: str, weight: float) -> Order | None:
        """Bring one asset to a weight, through the planner; all others are left alone.

        Working orders of the asset count. Returns None where nothing is to be sent: the asset is
        at its target, has no price now, or a threshold of ``config.rebalance`` skips the change.

        Parameters
        ----------
        asset : str
        weight : float
            Fraction of equity.

        Raises
        ------
        ValueError
            For a weight that is not a finite number, and an asset that the feed does not have.
        """
        self._check_open()
        self._check_asset(asset)
        return self._send_alone(as_weights({asset: weight}))

    def order_target_value(self, asset: str, value: float) -> Order | None:
        """Bring one asset to a market value (currency); else as `order_target_percent`.

        Raises
        ------
        ValueError
            As `order_target_percent`, and where the account has no equity.
        """
        self._check_open()
        self._check_asset(asset)
        worth = as_weights({asset: value})[asset]
        equity = self.get_account_value()
        if not equity > 0.0:
            raise OrderError(
                f"order_target_value for {asset!r}: equity is {equity:,.2f}, of which no value "
                "is a fraction; use close_position to sell"
            )
        return self._send_alone({asset: worth / equity})

    def cancel_order(self, order_id: int) -> bool:
        """Cancel a working order at once; False if it is unknown or done."""
        self._check_open()
        return self._desk.cancel(order_id, Reason.CANCELLED)

    def close_position(self, asset: str) -> Order | None:
        """Submit what brings an asset to zero, working orders counted.

        Returns None where nothing is to be sent: nothing is held, a close is working already, or
        the asset has no price now.
        """
        self._check_open()
        self._check_asset(asset)
        return self._send_alone({asset: 0.0})

    def _send_alone(self, weights: dict[str, float]) -> Order | None:
        """Plan and send for one asset, counting its working orders and touching no other."""
        if not weights.keys() <= self.ledger.index.keys():
            return None  # stepped by hand and not met yet: nothing is held, and there is no price
        rules = self.config.rebalance.model_copy(
            update={
                "unmentioned": "hold",
                "cancel_before_rebalance": False,
                "account_for_pending": True,
            }
        )
        plan = make_plan(self.plan_inputs(weights, rules))
        orders = self._desk.apply(plan, NO_PLAN, Reason.CANCELLED)
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
        self._check_open()
        if not isinstance(plan, RebalancePlan):
            raise OrderError(f"plan: a {type(plan).__name__} is not a RebalancePlan")
        self._desk.check(plan)
        names = plan.inputs.assets
        if names is not self.ledger.assets:
            for name in names:
                self._check_asset(name)
            new = [name for name in names if name not in self.ledger.index]
            if new:
                self._add_assets(new)
        orders = self._desk.apply(plan, self.ledger.n_plans, Reason.REBALANCE)
        self._desk.record(plan)
        return orders

    def _check_asset(self, asset: str) -> None:
        if not isinstance(asset, str):
            raise OrderError(f"order: asset {shown(asset)} is not a string; pass the asset's name")
        if self._market.follows_feed and asset not in self.ledger.index:
            raise OrderError(
                f"order: the feed has no asset {with_nearest([asset], self.ledger.assets)}; "
                "correct the name or add its prices"
            )

    def get_order(self, order_id: int) -> Order:
        """Return an order by its id; raises `ValueError` for an unknown one."""
        return self._desk.order(order_id)

    @property
    def pending_orders(self) -> Orders:
        """The working orders, in the order of submission."""
        return Orders(self.ledger, self.ledger.working["order_id"].tolist())

    @property
    def orders(self) -> Orders:
        """Every order ever submitted, by id."""
        return Orders(self.ledger, range(self.ledger.n_submitted))

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
        return self._account.snapshot(data)

    def plan_inputs(
        self,
        weights: dict[str, float],
        config: RebalanceConfig,
        data: Mapping[str, Mapping[str, object]] | None = None,
    ) -> PlanInputs:
        """Return the arguments of a plan for this account, at the prices of `data`."""
        return self._account.plan_inputs(weights, config, data)

    def _add_assets(self, names: list[str]) -> None:
        self.ledger.add_assets(names)
        self._market.add_assets(self.ledger.assets)

    def __repr__(self) -> str:
        """One line: cash, positions, orders."""
        return (
            f"Broker(cash={self.cash:,.2f}, positions={len(self.positions)}, "
            f"working_orders={self.ledger.n_working})"
        )
