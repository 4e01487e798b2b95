"""Which purchase a sale sells: lots, first in, first out."""

from __future__ import annotations

import numpy as np

from ml4t.backtest.kernel.jit import kernel
from ml4t.backtest.kernel.quantities import ZERO_QUANTITY, without_dust
from ml4t.backtest.records import Records


@kernel
def pair_lots(fills: Records, n_assets: int, lots: Records) -> int:
    """Pair what closes a position with what opened it, oldest first; returns the rows written.

    A row for every pair of an opening and a closing fill, then one for what is left of each
    opening fill. `lots` has room for two records of `LOT` per fill. What is held is counted as the
    account counts it: where that is nothing, no lot is left over, whatever the sums of floats say.
    """
    oldest = np.full(n_assets, -1, np.int64)
    newest = np.full(n_assets, -1, np.int64)
    following = np.full(fills.size, -1, np.int64)
    left = np.zeros(fills.size)
    position = np.zeros(n_assets)
    n_rows = 0
    for k in range(fills.size):
        i = fills[k]["asset"]
        quantity = fills[k]["quantity"]
        before = position[i]
        position[i] = without_dust(before + quantity)
        opened = quantity
        if before * quantity < 0.0:
            crosses = before * position[i] < 0.0
            closes_all = crosses or position[i] == 0.0
            opened = position[i] if crosses else 0.0
            rest = abs(quantity)
            while oldest[i] >= 0 and (closes_all or rest >= ZERO_QUANTITY):
                lot = oldest[i]
                units = abs(left[lot])
                if not closes_all and units - rest >= ZERO_QUANTITY:
                    units = rest
                signed = units if before > 0.0 else -units
                lots[n_rows]["quantity"] = signed
                lots[n_rows]["entry_fill"] = lot
                lots[n_rows]["exit_fill"] = k
                n_rows += 1
                rest -= units
                left[lot] = without_dust(left[lot] - signed)
                if left[lot] == 0.0:
                    oldest[i] = following[lot]
        if opened != 0.0:
            left[k] = opened
            if oldest[i] < 0:
                oldest[i] = k
            else:
                following[newest[i]] = k
            newest[i] = k
    for k in range(fills.size):
        if left[k] != 0.0:
            lots[n_rows]["quantity"] = left[k]
            lots[n_rows]["entry_fill"] = k
            lots[n_rows]["exit_fill"] = -1
            n_rows += 1
    return n_rows
