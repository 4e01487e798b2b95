"""The exchange: where the working orders of an account meet the present bar."""

from __future__ import annotations

from ml4t.backtest.config import BacktestConfig
from ml4t.backtest.enums import CashPolicy, Delisting, ExecutionMode
from ml4t.backtest.execution.roads import matching_road
from ml4t.backtest.feed.market import Market
from ml4t.backtest.kernel import ends
from ml4t.backtest.ledger.ledger import Ledger


class Exchange:
    """Runs the kernel's phases of a bar on an account.

    Parameters
    ----------
    ledger : Ledger
        The account; changed.
    market : Market
        Whose present bar is traded.
    config : BacktestConfig
    """

    def __init__(self, ledger: Ledger, market: Market, config: BacktestConfig) -> None:
        self._ledger = ledger
        self._market = market
        self._participation = config.participation
        self._costs = config.costs
        self._cash_policy = CashPolicy(config.insufficient_cash).code
        self._delisting = Delisting(config.delisting).code
        self._is_same_bar = config.execution_mode is ExecutionMode.SAME_BAR

    def open_bar(self) -> None:
        """End what has ended, then match the working orders against the bar."""
        if self._market.assets_end:
            self._end_assets()
        if self._ledger.n_working:
            self._match(at_close=False)

    def close_bar(self) -> None:
        """Match what the bar has brought at its close, in SAME_BAR mode."""
        if self._is_same_bar and self._ledger.n_working and self._market.bar >= 0:
            self._match(at_close=True)

    def _end_assets(self) -> None:
        """Cancel the orders of the assets that have ended, and settle what is held of them."""
        ledger, bars, bar = self._ledger, self._market.bars, self._market.bar
        ledger.record_equity(bar, bars.mark)
        n_assets = len(ledger.assets)
        ends.end_assets(
            bar,
            bars.gone_from,
            bars.mark[bar],
            self._delisting,
            ledger.book_with_room(n_assets),
            ledger.account,
            ledger.holdings,
            ledger.done.room(ledger.n_working + n_assets),
            ledger.done.used,
            ledger.fills.room(n_assets),
            ledger.fills.used,
            ledger.ends.room(n_assets),
            ledger.ends.used,
        )

    def _match(self, at_close: bool) -> None:
        """Match what works against the present bar, or what it brought against its close."""
        ledger, market = self._ledger, self._market
        bar, bars, row = market.bar, market.bars, market.row
        if market.follows_feed:
            ledger.record_equity(bar, bars.mark)
        n_working = ledger.n_working
        at_market = open_ = high = low = close = bars.close[row]
        if not at_close:
            open_, high, low = bars.open[row], bars.high[row], bars.low[row]
            at_market = market.market_price
        match_orders, costs = matching_road(self._costs, ledger.assets)
        match_orders(
            bar,
            bar if at_close else -1,
            at_market,
            open_,
            high,
            low,
            close,
            market.volume,
            bars.gone_from,
            ledger.book,
            ledger.account,
            ledger.holdings,
            ledger.volume_used,
            self._participation,
            self._cash_policy,
            costs,
            ledger.done.room(n_working),
            ledger.done.used,
            ledger.fills.room(n_working),
            ledger.fills.used,
        )
