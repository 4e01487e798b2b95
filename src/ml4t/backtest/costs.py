"""What trading costs: commission and slippage models as small values.

A model is a kind and its numbers, not a function, so that the compiled kernel can read it.
"""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

from ml4t.backtest.enums import CostKind
from ml4t.backtest.errors import InputError
from ml4t.backtest.records import CostParams


def _check_rate(model: object, rate: float, limit: float) -> None:
    """Raise unless 0 <= rate < limit."""
    usable = not isinstance(rate, bool) and isinstance(rate, numbers.Real)
    if not usable or not math.isfinite(rate) or not 0.0 <= rate < limit:
        raise InputError(
            f"{type(model).__name__}: rate={rate!r} is out of range; pass a fraction with "
            f"0 <= rate < {limit:g} (10 basis points are 0.001)"
        )


@dataclass(frozen=True)
class NoCommission:
    """Trading is free of commission."""

    kind: ClassVar[CostKind] = CostKind.NONE
    rate: ClassVar[float] = 0.0


@dataclass(frozen=True)
class PercentCommission:
    """A fraction of the traded notional, charged on every fill on the price after slippage.

    Parameters
    ----------
    rate : float
        Fraction of the notional: 0.001 is 10 basis points. 0 <= rate < 1.
    """

    rate: float
    kind: ClassVar[CostKind] = CostKind.PERCENT

    def __post_init__(self) -> None:
        """Check the rate."""
        _check_rate(self, self.rate, 1.0)


@dataclass(frozen=True)
class NoSlippage:
    """Market orders fill at the price of the bar."""

    kind: ClassVar[CostKind] = CostKind.NONE
    rate: ClassVar[float] = 0.0


@dataclass(frozen=True)
class PercentSlippage:
    """Market orders fill at a price that is worse by a fraction: higher for buys, lower for sells.

    Parameters
    ----------
    rate : float
        Fraction of the price: 0.0005 is 5 basis points. 0 <= rate < 1.
    """

    rate: float
    kind: ClassVar[CostKind] = CostKind.PERCENT

    def __post_init__(self) -> None:
        """Check the rate."""
        _check_rate(self, self.rate, 1.0)


Commission = NoCommission | PercentCommission
Slippage = NoSlippage | PercentSlippage


@dataclass(frozen=True)
class Costs:
    """A commission and a slippage model together.

    Parameters
    ----------
    commission : NoCommission or PercentCommission
    slippage : NoSlippage or PercentSlippage
    """

    commission: Commission = field(default_factory=NoCommission)
    slippage: Slippage = field(default_factory=NoSlippage)

    @cached_property
    def params(self) -> CostParams:
        """The same as the kernel reads it."""
        return CostParams(
            self.commission.kind.code,
            float(self.commission.rate),
            self.slippage.kind.code,
            float(self.slippage.rate),
        )
