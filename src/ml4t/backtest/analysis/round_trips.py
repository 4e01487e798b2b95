"""Round trips: what was bought and sold again, at average cost or first in, first out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from ml4t.backtest.analysis.excursions import extremes
from ml4t.backtest.analysis.fill_records import fill_records, filled_at_close, marks_at_end
from ml4t.backtest.config import BacktestConfig
from ml4t.backtest.errors import InputError, nearest, shown
from ml4t.backtest.feed.bars import Bars
from ml4t.backtest.frames import RunFrames, bars_of
from ml4t.backtest.kernel.accounting import round_trips
from ml4t.backtest.kernel.lots import pair_lots
from ml4t.backtest.records import LOT, TRADE, TRIP_STATE, Floats, Ints, Records


@dataclass(frozen=True)
class _Fills:
    """The fills of a run, and what it takes to follow a position from one to the next.

    `edge` (n_fills,) is the first bar whose whole range what is bought in a fill goes through, and
    the first one that what is sold in it does not: the next bar for a fill at the close, else its
    own. The open comes first, and when in its bar a limit or a stop fills is not known. `mark`
    (n_assets,) are the marks at the end, `n_bars` is how many there are.
    """

    records: Records
    edge: Ints
    mark: Floats
    n_bars: int

    @property
    def n_assets(self) -> int:
        return self.mark.size


@dataclass(frozen=True)
class _Held:
    """Units that were held, of row `row` of the trips, from bar `start` to before `stop`.

    `cost` is what one of them has cost, at the average; `side` is 1 for long, -1 for short.
    """

    row: Ints
    asset: Ints
    side: Floats
    cost: Floats
    start: Ints
    stop: Ints


@dataclass(frozen=True)
class _Sold:
    """A price at which units of a row that had cost `cost` were sold, or bought back."""

    row: Ints
    side: Floats
    cost: Floats
    price: Floats


@dataclass(frozen=True)
class _Trips:
    """Round trips, (n_rows,) each; `quantity` is signed, `exit` is -1 for what is open.

    `pnl` is after commission; what is open counts at its mark, also in `exit_price`.
    """

    asset: Ints
    quantity: Floats
    entry: Ints
    exit: Ints
    entry_price: Floats
    exit_price: Floats
    pnl: Floats
    commission: Floats
    slippage: Floats
    n_fills: Ints
    held: _Held
    sold: _Sold


def round_trips_frame(
    frames: RunFrames, config: BacktestConfig, method: str, prices: object | None
) -> pl.DataFrame:
    """Return the round trips of a run; see `BacktestResult.round_trips`.

    Parameters
    ----------
    frames : RunFrames
    config : BacktestConfig
        Of the run: it says when in its bar an order fills.
    method : str
        One of `METHODS`.
    prices : DataFeed, dataframe, path or None
        For a run whose bars are not known any more.
    """
    if not isinstance(method, str) or method not in METHODS:
        raise InputError(
            f"round_trips: there is no method {shown(method)}{nearest(method, METHODS, most=1)}; "
            + "use "
            + " or ".join(f'"{name}"' for name in METHODS)
        )
    known = prices is not None or frames.bars is not None
    bars = bars_of(frames, prices) if known else None
    records, assets = fill_records(frames)
    fills = _Fills(
        records=records,
        edge=records["bar"] + filled_at_close(records, frames, config).astype(np.int64),
        mark=marks_at_end(frames, assets),
        n_bars=frames.equity.height,
    )
    return _as_frame(METHODS[method](fills), fills, assets, frames, bars)


def _at_average_cost(fills: _Fills) -> _Trips:
    records, n = fills.records, fills.records.size
    trades, state = np.zeros(2 * n, TRADE), np.zeros(n, TRIP_STATE)
    trades = trades[: round_trips(records, fills.n_assets, trades, state)]

    by_asset = np.argsort(records["asset"], kind="stable")
    goes_on = np.diff(records["asset"][by_asset]) == 0
    before, after = by_asset[:-1][goes_on], by_asset[1:][goes_on]
    previous = np.full(n, -1)
    previous[after] = before
    side = np.sign(state["quantity"])
    held = np.flatnonzero(side)
    reduces = side[before] * records["quantity"][after] < 0.0
    before, after = before[reduces], after[reduces]

    # What is held at the end, of each trade; those that are closed hold nothing.
    is_open = trades["exit"] < 0
    left, cost = np.zeros(trades.size), np.zeros(trades.size)
    last = np.setdiff1d(held, by_asset[:-1][goes_on])
    left[state["trade"][last]] = state["quantity"][last]
    cost[state["trade"][last]] = state["cost"][last]
    mark = fills.mark[trades["asset"]]
    pnl, exit_price = trades["pnl"].copy(), trades["exit_price"].copy()
    pnl[is_open] += (left * (mark - cost))[is_open]
    entered = trades["quantity"]
    sold = np.where(np.isnan(exit_price), 0.0, (entered - left) * exit_price)
    exit_price[is_open] = ((sold + left * mark) / entered)[is_open]
    return _Trips(
        asset=trades["asset"],
        quantity=entered,
        entry=trades["entry"],
        exit=trades["exit"],
        entry_price=trades["entry_price"],
        exit_price=exit_price,
        pnl=pnl,
        commission=trades["commission"],
        slippage=trades["slippage"],
        n_fills=trades["n_fills"],
        held=_held_over_time(fills, trades, state, previous),
        sold=_Sold(
            row=state["trade"][before],
            side=side[before],
            cost=state["cost"][before],
            price=records["price"][after],
        ),
    )


def _held_over_time(fills: _Fills, trades: Records, state: Records, previous: Ints) -> _Held:
    """Return what every trip at average cost held, and what it had cost, in the order of time.

    In a bar, market orders come first in the sequence of the fills, also those that fill at its
    close, after its limits and stops. Every trip is followed again by itself, by the clock.
    `previous` (n_fills,) is the fill of the same asset before each, -1 for none.
    """
    records, n = fills.records, fills.records.size
    was = np.where(previous >= 0, state["quantity"][previous], 0.0)
    # What takes a position through zero belongs to two trips.
    crossing = np.flatnonzero(was * state["quantity"] < 0.0)
    fill = np.concatenate([np.arange(n), crossing])
    trip = np.concatenate([state["trade"], state["trade"][previous[crossing]]])
    parts = records[fill]
    parts["quantity"][crossing] = state["quantity"][crossing]
    parts["quantity"][n:] = -was[crossing]
    parts["asset"] = trip
    order = np.lexsort((fill, fills.edge[fill], trip))
    parts, trip, edge = parts[order], trip[order], fills.edge[fill[order]]

    followed = np.zeros(parts.size, TRIP_STATE)
    round_trips(parts, trades.size, np.zeros(2 * parts.size, TRADE), followed)
    stop = np.full(parts.size, fills.n_bars)
    goes_on = np.diff(trip) == 0
    stop[:-1][goes_on] = edge[1:][goes_on]
    side = np.sign(trades["quantity"][trip])
    # What is sold inside a bar at whose close it was bought is held at no time.
    held = np.flatnonzero(side * followed["quantity"] > 0.0)
    return _Held(
        row=trip[held],
        asset=trades["asset"][trip[held]],
        side=side[held],
        cost=followed["cost"][held],
        start=edge[held],
        stop=stop[held],
    )


def _first_in_first_out(fills: _Fills) -> _Trips:
    records = fills.records
    lots = np.zeros(2 * records.size, LOT)
    lots = lots[: pair_lots(records, fills.n_assets, lots)]
    # By entry, then by exit; what is still held comes last.
    never = np.iinfo(np.int64).max
    ends_at = np.where(lots["exit_fill"] < 0, never, lots["exit_fill"])
    lots = lots[np.lexsort((ends_at, lots["entry_fill"]))]

    opened, closed = records[lots["entry_fill"]], records[lots["exit_fill"]]
    is_closed = lots["exit_fill"] >= 0
    asset, quantity, side = opened["asset"], lots["quantity"], np.sign(lots["quantity"])
    units = np.abs(quantity)
    exit_price = np.where(is_closed, closed["price"], fills.mark[asset])

    def shared(name: str) -> Floats:
        """Return the part of both fills' costs that belongs to the units of the lot."""
        of_entry = opened[name] * (units / np.abs(opened["quantity"]))
        of_exit = closed[name] * (units / np.abs(closed["quantity"]))
        costs: Floats = of_entry + np.where(is_closed, of_exit, 0.0)
        return costs

    commission = shared("commission")
    rows = np.arange(lots.size)
    return _Trips(
        asset=asset,
        quantity=quantity,
        entry=opened["bar"],
        exit=np.where(is_closed, closed["bar"], -1),
        entry_price=opened["price"],
        exit_price=exit_price,
        pnl=quantity * (exit_price - opened["price"]) - commission,
        commission=commission,
        slippage=shared("slippage"),
        n_fills=1 + is_closed,
        held=_Held(
            row=rows,
            asset=asset,
            side=side,
            cost=opened["price"],
            start=fills.edge[lots["entry_fill"]],
            stop=np.where(is_closed, fills.edge[lots["exit_fill"]], fills.n_bars),
        ),
        sold=_Sold(
            row=rows[is_closed],
            side=side[is_closed],
            cost=opened["price"][is_closed],
            price=closed["price"][is_closed],
        ),
    )


#: How round trips may be counted.
METHODS: dict[str, Callable[[_Fills], _Trips]] = {
    "average": _at_average_cost,
    "fifo": _first_in_first_out,
}


def _excursions(trips: _Trips, columns: Ints, bars: Bars) -> tuple[Floats, Floats]:
    """Return the worst and the best that prices did to what each row had cost, as fractions."""
    held, sold = trips.held, trips.sold
    lowest, highest = extremes(bars.low, bars.high, columns[held.asset], held.start, held.stop)
    row = np.concatenate([held.row, held.row, sold.row])
    side = np.concatenate([held.side, held.side, sold.side])
    cost = np.concatenate([held.cost, held.cost, sold.cost])
    price = np.concatenate([lowest, highest, sold.price])
    known = (cost > 0.0) & ~np.isnan(price)
    with np.errstate(over="ignore"):
        row, gain = row[known], side[known] * (price[known] / cost[known] - 1.0)
    # At its entry a trade is where it is.
    worst, best = np.zeros(trips.asset.size), np.zeros(trips.asset.size)
    np.minimum.at(worst, row, gain)
    np.maximum.at(best, row, gain)
    return worst, best


def _as_frame(
    trips: _Trips, fills: _Fills, assets: tuple[str, ...], frames: RunFrames, bars: Bars | None
) -> pl.DataFrame:
    times = frames.equity["timestamp"]
    is_open = trips.exit < 0
    # The bar at which what is open counts.
    until = np.where(is_open, fills.n_bars - 1, trips.exit)
    units = np.abs(trips.quantity)
    paid = units * trips.entry_price
    entry_time, end = times.gather(trips.entry), times.gather(until)
    worst, best = np.full((2, trips.asset.size), np.nan)
    if bars is not None:
        columns = np.array([bars.index[name] for name in assets], np.int64)
        worst, best = _excursions(trips, columns, bars)
    with np.errstate(over="ignore"):
        gained = trips.pnl / np.where(paid > 0.0, paid, np.nan)
    figures = {
        "entry_price": trips.entry_price,
        "exit_price": trips.exit_price,
        "pnl": trips.pnl,
        "pnl_before_costs": trips.pnl + trips.commission + trips.slippage,
        "commission": trips.commission,
        "slippage": trips.slippage,
        "return": gained,
        "n_fills": trips.n_fills.astype(np.int64),
        "n_bars": (until - trips.entry).astype(np.int64),
    }
    return pl.DataFrame(
        {
            "asset": pl.Series(assets, dtype=pl.String).gather(trips.asset),
            "side": trips.quantity > 0.0,
            "quantity": units,
            "entry_time": entry_time,
            "exit_time": end,
            # A field of records is no array of its own.
            **{name: np.ascontiguousarray(values) for name, values in figures.items()},
            "holding_time": end - entry_time,
            "mae": worst,
            "mfe": best,
            "is_open": is_open,
        }
    ).with_columns(
        # Beyond all floats it is not known.
        pl.when(pl.col("return", "mae", "mfe").is_finite()).then(pl.col("return", "mae", "mfe")),
        side=pl.when(pl.col("side")).then(pl.lit("long")).otherwise(pl.lit("short")),
        exit_time=pl.when(~pl.col("is_open")).then(pl.col("exit_time")),
    )
