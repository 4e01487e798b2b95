"""Memory is kept for the next table, and never given away while somebody looks at it."""

from __future__ import annotations

import numpy as np
import pytest

from ml4t.backtest.ledger import blocks
from ml4t.backtest.ledger.tables import Table

BYTE = np.dtype([("x", np.uint8)])
SIZE = 2**21


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    kept: list[object] = []
    monkeypatch.setattr(blocks, "_kept", kept)
    return kept


def test_memory_that_nobody_needs_is_used_again() -> None:
    first = blocks.new_block(SIZE, BYTE)
    address = first.ctypes.data
    del first
    again = blocks.new_block(SIZE - 7, BYTE)
    assert again.ctypes.data == address
    assert again.size == SIZE - 7


def test_a_view_keeps_its_memory(nothing_kept: list[object]) -> None:
    table = Table(BYTE)
    block = table.room(SIZE)
    block["x"] = 7
    table.used[0] = SIZE
    seen = table.records()["x"][5:9]
    del block, table
    assert nothing_kept == []
    other = blocks.new_block(SIZE, BYTE)
    other["x"] = 1
    assert seen.tolist() == [7, 7, 7, 7]
    del seen
    assert len(nothing_kept) == 1


def test_a_block_that_is_too_large_or_too_small_is_not_taken(nothing_kept: list[object]) -> None:
    large = blocks.new_block(4 * SIZE, BYTE)
    del large
    assert blocks.new_block(SIZE, BYTE).size == SIZE
    assert len(nothing_kept) == 2  # the large one, and the one that came and went
    assert blocks.new_block(5 * SIZE, BYTE).size == 5 * SIZE
    small = blocks.new_block(10, BYTE)
    del small
    assert len(nothing_kept) == 3


def test_not_more_is_kept_than_allowed(
    nothing_kept: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "_MOST_KEPT", SIZE)
    one, two = blocks.new_block(SIZE, BYTE), blocks.new_block(SIZE, BYTE)
    address = two.ctypes.data
    del one
    del two  # the first goes
    assert len(nothing_kept) == 1
    assert blocks.new_block(SIZE, BYTE).ctypes.data == address
