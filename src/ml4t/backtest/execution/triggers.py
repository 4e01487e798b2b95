"""Drift triggers: rebalance because the weights have moved, and not only because of the date."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from math import inf, isnan
from sys import float_info

from ml4t.backtest.config import RebalanceConfig
from ml4t.backtest.errors import ConfigError, nearest, shown
from ml4t.backtest.execution.weights import adjusted_weights
from ml4t.backtest.numeric import is_finite, is_real
from ml4t.backtest.records import PlanParams

__all__ = ["DriftTrigger"]

#: As in a plan: a change of weight that is not above this is none.
NO_DRIFT = 1e-12
_BANDS = ("absolute", "relative", "distance")
#: Of a rebalance whose rules are not known: targets are what they are.
_NO_LIMITS = RebalanceConfig(
    allow_short=True, max_single_weight=float_info.max, max_net_exposure=float_info.max
)
_CHOICES = {"trade_to": ("target", "edge"), "combine": ("or", "and")}


@dataclass(frozen=True, kw_only=True)
class DriftTrigger:
    """Says which target weights should be sent now, if any, from how far the account has drifted.

    The drift of an asset is its effective weight (what is held and what is still working, so that
    orders on their way do not fire it again) less its target weight, as the rebalance would adjust
    it: what a cap or a scaling keeps from being held has not drifted. An asset without a target has
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
        What is sent: the target weights, or those at the edge of the bands, see the notes.
    combine : {"or", "and"}
        With the schedule. "or": what the schedule decides is sent in any case, and drift is looked
        at between its decisions. "and": drift is looked at when the schedule decides and at no
        other time, and nothing is sent if it is small.

    Raises
    ------
    ValueError
        Without a band, for a band that is no finite number above 0, and for unknown choices.

    Notes
    -----
    At the edge, some of the drift of each asset stays:

    1. As much as its band allows. A target of 0 has no edge but 0.
    2. Cash counts as an asset, with the target that the others leave of 1. What may stay of its
       drift is inside its band too, and not more than that target.
    3. What has gained weight and what has lost some must keep the same drift in total, else more
       would be bought than sold or money lie idle. On the side that could keep more, each asset
       keeps the same fraction of its own.
    4. Where that is still more than `distance`, or than `RebalanceConfig.max_gross_exposure`, all
       keep the same fraction of it.

    So target weights that sum to 1 are sent as weights that sum to 1; each asset ends between its
    effective weight and its target, inside its band, and where all fills at the prices of the plan
    the trigger does not fire again. It is always possible, since to keep nothing, that is the
    target weights, satisfies all of it; of what satisfies the first three, it trades the least.

    The trades are small: `RebalanceConfig.min_weight_change` and `min_trade_value` must let them
    through, and `allow_fractional` should be on, since a purchase in whole shares ends just outside
    the band.

    Examples
    --------
    >>> trigger = DriftTrigger(absolute=0.05, trade_to="edge")
    >>> targets = {"AAPL": 0.5, "MSFT": 0.5}
    >>> trigger.weights_to_send(targets, {"AAPL": 0.54, "MSFT": 0.46})
    >>> trigger.weights_to_send(targets, {"AAPL": 0.625, "MSFT": 0.375})
    {'AAPL': 0.55, 'MSFT': 0.45}

    AAPL has lost more than it may; what it still lacks at its edge is taken from the others.

    >>> targets = {"AAPL": 0.5, "MSFT": 0.25, "XOM": 0.25}
    >>> trigger.weights_to_send(targets, {"AAPL": 0.375, "MSFT": 0.3125, "XOM": 0.3125})
    {'AAPL': 0.45, 'MSFT': 0.275, 'XOM': 0.275}
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
        rules: RebalanceConfig | None = None,
    ) -> dict[str, float] | None:
        """Return the target weights that should be sent now; None: none should.

        Parameters
        ----------
        targets : mapping of asset to weight
            The target weights that are in force; if the schedule decides now, those of now.
        effective : mapping of asset to weight
            From `TargetWeightExecutor.effective_weights`. NaN: unknown (an account without equity),
            which is no drift.
        decides : bool
            Whether the schedule decides at this bar.
        tradable : container of str, optional
            The assets that can be traded now, such as the `data` of `Strategy.on_data`. The drift
            of others does not count, since no rebalance could mend it; they are sent with their
            targets. None: all.
        rules : RebalanceConfig, optional
            Those that the rebalance will follow: how it adjusts the targets, and whether it leaves
            alone what is not in them. None: targets are what they are, and all is touched.

        Returns
        -------
        dict of str to float, or None
            Assets sorted by name. The targets come back as they were passed. What is held and not
            in `targets` is in it with 0.0 only where `trade_to` is "edge".
        """
        if decides and self.combine == "or":
            return dict(sorted(targets.items()))
        if not decides and self.combine == "and":
            return None
        rules = _NO_LIMITS if rules is None else rules
        aims = adjusted_weights(targets, rules)
        names = {*targets} if rules.unmentioned == "hold" else {*targets, *effective}
        drift = {}
        for asset in sorted(names):
            moved = effective.get(asset, 0.0) - aims.get(asset, 0.0)
            if not isnan(moved) and (tradable is None or asset in tradable):
                drift[asset] = moved
        if not self._is_exceeded(aims, drift):
            return None
        if self.trade_to == "target":
            return dict(sorted(targets.items()))
        kept = self._at_edge(aims, drift, rules.params)
        return {
            asset: aims.get(asset, 0.0) + kept.get(asset, 0.0) for asset in sorted({*aims, *drift})
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
        self, aims: Mapping[str, float], drift: Mapping[str, float], params: PlanParams
    ) -> dict[str, float]:
        """Return the drift that may stay; the numbers are those of the notes above."""
        kept = {}
        highest = params.max_single_weight
        lowest = -highest if params.allow_short else 0.0
        for asset, moved in drift.items():  # 1
            aim = aims.get(asset, 0.0)
            band = self._band(aim) if aim else 0.0
            kept[asset] = _inside(moved, band, lowest - aim, highest - aim)
        invested = sum(aims.values())  # 2
        cash = 1.0 - invested
        band = min(self._band(cash), abs(cash))
        net = params.max_net_exposure
        cash_kept = _inside(-sum(drift.values()), band, invested - net, invested + net)
        gained = sum(moved for moved in (*kept.values(), cash_kept) if moved > 0.0)  # 3
        lost = -sum(moved for moved in (*kept.values(), cash_kept) if moved < 0.0)
        both = min(gained, lost)
        for asset, moved in kept.items():
            if moved:
                kept[asset] = moved * (both / (gained if moved > 0.0 else lost))
        fraction = 1.0  # 4
        if self.distance is not None and (rest := _distance(kept)) > self.distance:
            fraction = self.distance / rest
        wanted = sum(map(abs, aims.values()))
        gross = sum(abs(aim + kept.get(asset, 0.0)) for asset, aim in aims.items())
        most = params.max_gross_exposure
        if gross > max(most, wanted):
            # The sum is convex: on the straight way from the targets it is not above this.
            fraction = min(fraction, max(most - wanted, 0.0) / (gross - wanted))
        return {asset: moved * fraction for asset, moved in kept.items()}


def _inside(moved: float, band: float, least: float, most: float) -> float:
    """Return what may stay of a drift; none may always, also at a limit that is just exceeded."""
    return min(max(moved, -band, min(least, 0.0)), band, max(most, 0.0))


def _distance(drift: Mapping[str, float]) -> float:
    return 0.5 * sum(map(abs, drift.values()))
