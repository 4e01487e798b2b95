"""What a solver means by none of an asset."""

from __future__ import annotations

from collections.abc import Mapping


def without_solver_dust(weights: Mapping[str, float], cutoff: float) -> dict[str, float]:
    """Return the weights with 0.0 for those that are nearer to it than `cutoff`.

    Interior-point solvers stop inside their constraints and return 1e-7 where they mean 0. A weight
    of 0.0 is an exit, which no threshold skips; a weight of 1e-7 is a change like any other, and a
    holding below ``min_weight_change`` would be kept for it. What is taken away is given to no
    other asset: it stays in cash.

    Parameters
    ----------
    weights : mapping of asset to weight
        Finite fractions of equity, as an optimizer gave them.
    cutoff : float
        A fraction of equity; 0: nothing is changed.

    Returns
    -------
    dict of str to float
        All of the assets, in the same order.

    Examples
    --------
    >>> without_solver_dust({"A": 0.7, "B": 2.5e-7, "C": -3e-8, "D": 0.3}, 1e-5)
    {'A': 0.7, 'B': 0.0, 'C': 0.0, 'D': 0.3}
    """
    return {asset: 0.0 if abs(weight) < cutoff else weight for asset, weight in weights.items()}
