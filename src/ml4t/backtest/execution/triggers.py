"""Drift triggers: rebalance because the weights have moved, and not only because of the date."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from math import inf, isnan

from ml4t.backtest.errors import ConfigError, nearest, shown
from ml4t.backtest.numeric import is_finite, is_real

__all__ = ["DriftTrigger"]

#: As in a plan: a change of weight that is not above this is none.
NO_DRIFT = 1e-12
_BANDS = ("absolute", "relative", "distance")
_CHOICES = {"trade_to": ("target", "edge"), "combine": ("or", "and")}


@dataclass(frozen=True, kw_only=True)
class DriftTrigger:
    """Says which target weights should be sent now, if any, from how far the account has drifted.

    The drift of an asset is its effective weight (what is held and what is still working, so that
    orders on their way do not fire it again) less its target weight. An asset without a target has
    the target 0. The trigger fires if any of the bands that are given is exceeded; it has no state.

    Parameters
    ----------
    absolute : float, optional
        Fires if abs(drift) of an asset is above it. 0.05: five points of weight.
    relative : float, optional
        Fires if abs(drift) of an asset is above this fraction of its target weight; at a target of
        0, if anything is held. With `absolute` as well, the narrower of the two bands counts.
    distance : float, optional
        Fires if half the sum of abs(drift) over all assets is above it: the turnover that it would
        take to be back at the targets.
    trade_to : {"target", "edge"}
        What is sent. "target": the target weights. "edge": the weights nearest to the present ones
        at which no band is exceeded; an asset that is inside its band keeps its effective weight,
        as far as `distance` allows, and a target of 0 has no edge but 0. A move to the edge is
        small: `RebalanceConfig.min_weight_change` and `min_trade_value` must let it through.
    combine : {"or", "and"}
        With the schedule. "or": what the schedule decides is sent in any case, and drift is looked
        at between its decisions. "and": drift is looked at when the schedule decides and at no
        other time, and nothing is sent if it is small.

    Raises
    ------
    ValueError
        Without a band, for a band that is no finite number above 0, and for unknown choices.

    Examples
    --------
    >>> trigger = DriftTrigger(absolute=0.05, trade_to="edge")
    >>> targets = {"AAPL": 0.5, "MSFT": 0.5}
    >>> trigger.weights_to_send(targets, {"AAPL": 0.54, "MSFT": 0.46})
    >>> trigger.weights_to_send(targets, {"AAPL": 0.625, "MSFT": 0.375})
    {'AAPL': 0.55, 'MSFT': 0.45}
    """

    absolute: float | None = None
    relative: float | None = None
    distance: float | None = None
    trade_to: str = "target"
    combine: str = "or"

    def __post_init__(self) -> None:
        """Check the bands and the choices."""
        bands = {name: getattr(self, name) for name in _BANDS}
        if all(band is None for band in bands.values()):
            raise ConfigError(
                "drift trigger: there is no band; pass absolute=, relative= or distance=, such as "
                "absolute=0.05"
            )
        for name, band in bands.items():
            if band is not None and not (is_real(band) and is_finite(band) and band > 0.0):
                raise ConfigError(
                    f"drift trigger: {name}={shown(band)} must be a finite number above 0; it is a "
                    "fraction, 0.05 for five per cent"
                )
        for name, known in _CHOICES.items():
            choice = getattr(self, name)
            if choice not in known:
                hint = nearest(choice, known, most=1)
                raise ConfigError(
                    f"drift trigger: {name}={shown(choice)} is unknown{hint}; use "
                    + " or ".join(f'"{option}"' for option in known)
                )

    def weights_to_send(
        self,
        targets: Mapping[str, float],
        effective: Mapping[str, float],
        decides: bool = False,
        tradable: Container[str] | None = None,
    ) -> dict[str, float] | None:
        """Return the target weights that should be sent now; None: none should.

        Parameters
        ----------
        targets : mapping of asset to weight
            The target weights that are in force; if the schedule decides now, those of now.
        effective : mapping of asset to weight
            From `TargetWeightExecutor.effective_weights`. NaN: unknown (an account without equity),
            which is no drift. Leave out what the rebalance is not to touch
            (``unmentioned="hold"``).
        decides : bool
            Whether the schedule decides at this bar.
        tradable : container of str, optional
            The assets that can be traded now, such as the `data` of `Strategy.on_data`. The drift
            of others does not count, since no rebalance could mend it. None: all.

        Returns
        -------
        dict of str to float, or None
            Assets sorted by name. What is held and not in `targets` is in it with 0.0 only where
            `trade_to` is "edge".
        """
        if decides and self.combine == "or":
            return dict(sorted(targets.items()))
        if not decides and self.combine == "and":
            return None
        drift = {}
        for asset in sorted({*targets, *effective}):
            moved = effective.get(asset, 0.0) - targets.get(asset, 0.0)
            if not isnan(moved) and (tradable is None or asset in tradable):
                drift[asset] = moved
        if not self._is_exceeded(targets, drift):
            return None
        if self.trade_to == "target":
            return dict(sorted(targets.items()))
        kept = self._at_edge(targets, drift)
        return {
            asset: targets.get(asset, 0.0) + kept.get(asset, 0.0)
            for asset in sorted({*targets, *drift})
        }

    def _band(self, target: float) -> float:
        """Return how far an asset may be from its target; infinite without such a band."""
        absolute = inf if self.absolute is None else self.absolute
        return absolute if self.relative is None else min(absolute, self.relative * abs(target))

    def _is_exceeded(self, targets: Mapping[str, float], drift: Mapping[str, float]) -> bool:
        if self.distance is not None and _distance(drift) > self.distance + NO_DRIFT:
            return True
        return any(
            abs(moved) > self._band(targets.get(asset, 0.0)) + NO_DRIFT
            for asset, moved in drift.items()
        )

    def _at_edge(
        self, targets: Mapping[str, float], drift: Mapping[str, float]
    ) -> dict[str, float]:
        """Return the drift that may stay."""
        kept = {}
        for asset, moved in drift.items():
            target = targets.get(asset, 0.0)
            band = self._band(target) if target else 0.0
            kept[asset] = min(max(moved, -band), band)
        if self.distance is not None and (rest := _distance(kept)) > self.distance:
            kept = {asset: moved * (self.distance / rest) for asset, moved in kept.items()}
        return kept


def _distance(drift: Mapping[str, float]) -> float:
    return 0.5 * sum(map(abs, drift.values()))
