"""What weight providers know of the run that they are asked in."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan
from typing import Any

from ml4t.backtest.broker import Broker
from ml4t.backtest.execution.rebalancer import TargetWeightExecutor


@dataclass
class RunSoFar:
    """What the provider that decides, and those that it has asked instead, know of their run.

    Attributes
    ----------
    previous : (int, dict of str to float) or None
        The last decision, whoever made it: time and weights.
    has_held : bool
        Whether anything was held when somebody looked.
    """

    previous: tuple[int, dict[str, float]] | None = None
    has_held: bool = False

    def forget(self) -> None:
        """Begin another run."""
        self.previous, self.has_held = None, False

    def held(self, data: Any, broker: Any) -> dict[str, float] | None:
        """Return what the account holds by asset; None: it has never held anything."""
        weights = TargetWeightExecutor().current_weights(data, broker)
        now = {asset: weight for asset, weight in weights.items() if not isnan(weight)}
        # A live account does not tell what it has held.
        has_traded = isinstance(broker, Broker) and (not now and bool(broker.fills))
        self.has_held = self.has_held or bool(now) or has_traded
        return now if self.has_held else None
