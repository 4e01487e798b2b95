"""The tables of a run as frames. A frame is made when it is asked for."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Protocol

import numpy as np
import polars as pl

from ml4t.backtest.enums import Coded, OrderStatus, OrderType, Reason
from ml4t.backtest.errors import DataError
from ml4t.backtest.execution.plan import names_of, rows_frame
from ml4t.backtest.feed.bars import NEVER, Bars, bars_until, nanoseconds, times_series, zone_of
from ml4t.backtest.feed.datafeed import as_feed
from ml4t.backtest.kernel import accounting
from ml4t.backtest.ledger.ledger import Ledger
from ml4t.backtest.records import Ints, Records

#: The names of the frames, in the order in which a run makes them.
FRAMES = ("equity", "orders", "fills", "trades", "positions", "rebalances", "ends")

#: The columns of the table that `BacktestResult.optimizations` shows, but for its timestamp.
OPTIMIZATIONS = {
    "provider": pl.String,
    "status": pl.String,
    "seconds": pl.Float64,
    "message": pl.String,
    "fallback": pl.String,
    "warnings": pl.String,
}


class RunFrames(Protocol):
    """What a result knows of its run, wherever that is kept. `BacktestResult` has the columns."""

    @property
    def equity(self) -> pl.DataFrame:
        """The account at every close."""

    @property
    def orders(self) -> pl.DataFrame:
        """Every order, by id, as it stood at the end."""

    @property
    def fills(self) -> pl.DataFrame:
        """Every fill, in sequence."""

    @property
    def trades(self) -> pl.DataFrame:
        """Round trips, in the order of their entries."""

    @property
    def positions(self) -> pl.DataFrame:
        """What was held at every close."""

    @property
    def rebalances(self) -> pl.DataFrame:
        """Every row of every plan that was applied."""

    @property
    def ends(self) -> pl.DataFrame:
        """Every asset that ended before the feed did."""

    @property
    def n_plans(self) -> int:
        """How many plans were applied; one without rows is in no frame."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the input data; see `Bars.fingerprint`."""

    @property
    def bars(self) -> Bars | None:
        """The bars that the run followed; None where they are not known any more."""

    @property
    def holdings(self) -> dict[str, float] | None:
        """What the account held at the end, as it knew it itself; None where nobody knows."""


class LedgerFrames:
    """The frames of a run that has just ended, out of its ledger.

    Parameters
    ----------
    bars : Bars
        The bars that the run followed.
    ledger : Ledger
        Complete: nothing is written to it any more.
    """

    def __init__(self, bars: Bars, ledger: Ledger) -> None:
        self._bars = bars
        self._ledger = ledger

    @property
    def bars(self) -> Bars:
        """The bars that the run followed."""
        return self._bars

    @property
    def n_plans(self) -> int:
        """How many plans were applied."""
        return len(self._ledger.plans)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the input data."""
        return self._bars.fingerprint

    @property
    def holdings(self) -> dict[str, float]:
        """What the account held at the end, by asset."""
        quantity = self._ledger.holdings["quantity"]
        return {self._ledger.assets[i]: float(quantity[i]) for i in np.flatnonzero(quantity)}

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
        return pl.DataFrame([self._times, *_columns(self._ledger.equity)])

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
        equity = np.ascontiguousarray(self._ledger.equity["equity"])
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

    @cached_property
    def ends(self) -> pl.DataFrame:
        """Every asset that ended before the feed did."""
        found = self._ledger.ends.records()
        return pl.DataFrame(
            {
                "timestamp": self._time_column("timestamp", found["bar"]),
                "asset": names_of(found["asset"], self._ledger.assets),
                "last_bar": self._time_column("last_bar", found["bar"] - 1),
                "quantity": _plain(found, "quantity"),
                "market_value": _plain(found, "value"),
            }
        )


def bars_of(frames: RunFrames, prices: object | None) -> Bars:
    """Return the bars that a run followed.

    Parameters
    ----------
    frames : RunFrames
    prices : DataFeed, dataframe, path or None
        What the run was made of, for one whose bars are not known any more.

    Raises
    ------
    ValueError
        If the bars are not known and `prices` is None, and for prices that are not those of the
        run.
    """
    if prices is None:
        if frames.bars is None:
            raise DataError(
                "prices: a result that was loaded from a folder holds no prices; pass those of "
                "its run as prices="
            )
        return frames.bars
    bars = given = as_feed(prices).bars
    times = frames.equity["timestamp"]
    if len(times) < bars.times.size:
        # Of a run that was stopped the rest of its prices was not traded. What it knew of ends is
        # in its table.
        gone_from = np.full(len(bars.assets), NEVER)
        ended = frames.ends.filter(pl.col("asset").is_in(bars.assets))
        at = np.searchsorted(bars.times, nanoseconds(ended["timestamp"]))
        gone_from[codes_of(ended["asset"], bars.assets)] = at
        bars = bars_until(bars, len(times), gone_from)
    if bars.fingerprint != frames.fingerprint:
        zone = zone_of(times)
        span = f" from {times[0]} to {times[-1]}" if len(times) else ""
        zones = f", in the zone {bars.time_zone} where the run has {zone}"
        raise DataError(
            f"prices: they are not those of this run, which had {len(times):,} bars{span}: these "
            f"are {_told(given)}{zones if zone != bars.time_zone else ''}, with the fingerprint "
            f"{bars.fingerprint[:12]} instead of {frames.fingerprint[:12]}; pass the same prices, "
            "volumes and signals, with no asset more or less"
        )
    return bars


def codes_of(names: pl.Series, assets: tuple[str, ...]) -> Ints:
    """Return the places of names among the assets, the inverse of `names_of`."""
    return names.cast(pl.Enum(assets)).to_physical().to_numpy().astype(np.int64)


def _told(bars: Bars) -> str:
    stamps = bars.timestamps
    span = f", {stamps[0]} to {stamps[-1]}" if stamps else ""
    return f"{len(stamps):,} bars of {len(bars.assets):,} assets{span}"


def _columns(records: Records) -> list[pl.Series]:
    """Return every field of records as a column."""
    return [pl.Series(name, _plain(records, name)) for name in records.dtype.names or ()]


def _plain(records: Records, name: str) -> Any:
    """Return one field as an array of its own."""
    return np.ascontiguousarray(records[name])


def _labels(codes: Any, kind: type[Coded]) -> pl.Series:
    """Return the plain strings of codes."""
    return names_of(codes, tuple(map(str, kind)))
