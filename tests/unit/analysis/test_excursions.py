"""The lowest and the highest of ranges of bars."""

from __future__ import annotations

import numpy as np
import pytest

from ml4t.backtest.analysis.excursions import extremes

NAN = float("nan")


def test_by_hand() -> None:
    low = np.array([[5.0, 1.0], [4.0, NAN], [6.0, NAN], [7.0, 2.0]])
    high = low + 1.0
    lowest, highest = extremes(
        low,
        high,
        column=np.array([0, 0, 0, 0, 1, 1, 1]),
        start=np.array([0, 2, 1, 3, 0, 1, 1]),
        stop=np.array([4, 3, 4, 3, 4, 3, 4]),
    )
    # all four; one bar; three; none; with gaps: 1 and 2; only a gap; a gap and then 2
    np.testing.assert_array_equal(lowest, [4.0, 6.0, 4.0, NAN, 1.0, NAN, 2.0])
    np.testing.assert_array_equal(highest, [8.0, 7.0, 8.0, NAN, 3.0, NAN, 3.0])


@pytest.mark.parametrize("n_bars", [1, 2, 3, 8, 13, 16])
def test_every_range_of_a_length(n_bars: int) -> None:
    rng = np.random.default_rng(n_bars)
    low, high = rng.random((n_bars, 2)), rng.random((n_bars, 2))
    ranges = [(i, a, b) for i in (0, 1) for a in range(n_bars) for b in range(a + 1, n_bars + 1)]
    column, start, stop = (np.array(part) for part in zip(*ranges, strict=True))
    lowest, highest = extremes(low, high, column, start, stop)
    assert lowest.tolist() == [low[a:b, i].min() for i, a, b in ranges]
    assert highest.tolist() == [high[a:b, i].max() for i, a, b in ranges]


def test_nothing() -> None:
    none = np.zeros(0, np.int64)
    for found in extremes(np.zeros((0, 0)), np.zeros((0, 0)), none, none, none):
        assert found.shape == (0,)
