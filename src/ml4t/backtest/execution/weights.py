"""Target weights as the user has them, turned into plain numbers by name."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ml4t.backtest.config import RebalanceConfig
from ml4t.backtest.errors import WeightsError, listed, shown, with_nearest
from ml4t.backtest.execution.weight_readers import (
    WHAT,
    read_labelled,
    refuse_others,
    refuse_strange,
)
from ml4t.backtest.kernel.limits import adjust_weights
from ml4t.backtest.numeric import is_finite, is_real
from ml4t.backtest.records import Floats

_PLAIN = {float, int, np.float64, np.float32, np.int64, np.int32}


def as_weights(weights: object, assets: Sequence[str] | None = None) -> dict[str, float]:
    """Turn what an optimizer gives into a dict of asset to weight.

    Weights go by label, never by place: the order in which assets come changes nothing.

    Parameters
    ----------
    weights : object
        Asset names with their weights, fractions of equity:

        - a mapping, such as PyPortfolioOpt's `clean_weights()`;
        - a pandas Series, by its index;
        - a frame (pandas, polars, pyarrow): one column indexed by asset (Riskfolio-Lib), one row
          with a column an asset, or columns ``asset`` (or ``symbol``, ``ticker``) and ``weight``;
        - a fitted skfolio estimator, also the last of a pipeline or the best of a search, and a
          skfolio Portfolio;
        - a PyPortfolioOpt object that has been solved;
        - an array, a list or a polars Series, but only together with `assets`.
    assets : sequence of str, (n_assets,), optional
        The names of weights without labels, in their order (the keys of a dict have one, a set has
        none). Weights with labels must be of these assets, in any order and not of all of them.

    Returns
    -------
    dict of str to float
        In the order of the input.

    Raises
    ------
    ValueError
        For None, a weight that is not a finite number (NaN, infinity, a string, a bool), a name
        that is not a string, a name that is there twice, weights without labels, `assets` in no
        order, and an optimizer that failed or was not run; the message names the offenders.

    Examples
    --------
    >>> as_weights({"AAPL": 0.6, "MSFT": 0.4})
    {'AAPL': 0.6, 'MSFT': 0.4}
    >>> as_weights([0.6, 0.4], assets=["AAPL", "MSFT"])
    {'AAPL': 0.6, 'MSFT': 0.4}
    """
    found = weights if isinstance(weights, Mapping) else read_labelled(weights, assets)
    if not set(map(type, found)) <= {str}:
        refuse_strange(found)
    if assets is not None:
        refuse_others(found, assets)
    types = set(map(type, found.values()))
    if not types <= _PLAIN:
        wrong = [name for name, weight in found.items() if not is_real(weight)]
        if wrong:
            raise WeightsError(
                f"weights: {_pairs(found, wrong)} are not numbers; pass floats, and 0.0 to close"
            )
    # The sum of what is finite is finite, but for an overflow, and costs a tenth of a look at each.
    quick = types <= {float} and math.isfinite(sum(found.values()))
    if not quick and not all(map(is_finite, found.values())):
        wrong = [name for name, weight in found.items() if not is_finite(weight)]
        raise WeightsError(
            f"weights: {_pairs(found, wrong)} are not finite; leave the asset out or pass 0.0 to "
            "close it"
        )
    if types <= {float}:
        return dict(found)
    return {name: float(weight) for name, weight in found.items()}


def _pairs(weights: Mapping[str, Any], names: list[str]) -> str:
    """Write some of the weights for a message."""
    return listed([f"{name}={shown(weights[name])}" for name in names])


def adjusted_weights(weights: Mapping[str, float], rules: RebalanceConfig) -> dict[str, float]:
    """Return the target weights that a plan makes of requested ones: without what it forbids.

    Shorts that are not allowed are 0, caps are kept, and exposures scaled (rule 3 of a plan). It
    does not depend on the account.

    Parameters
    ----------
    weights : mapping of asset to weight
        Finite.
    rules : RebalanceConfig

    Returns
    -------
    dict of str to float
        Sorted by name.
    """
    names = sorted(weights)
    values = np.array([weights[name] for name in names], np.float64)
    none = np.zeros((2, len(names)), np.int64)  # adjustments that were made, what is held back
    adjust_weights(values, none[0], none[1], rules.params)
    return dict(zip(names, values.tolist(), strict=True))


def weights_vector(
    weights: dict[str, float], assets: tuple[str, ...], index: Mapping[str, int]
) -> Floats:
    """Lay weights out by asset, read-only; NaN where an asset is not among them.

    The rows of a schedule are read-only too: for arrays that can be written to, the planner would
    be compiled once more.

    Raises
    ------
    ValueError
        For a weight of an asset that is not in `assets`, with the nearest names.
    """
    if len(weights) == len(assets) and tuple(weights) == assets:
        requested = np.fromiter(weights.values(), np.float64, len(assets))
        requested.flags.writeable = False
        return requested
    requested = np.full(len(assets), np.nan)
    for name, weight in weights.items():
        position = index.get(name)
        if position is None:
            check_known(weights, index)
        requested[position] = weight
    requested.flags.writeable = False
    return requested


def check_known(names: Iterable[str], index: Mapping[str, int]) -> None:
    """Raise a `WeightsError` for names that are no assets of the feed, with the nearest ones."""
    unknown = [name for name in names if name not in index]
    if unknown:
        raise WeightsError(
            f"{WHAT}: {with_nearest(unknown, index)} are not assets of the feed; drop them or add "
            "their prices"
        )
