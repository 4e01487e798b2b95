"""An account at the present bar, as a planner needs it."""

from __future__ import annotations

from collections.abc import Mapping

from ml4t.backtest.config import RebalanceConfig
from ml4t.backtest.costs import Costs
from ml4t.backtest.execution.inputs import PlanInputs, closes_of
from ml4t.backtest.execution.weights import weights_vector
from ml4t.backtest.feed.market import Market
from ml4t.backtest.kernel.accounting import equity_of
from ml4t.backtest.ledger.ledger import Ledger
from ml4t.backtest.ledger.snapshot import PortfolioSnapshot
from ml4t.backtest.ledger.views import snapshot_ledger


class Account:
    """What a ledger is worth, and what a plan has to know of it.

    Parameters
    ----------
    ledger : Ledger
        Read, never written.
    market : Market
        Whose present bar has the prices and marks.
    costs : Costs
        For the estimates of a plan.
    """

    def __init__(self, ledger: Ledger, market: Market, costs: Costs) -> None:
        self._ledger = ledger
        self._market = market
        self._costs = costs

    def equity(self) -> float:
        """Return cash plus positions at their marks, in currency."""
        ledger = self._ledger
        held = ledger.holdings["quantity"]
        return equity_of(ledger.cash, held, self._market.marks(), ledger.multiplier)

    def snapshot(self, data: Mapping[str, Mapping[str, object]] | None) -> PortfolioSnapshot:
        """Return the account at the prices of `data`; None: those of the present bar."""
        if data is None:
            data = self._market.data if self._market.bar >= 0 else {}
        return snapshot_ledger(self._ledger, self._market.marks(), closes_of(data), self._costs)

    def plan_inputs(
        self,
        weights: dict[str, float],
        config: RebalanceConfig,
        data: Mapping[str, Mapping[str, object]] | None,
    ) -> PlanInputs:
        """Return the arguments of a plan.

        The arrays are taken as they are when the prices are those of the present bar; other
        prices, and assets that a broker stepped by hand has not met, go through `snapshot`.
        """
        ledger, market = self._ledger, self._market
        is_present = data is None or market.is_present(data)
        is_known = market.follows_feed or weights.keys() <= ledger.index.keys()
        if not is_present or not is_known or market.bar < 0:
            if market.follows_feed:
                weights_vector(weights, ledger.assets, ledger.index)
            return PlanInputs.from_snapshot(weights, self.snapshot(data), config)
        orders = ledger.working.copy()
        return PlanInputs(
            assets=ledger.assets,
            cash=ledger.cash,
            equity=self.equity(),
            quantity=ledger.holdings["quantity"].copy(),
            price=market.bars.close[market.row],
            mark=market.marks(),
            multiplier=ledger.multiplier,
            requested=weights_vector(weights, ledger.assets, ledger.index),
            orders=orders,
            order_ids=tuple(orders["order_id"].tolist()),
            config=config,
            costs=self._costs,
        )
