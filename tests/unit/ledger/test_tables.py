"""Tables that grow in blocks."""

from __future__ import annotations

import numpy as np
import pytest

from ml4t.backtest.ledger.tables import Table

ROW = np.dtype([("number", np.int64), ("value", np.float64)])


def rows(start: int, stop: int) -> np.ndarray:
    made = np.zeros(stop - start, ROW)
    made["number"] = np.arange(start, stop)
    return made


def filled(*lengths: int) -> Table:
    """A table to which as many rows were added at a time, numbered through."""
    table = Table(ROW)
    start = 0
    for length in lengths:
        table.append(rows(start, start + length))
        start += length
    return table


def test_an_empty_table() -> None:
    table = Table(ROW)
    assert len(table) == 0
    assert table.records().size == 0
    assert table.records().dtype == ROW
    assert table.tail(0).size == 0


@pytest.mark.parametrize(
    "lengths",
    [(1,), (0, 3), (10, 10), (4_000, 200), (5_000, 5_000, 1), (1,) * 50, (100_000, 70_000)],
)
def test_rows_stay_in_sequence(lengths: tuple[int, ...]) -> None:
    table = filled(*lengths)
    n = sum(lengths)
    assert len(table) == n
    assert table.records()["number"].tolist() == list(range(n))
    for number in {0, n // 2, n - 1}:
        assert table.row(number)["number"] == number
        assert table.tail(number)["number"].tolist() == list(range(number, n))
    assert table.tail(n).size == 0


def test_a_kernel_writes_into_the_room() -> None:
    table = filled(4_095)
    block = table.room(1)
    used = table.used
    block[used[0]]["number"] = 4_095
    used[0] += 1
    block = table.room(3)  # does not fit any more: a new block
    assert block.size - used[0] >= 3
    block[used[0]]["number"] = 4_096
    used[0] += 1
    assert table.used is used
    assert len(table) == 4_097
    assert table.records()["number"].tolist() == list(range(4_097))


def test_room_that_is_not_used_costs_nothing() -> None:
    table = Table(ROW)
    table.room(10)
    table.room(100_000)
    assert len(table) == 0
    table.append(rows(0, 2))
    assert len(table) == 2


def test_replace() -> None:
    table = filled(5_000, 5_000)
    table.replace(rows(0, 3))
    assert len(table) == 3
    table.append(rows(3, 6))
    assert table.records()["number"].tolist() == [0, 1, 2, 3, 4, 5]
    assert table.row(4)["number"] == 4
