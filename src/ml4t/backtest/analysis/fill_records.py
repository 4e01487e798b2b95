"""The fills of a run as records again, wherever its frames come from."""

from __future__ import annotations

import numpy as np
import polars as pl

from ml4t.backtest.config import BacktestConfig
from ml4t.backtest.enums import ExecutionMode, OrderSide, OrderType
from ml4t.backtest.feed.bars import nanoseconds
from ml4t.backtest.frames import RunFrames, codes_of
from ml4t.backtest.records import FILL, Bools, Floats, Ints, Records

_EARLIEST = np.iinfo(np.int64).min


def fill_records(
    frames: RunFrames, assets: tuple[str, ...] | None = None
) -> tuple[Records, tuple[str, ...]]:
    """Return the fills as records of `FILL`, in sequence, and the assets that they count by.

    The assets are those that have a fill, by name, or those that are passed; a bar is its place
    among the closes.
    """
    found = frames.fills
    if assets is None:
        assets = tuple(found["asset"].unique().sort().to_list())
    records = np.zeros(found.height, FILL)
    for name in ("order_id", "plan_idx", "price", "commission", "slippage"):
        records[name] = found[name].to_numpy()
    is_buy = (found["side"] == OrderSide.BUY.value).to_numpy()
    records["quantity"] = np.where(is_buy, 1.0, -1.0) * found["quantity"].to_numpy()
    records["asset"] = codes_of(found["asset"], assets)
    records["bar"] = bars_at(found["timestamp"], frames)
    return records, assets


def bars_at(times: pl.Series, frames: RunFrames) -> Ints:
    """Return the numbers of the bars that are at times of the run."""
    return np.searchsorted(nanoseconds(frames.equity["timestamp"]), nanoseconds(times))


def filled_at_once(fills: Records, frames: RunFrames, config: BacktestConfig) -> Bools:
    """Return which fills happened at the close of the bar that decided, (n_fills,).

    Only SAME_BAR has such fills.
    """
    if config.execution_mode is not ExecutionMode.SAME_BAR:
        return np.zeros(fills.size, np.bool_)
    # An order from before the first bar has no such time.
    created = frames.orders["created_at"].to_physical().fill_null(_EARLIEST).to_numpy()
    filled = nanoseconds(frames.fills["timestamp"])
    at_once: Bools = created[_rows_of_orders(fills, frames)] == filled
    return at_once


def filled_at_close(fills: Records, frames: RunFrames, config: BacktestConfig) -> Bools:
    """Return which fills happened at the close of their bar, by the rules of the run, (n_fills,).

    The others happened before it: at the open, or at a time inside the bar that nobody knows. So
    do those of a stop after the bar in which it was touched, which no frame tells apart.
    """
    kinds = [OrderType.MARKET_ON_CLOSE]
    if config.fill_price == "close":
        kinds.append(OrderType.MARKET)
    of_kind = frames.orders["order_type"].is_in([kind.value for kind in kinds]).to_numpy()
    at_close: Bools = of_kind[_rows_of_orders(fills, frames)]
    return at_close | filled_at_once(fills, frames, config)


def values_at_end(frames: RunFrames, assets: tuple[str, ...]) -> Floats:
    """Return what is held of assets at the last close, in currency, (n_assets,); 0 for nothing."""
    held = _held_at_end(frames)
    values = np.zeros(len(assets))
    values[codes_of(held["asset"], assets)] = held["market_value"].to_numpy()
    return values


def marks_at_end(frames: RunFrames, assets: tuple[str, ...]) -> Floats:
    """Return the marks at the last close of assets that are held then, (n_assets,); else NaN."""
    held = _held_at_end(frames)
    marks = np.full(len(assets), np.nan)
    found = (held["market_value"] / held["quantity"]).to_numpy()
    marks[codes_of(held["asset"], assets)] = found
    return marks


def _held_at_end(frames: RunFrames) -> pl.DataFrame:
    last = nanoseconds(frames.equity["timestamp"])[-1:]
    return frames.positions.filter(np.isin(nanoseconds(frames.positions["timestamp"]), last))


def _rows_of_orders(fills: Records, frames: RunFrames) -> Ints:
    """Return the row of the order of each fill."""
    return np.searchsorted(frames.orders["order_id"].to_numpy(), fills["order_id"])
