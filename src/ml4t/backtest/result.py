"""BacktestResult: the ledger of a run as frames. A frame is made when it is asked for."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from ml4t.backtest.config import BacktestConfig
from ml4t.backtest.enums import Coded, OrderStatus, OrderType, Reason
from ml4t.backtest.errors import InputError, MissingExtraError, listed
from ml4t.backtest.execution.plan import names_of, rows_frame
from ml4t.backtest.feed.bars import Bars, times_series
from ml4t.backtest.kernel import accounting
from ml4t.backtest.ledger.ledger import Ledger
from ml4t.backtest.metrics import performance
from ml4t.backtest.records import Records

_FRAMES = ("equity", "orders", "fills", "trades", "positions", "rebalances")


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
        target_weight, current_weight, effective_weight, price, target_quantity, quantity, value,
        estimated_cost, reason, adjustments.
    config : BacktestConfig
    """

    def __init__(self, config: BacktestConfig, bars: Bars, ledger: Ledger) -> None:
        self.config = config
        self.equity_records = ledger.equity
        self._bars = bars
        self._ledger = ledger

    # ------------------------------------------------------------------ tables

    @cached_property
    def _times(self) -> pl.Series:
        return times_series(self._bars.times, self._bars.time_zone)

    def _time_column(self, name: str, bar_numbers: Any) -> pl.Series:
        """Return the times of bars by number, null for -1."""
        numbers = np.ascontiguousarray(bar_numbers).astype(np.int64)
        chosen = pl.Series(numbers).set(pl.Series(numbers < 0), None)
        return self._times.gather(chosen).alias(name)

    @cached_property
    def equity(self) -> pl.DataFrame:
        """The account at every close."""
        return pl.DataFrame([self._times, *_columns(self.equity_records)])

    @cached_property
    def orders(self) -> pl.DataFrame:
        """Every order, by id, as it stood at the end."""
        found = self._ledger.all_orders()
        nothing = pl.lit(None, pl.Float64)
        frame = pl.DataFrame(
            {
                "order_id": _plain(found, "order_id"),
                "plan_idx": _plain(found, "plan_idx"),
                "asset": names_of(found["asset"], self._ledger.assets),
                "side": names_of(found["side"], ("buy", "sell")),
                "quantity": _plain(found, "quantity"),
                "filled_quantity": _plain(found, "filled"),
                "order_type": _labels(found["type"], OrderType),
                "limit_price": _plain(found, "limit_price"),
                "stop_price": _plain(found, "stop_price"),
                "status": _labels(found["status"], OrderStatus),
                "reason": _labels(found["reason"], Reason),
                "created_at": self._time_column("created_at", found["created"]),
                "finished_at": self._time_column("finished_at", found["finished"]),
                "value": _plain(found, "fill_value"),
            }
        )
        average = (
            pl.when(pl.col("filled_quantity") > 0.0)
            .then(pl.col("value") / pl.col("filled_quantity"))
            .otherwise(nothing)
        )
        return frame.with_columns(
            pl.col("limit_price", "stop_price").fill_nan(None),
            reason=pl.when(pl.col("reason") != "").then(pl.col("reason")),
            average_fill_price=average,
        ).drop("value")

    @cached_property
    def fills(self) -> pl.DataFrame:
        """Every fill, in sequence."""
        found = self._ledger.fills.records()
        return pl.DataFrame(
            {
                "timestamp": self._time_column("timestamp", found["bar"]),
                "order_id": _plain(found, "order_id"),
                "plan_idx": _plain(found, "plan_idx"),
                "asset": names_of(found["asset"], self._ledger.assets),
                "side": names_of(found["quantity"] < 0.0, ("buy", "sell")),
                "quantity": np.abs(found["quantity"]),
                "price": _plain(found, "price"),
                "commission": _plain(found, "commission"),
                "slippage": _plain(found, "slippage"),
            }
        )

    @cached_property
    def trades(self) -> pl.DataFrame:
        """Round trips, in the order of their entries."""
        found = self._ledger.all_trades()
        frame = pl.DataFrame(
            {
                "asset": names_of(found["asset"], self._ledger.assets),
                "quantity": _plain(found, "quantity"),
                "entry_time": self._time_column("entry_time", found["entry"]),
                "exit_time": self._time_column("exit_time", found["exit"]),
                "entry_price": _plain(found, "entry_price"),
                "exit_price": _plain(found, "exit_price"),
                "pnl": _plain(found, "pnl"),
                "commission": _plain(found, "commission"),
                "slippage": _plain(found, "slippage"),
                "n_fills": _plain(found, "n_fills"),
            }
        )
        return frame.with_columns(pl.col("exit_price").fill_nan(None))

    @cached_property
    def positions(self) -> pl.DataFrame:
        """What was held at every close."""
        fills = self._ledger.fills.records()
        marks = self._bars.mark
        equity = np.ascontiguousarray(self.equity_records["equity"])
        rows = np.zeros((0, 5))
        for count_only in (True, False):
            n = accounting.replay_positions(fills, marks, equity, marks.shape[0], count_only, rows)
            if count_only:
                rows = np.zeros((n, 5))
        return pl.DataFrame(
            {
                "timestamp": self._time_column("timestamp", rows[:, 0]),
                "asset": names_of(rows[:, 1], self._ledger.assets),
                "quantity": rows[:, 2].copy(),
                "market_value": rows[:, 3].copy(),
                "weight": rows[:, 4].copy(),
            }
        )

    @cached_property
    def rebalances(self) -> pl.DataFrame:
        """Every row of every plan that was applied."""
        found = self._ledger.plan_rows.records()
        plans = self._ledger.plans.records()
        bars = plans["bar"][found["plan_idx"]] if plans.size else np.zeros(0, np.int32)
        rows = rows_frame(found, self._ledger.assets)
        labels = [
            self._time_column("timestamp", bars),
            pl.Series("plan_idx", _plain(found, "plan_idx")),
        ]
        return rows.select([*labels, *rows.columns])

    def to_pandas(self, name: str) -> Any:
        """Return one of the frames as a pandas DataFrame.

        Parameters
        ----------
        name : str
            "equity", "orders", "fills", "trades", "positions" or "rebalances".

        Raises
        ------
        ValueError
            For another name.
        """
        if name not in _FRAMES:
            raise InputError(f"to_pandas: no frame {name!r}; there are {listed(_FRAMES, 9)}")
        frame: pl.DataFrame = getattr(self, name)
        try:
            return frame.to_pandas()
        except ImportError:
            raise MissingExtraError(
                'to_pandas needs pandas and pyarrow; run: pip install "ml4t-backtest[pandas]"'
            ) from None

    # ------------------------------------------------------------------ figures

    @cached_property
    def metrics(self) -> dict[str, float]:
        """The figures of the run.

        Returns and rates are fractions, money is currency. Total and annual return and drawdown
        start from the initial cash, volatility and Sharpe ratio are of the returns between
        closes. `turnover` is half the traded value
        over the equity at the close of its bar, summed over the run, `annual_turnover` that a year.
        `rebalances_requested` counts plans, `rebalances_executed` those of which an order filled
        at least in part. NaN where a figure is not defined.
        """
        equity = np.ascontiguousarray(self.equity_records["equity"])
        times = self._bars.times
        # A first bar that trades has a return already, against the cash that was put in.
        from_cash = np.concatenate([[self.config.initial_cash], equity])
        fills = self._ledger.fills.records()
        traded = np.abs(fills["quantity"]) * fills["price"]
        at_close = equity[fills["bar"]]
        turnover = float(np.sum(0.5 * traded[at_close > 0.0] / at_close[at_close > 0.0]))
        span = performance.years(times)
        executed = np.unique(fills["plan_idx"][fills["plan_idx"] >= 0])
        return {
            "initial_cash": float(self.config.initial_cash),
            "final_equity": float(from_cash[-1]),
            "total_return": performance.total_return(from_cash),
            "annual_return": performance.annual_return(from_cash, times),
            "volatility": performance.volatility(equity, times),
            "sharpe_ratio": performance.sharpe_ratio(equity, times),
            "max_drawdown": performance.max_drawdown(from_cash),
            "turnover": turnover,
            "annual_turnover": turnover / span if span > 0.0 else float("nan"),
            "commission": float(np.sum(fills["commission"])),
            "slippage": float(np.sum(fills["slippage"])),
            "orders": float(self._ledger.account["next_order_id"][0]),
            "fills": float(fills.size),
            "rebalances_requested": float(len(self._ledger.plans)),
            "rebalances_executed": float(executed.size),
        }

    def summary(self) -> str:
        """Return the figures as a readable table."""
        found = self.metrics
        times = self._bars.timestamps
        # A run that was stopped in its first bar has none that is complete.
        period = f"{times[0]:%Y-%m-%d} to {times[-1]:%Y-%m-%d}, " if times else ""

        def shown(name: str, form: str) -> str:
            return "n/a" if np.isnan(found[name]) else format(found[name], form)

        lines = [
            ("Period", f"{period}{len(self.equity_records):,} bars"),
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
        width = max(len(name) for name, _ in lines)
        return "\n".join(f"{name:<{width}}  {value}" for name, value in lines)

    def __repr__(self) -> str:
        """One line: length and outcome."""
        found = self.metrics
        return (
            f"BacktestResult(bars={self.equity_records.size}, "
            f"final_equity={found['final_equity']:,.2f}, total_return={found['total_return']:.2%})"
        )


def _columns(records: Records) -> list[pl.Series]:
    """Return every field of records as a column."""
    return [pl.Series(name, _plain(records, name)) for name in records.dtype.names or ()]


def _plain(records: Records, name: str) -> Any:
    """Return one field as an array of its own."""
    return np.ascontiguousarray(records[name])


def _labels(codes: Any, kind: type[Coded]) -> pl.Series:
    """Return the plain strings of codes."""
    return names_of(codes, tuple(map(str, kind)))
