"""What an account holds, the last prices and the targets, from files that people write."""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ml4t.backtest.cli.inputs import find_name, read_feed, refuse_percents, typed
from ml4t.backtest.cli.output import moment_text
from ml4t.backtest.errors import DataError, InputError, listed, with_nearest
from ml4t.backtest.execution.schedule import as_schedule
from ml4t.backtest.execution.weights import as_weights, check_known
from ml4t.backtest.feed.checks import Faults
from ml4t.backtest.feed.columns import find_column, labels_of, prices_of
from ml4t.backtest.feed.frames import Loaded, load
from ml4t.backtest.feed.table import ASSET_COLUMNS, TIME_COLUMNS
from ml4t.backtest.feed.text import decimal_mark

_CASH = "cash"


class Prices(NamedTuple):
    """The last prices of a file.

    Attributes
    ----------
    closes : dict of asset to float
        NaN: no price now.
    marks : dict of asset to float
        The last price seen; NaN: none yet.
    moment : datetime or None
        Of the last bar; None: the file does not say.
    """

    closes: dict[str, float]
    marks: dict[str, float]
    moment: datetime | None


class Targets(NamedTuple):
    """Weights by asset, and the time of their decision (None: the file does not say)."""

    weights: dict[str, float]
    moment: datetime | None


class Holdings(NamedTuple):
    """Cash (currency) and quantities by asset."""

    cash: float
    positions: dict[str, float]


def read_prices(path: Path) -> Prices:
    """Read the last bar of a price panel, or a table of asset and close.

    Raises
    ------
    ValueError
        For what cannot be read, and for prices that are not above 0.
    """
    loaded = load(path, "prices")
    if find_name(loaded.frame, TIME_COLUMNS) is not None:
        bars = read_feed(loaded).bars
        closes, marks = (
            dict(zip(bars.assets, matrix[-1].tolist(), strict=True))
            for matrix in (bars.close, bars.mark)
        )
        return Prices(closes, marks, bars.timestamps[-1])
    closes = _numbers_by_asset(loaded, "close", "prices")
    wrong = [f"{asset}={close:g}" for asset, close in closes.items() if close <= 0.0]
    if wrong:
        raise DataError(
            f"prices: {', '.join(wrong[:5])} in {str(path)!r} must be above 0; leave a price empty "
            "where there is none"
        )
    return Prices(closes, closes, None)


def read_targets(path: Path, prices: Prices) -> Targets:
    """Read the last row of a weight schedule, or weights without a time.

    Raises
    ------
    ValueError
        For what cannot be read, for weights in percent, for an asset that the prices do not know,
        and for a decision that is later than the last price.
    """
    loaded = load(path, "weights")
    if find_name(loaded.frame, TIME_COLUMNS) is None:
        if not loaded.frame.height:
            raise DataError(f"weights: {str(path)!r} has no rows; write a weight for an asset")
        found = Targets(as_weights(typed(loaded, "weights")), None)
    else:
        moment, weights = list(as_schedule(loaded).rows())[-1]
        found = Targets(weights, moment)
    refuse_percents(np.array([list(found.weights.values())]), path, [found.moment])
    if prices.moment and found.moment and found.moment.date() > prices.moment.date():
        raise DataError(
            f"weights: the last of {str(path)!r} are of {moment_text(found.moment)}, later than "
            f"the last prices, {moment_text(prices.moment)}; add the prices since then"
        )
    check_known(found.weights, dict.fromkeys(prices.closes, 0))
    return found


def targets_age(prices: Prices, targets: Targets) -> int | None:
    """Return how many days the targets are older than the prices; None: a file does not say."""
    if prices.moment is None or targets.moment is None:
        return None
    return (prices.moment.date() - targets.moment.date()).days


def read_holdings(path: Path, prices: Prices, cash: float | None) -> Holdings:
    """Read a table of asset and quantity, of which a row ``cash`` is the money.

    Parameters
    ----------
    path : Path
    prices : Prices
        Of all assets that may be held.
    cash : float or None
        None: the file has the row.

    Raises
    ------
    ValueError
        For what cannot be read, for cash that is not there or there twice, for an asset without a
        price, and for one of which less than nothing is held.
    """
    held = _numbers_by_asset(load(path, "holdings"), "quantity", "holdings")
    empty = [asset for asset, quantity in held.items() if not math.isfinite(quantity)]
    if empty:
        raise DataError(f"holdings: no quantity for {listed(empty)} in {str(path)!r}; write one")
    # An asset may be called CASH.
    rows = [name for name in held if name.lower() == _CASH and name not in prices.closes]
    if cash is not None and rows:
        raise InputError(
            f"holdings: {str(path)!r} has a row {rows[0]!r}, and --cash is given too; use one of "
            "them"
        )
    if cash is None and len(rows) != 1:
        raise InputError(
            f"holdings: {str(path)!r} has {'more than one' if rows else 'no'} row for cash, and no "
            "asset of the prices counts as one; write a row cash with the amount, or pass --cash"
        )
    money = held.pop(rows[0]) if cash is None else cash
    short = [f"{asset}={quantity:g}" for asset, quantity in held.items() if quantity < 0.0]
    if short:
        raise DataError(
            f"holdings: {', '.join(short[:5])} in {str(path)!r} must not be below 0; an account "
            "holds no short positions"
        )
    unknown = [asset for asset in held if asset not in prices.closes]
    if unknown:
        raise DataError(
            f"holdings: the prices have no {with_nearest(unknown, prices.closes)} of "
            f"{str(path)!r}; correct the name, or add a price"
        )
    unvalued = [name for name, held_of in held.items() if held_of and np.isnan(prices.marks[name])]
    if unvalued:
        raise DataError(
            f"holdings: no price yet for {listed(unvalued)}, of which some is held; add one to "
            "the prices"
        )
    return Holdings(money, held)


def _numbers_by_asset(loaded: Loaded, column: str, what: str) -> dict[str, float]:
    """Return a column of numbers by asset; NaN where a cell is empty."""
    frame, is_text = loaded
    asset = find_column(frame.columns, ASSET_COLUMNS, None, what, "asset_column")
    name = find_column(frame.columns, (column,), None, what, f"{column}_column")
    labels = labels_of(frame[asset], what).str.strip_chars()
    blank = [row for row, label in enumerate(labels) if not label]
    if blank:
        raise DataError(f"{what}: row {blank[0] + 1} names no asset; name it, or drop the row")
    faults = Faults(what)
    mark = decimal_mark([frame[name]], what) if is_text else None

    def row_name(i: int) -> Any:
        return labels[i]

    values = prices_of(frame[name], mark, faults, row_name)
    faults.settle()
    twice = labels.filter(labels.is_duplicated()).unique(maintain_order=True).to_list()
    if twice:
        raise DataError(f"{what}: more than one row for {listed(twice)}; keep one each")
    return dict(zip(labels, values.tolist(), strict=True))
