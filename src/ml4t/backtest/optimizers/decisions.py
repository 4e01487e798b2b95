"""What a pipeline decided: weights, orders and signals by time, as one table that can be compared.

Columns of such a table: ``time`` (UTC nanoseconds), ``what`` ("weight", "order", "cancel", or
"signal" and its name), ``asset``, ``nth`` (of its kind at that time), ``weight`` (null where there
is none), the numbers of an order (``quantity``, ``limit_price``, ``stop_price``; null where there
are none) and ``detail`` (what else was decided, as text).
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from ml4t.backtest.broker import Broker
from ml4t.backtest.config import BacktestConfig
from ml4t.backtest.engine import Engine
from ml4t.backtest.enums import Reason
from ml4t.backtest.errors import InputError, RebalanceWarning
from ml4t.backtest.execution.decision_times import Schedule
from ml4t.backtest.execution.schedule import WeightSchedule, as_schedule
from ml4t.backtest.feed.bars import nanoseconds
from ml4t.backtest.feed.checks import Faults
from ml4t.backtest.feed.columns import find_column, times_of
from ml4t.backtest.feed.datafeed import DataFeed
from ml4t.backtest.feed.frames import load
from ml4t.backtest.feed.long import read_long
from ml4t.backtest.feed.signals import check_zone
from ml4t.backtest.feed.table import ASSET_COLUMNS, TIME_COLUMNS
from ml4t.backtest.feed.view import BarData
from ml4t.backtest.optimizers.perturbed import Original
from ml4t.backtest.optimizers.weight_strategy import WeightStrategy
from ml4t.backtest.result import BacktestResult
from ml4t.backtest.strategy import Strategy

KEYS = ["time", "what", "asset", "nth"]
#: What an order says in numbers besides its weight.
OF_ORDERS = ["quantity", "limit_price", "stop_price"]
_NO_ORDER = [pl.lit(None, pl.Float64).alias(name) for name in OF_ORDERS]
#: The number of a bar that is after all others.
_ALL = np.iinfo(np.int64).max


class Reader:
    """Reads what `build` returned.

    Parameters
    ----------
    source : Original
    config : BacktestConfig or None
        Of the runs of strategies and providers.
    schedule : str, Every, OnDates or callable
        When providers are asked.
    """

    def __init__(self, source: Original, config: BacktestConfig | None, schedule: Schedule) -> None:
        self._source = source
        self._config = config
        self._schedule = schedule

    def decisions(self, answer: Any, prices: Any, until: int = _ALL) -> pl.DataFrame:
        """Return what was decided up to a time, that one included.

        Parameters
        ----------
        answer : weights, strategy or provider, or a tuple of it and signals
        prices : frame or DataFeed
            What the answer was built from.
        until : int
            UTC nanoseconds.

        Raises
        ------
        ValueError
            For an answer that is none of these.
        """
        signals = None
        if isinstance(answer, tuple) and not hasattr(answer, "_fields"):
            if len(answer) != 2:
                raise InputError(
                    f"build: it returned a tuple of {len(answer)}; return the decisions, or "
                    "(decisions, signals)"
                )
            answer, signals = answer
        if isinstance(answer, type) or answer is None:
            raise InputError(
                f"build: it returned {answer!r}; return a weight frame, a strategy or a provider "
                "(an object, not its class)"
            )
        if hasattr(answer, "on_data") or hasattr(answer, "get_weights"):
            found = self._of_run(answer, prices, signals, until)
        else:
            found = self._of_weights(answer)
        if signals is not None:
            found = pl.concat([found, _of_signals(signals)])
        return found.filter(pl.col("time") <= until)

    def _of_weights(self, answer: object) -> pl.DataFrame:
        if _is_empty(answer):
            return _of_matrix(np.zeros(0, np.int64), (), np.zeros((0, 0)), "weight")
        schedule = as_schedule(answer)
        check_zone(schedule.time_zone, self._source.bars.time_zone, "weights")
        return _of_matrix(schedule.times, schedule.assets, schedule.matrix, "weight")

    def _of_run(self, answer: Any, prices: Any, signals: object, until: int) -> pl.DataFrame:
        known = None if signals is None else _signals_until(signals, until)
        feed = self._source.feed_of(prices, known)
        n_bars = int(np.searchsorted(feed.bars.times, until, side="right"))
        if hasattr(answer, "on_data"):
            strategy: Any = _Until(answer, n_bars)
        else:
            strategy = _Until(WeightStrategy(answer, self._schedule), n_bars)
        with warnings.catch_warnings():
            # Thresholds are not what is looked for here, and each run would say it again.
            warnings.simplefilter("ignore", RebalanceWarning)
            result = Engine(feed, strategy, self._config).run()
        return pl.concat([_of_plans(result), _of_orders(result, feed), _of_cancels(result)])


class _Until(Strategy):
    """A strategy that is asked at the first bars only: what it does later is not compared."""

    def __init__(self, strategy: Any, n_bars: int) -> None:
        self._strategy = strategy
        self._left = n_bars

    def on_start(self, broker: Broker) -> None:
        on_start = getattr(self._strategy, "on_start", None)
        if callable(on_start):
            on_start(broker)

    def on_data(
        self, timestamp: datetime, data: BarData, context: Mapping[str, Any], broker: Broker
    ) -> None:
        if self._left > 0:
            self._left -= 1
            self._strategy.on_data(timestamp, data, context, broker)

    def on_end(self, broker: Broker) -> None:
        if isinstance(self._strategy, WeightStrategy):  # of which a process may be left
            self._strategy.on_end(broker)


def _is_empty(weights: Any) -> bool:
    """Whether weights hold no number at all, which a schedule refuses: nothing is decided then."""
    if isinstance(weights, (WeightSchedule, str, os.PathLike)):
        return False
    if isinstance(weights, Mapping):
        return not weights
    columns = load(weights, "weights").frame.iter_columns()
    moments = (pl.Date, pl.Datetime)
    values = [column for column in columns if not isinstance(column.dtype, moments)]
    if any(column.name.lower() in ASSET_COLUMNS for column in values):
        return not len(values[0])
    return all(
        column.is_null().all()
        or (column.dtype.is_float() and column.fill_null(np.nan).is_nan().all())
        for column in values
    )


def _of_matrix(times: Any, assets: tuple[str, ...], matrix: Any, what: str) -> pl.DataFrame:
    """Return the cells of a matrix (times, assets) that hold something."""
    is_number = matrix.dtype != object
    nothing: Any = None
    there = ~np.isnan(matrix) if is_number else np.not_equal(matrix, nothing).astype(np.bool_)
    rows, columns = np.nonzero(there)
    values = matrix[rows, columns]
    texts = [""] * rows.size if is_number else [repr(value) for value in values]
    return pl.DataFrame(
        {
            "time": np.asarray(times)[rows],
            "asset": pl.Series(assets, dtype=pl.String).gather(columns),
            "weight": values if is_number else np.full(rows.size, np.nan),
            "detail": pl.Series(texts, dtype=pl.String),
        }
    ).select(
        "time",
        pl.lit(what).alias("what"),
        "asset",
        pl.lit(0, pl.Int64).alias("nth"),
        pl.col("weight").fill_nan(None),
        *_NO_ORDER,
        "detail",
    )


def _of_signals(signals: object) -> pl.DataFrame:
    faults = Faults("signals")
    table = read_long(signals, None, None, faults, None)
    faults.settle()
    return pl.concat(
        [
            _of_matrix(table.times, table.assets, values, f"signal {name}")
            for name, values in table.columns.items()
        ]
    )


def _signals_until(signals: object, until: int) -> Any:
    """Return signals without later ones, which may be for bars that were taken out."""
    loaded = load(signals, "signals")
    if loaded.is_text:
        return signals
    name = find_column(loaded.frame.columns, TIME_COLUMNS, None, "signals", "time_column")
    times, _ = times_of(loaded.frame[name], False, Faults("signals"))
    known = loaded.frame.filter(times <= until)
    # Without a row there would be no column, of which a strategy may ask.
    return known if known.height else loaded.frame


def _time_of(name: str) -> pl.Expr:
    return pl.col(name).to_physical().alias("time")


def _of_plans(result: BacktestResult) -> pl.DataFrame:
    return result.rebalances.select(
        _time_of("timestamp"),
        pl.lit("weight").alias("what"),
        "asset",
        pl.col("plan_idx").cast(pl.Int64).alias("nth"),
        pl.col("requested_weight").fill_nan(None).alias("weight"),
        *_NO_ORDER,
        pl.lit("").alias("detail"),
    )


def _of_orders(result: BacktestResult, feed: DataFeed) -> pl.DataFrame:
    """Return what was submitted; the weight of an order is its signed value over equity then."""
    orders, bars = result.orders, feed.bars
    bar = np.searchsorted(bars.times, nanoseconds(orders["created_at"]))
    column = np.array([bars.index[asset] for asset in orders["asset"]], np.int64)
    equity = result.equity["equity"].to_numpy()
    sign = pl.when(pl.col("side") == "buy").then(1.0).otherwise(-1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        per_share = pl.Series(bars.mark[bar, column] / equity[bar])
    return orders.select(
        _time_of("created_at"),
        pl.lit("order").alias("what"),
        "asset",
        pl.col("order_id").cast(pl.Int64).alias("nth"),
        (sign * pl.col("quantity") * per_share).fill_nan(None).alias("weight"),
        *OF_ORDERS,
        pl.concat_str("order_type", "side", separator=" ").alias("detail"),
    )


def _of_cancels(result: BacktestResult) -> pl.DataFrame:
    """Return the orders that a strategy or a plan has cancelled."""
    asked = [str(Reason.CANCELLED), str(Reason.REBALANCE)]
    return result.orders.filter(pl.col("reason").is_in(asked)).select(
        _time_of("finished_at"),
        pl.lit("cancel").alias("what"),
        "asset",
        pl.col("order_id").cast(pl.Int64).alias("nth"),
        pl.lit(None, pl.Float64).alias("weight"),
        *_NO_ORDER,
        pl.lit("").alias("detail"),
    )
