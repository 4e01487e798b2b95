"""Pairs of purchases and sales, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from ml4t.backtest.kernel.lots import pair_lots
from ml4t.backtest.records import FILL, LOT


def lots_of(quantities: list[float], assets: list[int] | None = None) -> list[tuple[object, ...]]:
    """Rows (quantity, entry fill, exit fill) of fills with signed quantities."""
    fills = np.zeros(len(quantities), FILL)
    fills["quantity"] = quantities
    fills["asset"] = assets or 0
    room = np.zeros(2 * fills.size, LOT)
    found = room[: pair_lots(fills, 2, room)]
    return found.tolist()


@pytest.mark.parametrize(
    ("quantities", "expected"),
    [
        ([], []),
        ([5.0], [(5.0, 0, -1)]),
        ([5.0, -5.0], [(5.0, 0, 1)]),
        # the sale of 7 takes the 5 of the first purchase and 2 of the second
        ([5.0, 4.0, -7.0], [(5.0, 0, 2), (2.0, 1, 2), (2.0, 1, -1)]),
        ([9.0, -2.0, -3.0], [(2.0, 0, 1), (3.0, 0, 2), (4.0, 0, -1)]),
        # flat in between
        ([5.0, -5.0, 3.0, -1.0], [(5.0, 0, 1), (1.0, 2, 3), (2.0, 2, -1)]),
        # a short that is covered in two steps
        ([-5.0, 2.0, 3.0], [(-2.0, 0, 1), (-3.0, 0, 2)]),
        # 5 long, 8 sold: 5 are closed, 3 are short
        ([5.0, -8.0], [(5.0, 0, 1), (-3.0, 1, -1)]),
        ([-5.0, -1.0, 8.0, -2.0], [(-5.0, 0, 2), (-1.0, 1, 2), (2.0, 2, 3)]),
    ],
)
def test_first_in_first_out(
    quantities: list[float], expected: list[tuple[float, int, int]]
) -> None:
    assert lots_of(quantities) == expected


def test_assets_do_not_mix() -> None:
    assert lots_of([5.0, 3.0, -3.0, -5.0], [0, 1, 1, 0]) == [(3.0, 1, 2), (5.0, 0, 3)]


def test_dust_is_no_lot() -> None:
    rows = lots_of([1.0, -1 / 3, -1 / 3, -1 / 3])
    assert [row[1:] for row in rows] == [(0, 1), (0, 2), (0, 3)]
    assert [row[0] for row in rows] == pytest.approx([1 / 3] * 3)
    # 0.1 + 0.2 is a little more than 0.3, and neither a lot of it nor a short is left
    assert [row[1:] for row in lots_of([0.1, 0.2, -0.3])] == [(0, 2), (1, 2)]
    assert [row[1:] for row in lots_of([0.1, 0.2, -(0.1 + 0.2)])] == [(0, 2), (1, 2)]


def test_a_large_position_that_is_flat_leaves_nothing() -> None:
    """The noise of 1e8 units is more than dust: what is held decides, not the sum of the lots."""
    units = [1e8 / 3, 1e8 / 7, 1e8 / 11]
    held = 0.0
    for bought in units:
        held += bought
    rows = lots_of([*units, -held])
    assert [row[1:] for row in rows] == [(0, 3), (1, 3), (2, 3)]
    assert [row[0] for row in rows] == units
