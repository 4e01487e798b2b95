"""Target weights as the user has them, turned into plain numbers by name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ml4t.backtest.errors import WeightsError, listed, shown, with_nearest
from ml4t.backtest.numeric import is_finite, is_real
from ml4t.backtest.records import Floats

_PLAIN = {float, int, np.float64, np.float32, np.int64, np.int32}


def _labelled(weights: object) -> Mapping[str, float]:
    """Return the weights by label; raises for what has no labels and for a label that is twice."""
    if isinstance(weights, Mapping):
        return weights
    index = getattr(weights, "index", None)
    values = getattr(weights, "to_numpy", None)
    if index is not None and callable(values) and getattr(weights, "ndim", 0) == 1:
        labels = list(index)
        if len(set(labels)) < len(labels):
            twice = sorted({str(label) for label in labels if labels.count(label) > 1})
            raise WeightsError(
                f"weights: {listed(twice)} appear more than once in the index; "
                "give every asset one weight"
            )
        return dict(zip(labels, values().tolist(), strict=True))
    raise WeightsError(
        f"weights: a {type(weights).__name__} is not understood; pass a mapping of asset name to "
        "weight, or a pandas Series indexed by asset"
    )


def as_weights(weights: object) -> dict[str, float]:
    """Turn what an optimizer gives into a dict of asset to weight.

    Parameters
    ----------
    weights : mapping or pandas Series
        Asset names with their weights, fractions of equity. A Series is read by its index.

    Returns
    -------
    dict of str to float

    Raises
    ------
    ValueError
        For a weight that is not a finite number (NaN, infinity, a string, a bool), a name that
        is not a string, and a name that is there twice; the message names the offenders.

    Examples
    --------
    >>> as_weights({"AAPL": 0.6, "MSFT": 0.4})
    {'AAPL': 0.6, 'MSFT': 0.4}
    """
    found = _labelled(weights)
    if not set(map(type, found)) <= {str}:
        strange = [name for name in found if not isinstance(name, str)]
        if strange:
            raise WeightsError(
                f"weights: {listed(strange)} are not asset names; names must be strings"
            )
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
            unknown = [other for other in weights if other not in index]
            raise WeightsError(
                f"weights: {with_nearest(unknown, assets)} are not assets of the feed; drop them "
                "or add their prices"
            )
        requested[position] = weight
    requested.flags.writeable = False
    return requested
