"""Fewer points for long lines, such that the line looks the same."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ml4t.backtest.records import Floats, Ints

#: A line of more points than this is thinned: a screen has no more columns to show them in.
MOST_POINTS = 10_000


def kept_points(lines: Sequence[Floats], most: int = MOST_POINTS) -> Ints:
    """Return which points to draw of lines that share their x, at most about `most`.

    The time is cut into stretches of equal numbers of points; of each, those are kept at which a
    line is lowest or highest, so that no peak and no trough is lost, and the first and the last of
    all.

    Parameters
    ----------
    lines : sequence of (n,) arrays
        NaN: no point.
    most : int

    Returns
    -------
    (at most most + 2,) int64
        Increasing; all of them if there are no more than `most`.
    """
    n = lines[0].size
    if n <= most:
        return np.arange(n)
    n_stretches = max(most // (2 * len(lines)), 1)
    edges = np.linspace(0, n, n_stretches + 1).astype(np.int64)
    kept = [np.array([0, n - 1])]
    for line in lines:
        for at_extreme, nothing in ((np.argmin, np.inf), (np.argmax, -np.inf)):
            filled = np.where(np.isnan(line), nothing, line)
            kept.append(
                np.array(
                    [
                        start + at_extreme(filled[start:end])
                        for start, end in pairwise(edges.tolist())
                    ]
                )
            )
    return np.unique(np.concatenate(kept))


def thinning_note(n_kept: int, n: int) -> str:
    """Say that points are left out; empty if none are."""
    if n_kept == n:
        return ""
    return (
        f"Drawn with {n_kept:,} of {n:,} bars: of each stretch of time the lowest and the highest."
    )
