"""Fewer points, the same line."""

from __future__ import annotations

import numpy as np

from ml4t.backtest.report.thin import kept_points, thinning_note


def test_a_short_line_keeps_every_point() -> None:
    assert kept_points([np.arange(5.0)], most=5).tolist() == [0, 1, 2, 3, 4]


def test_peaks_and_troughs_stay() -> None:
    line = np.zeros(1_000)
    line[123], line[777] = 5.0, -5.0
    other = np.zeros(1_000)
    other[400] = 1.0
    kept = kept_points([line, other], most=40)
    # Two lines, a lowest and a highest each: 10 stretches of 100 points, and both ends.
    assert kept.size <= 42
    assert {0, 123, 400, 777, 999} <= set(kept.tolist())
    assert (np.diff(kept) > 0).all()


def test_gaps_are_no_extremes() -> None:
    line = np.where(np.arange(100) % 2, np.nan, 1.0)
    line[50] = 9.0
    assert 50 in kept_points([line], most=10)


def test_the_note_counts() -> None:
    assert thinning_note(5, 5) == ""
    assert thinning_note(10_002, 1_234_567).startswith("Drawn with 10,002 of 1,234,567 bars")
