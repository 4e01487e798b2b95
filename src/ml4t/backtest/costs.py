"""What trading costs: commission and slippage models as small values.

A model is a kind and its numbers, not a function, so that the compiled kernel can read it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, ClassVar, get_args

from ml4t.backtest.enums import CostKind
from ml4t.backtest.errors import ConfigError, InputError, listed, nearest, shown, unknown_name
from ml4t.backtest.numeric import is_finite, is_real
from ml4t.backtest.records import CostParams


def _check(model: object, name: str, below: float = math.inf) -> None:
    """Raise unless 0 <= value < below for a field of a model; keep it as a plain float."""
    value = getattr(model, name)
    if not is_real(value) or not is_finite(value) or not 0.0 <= value < below:
        limit = f" < {below:g} (10 basis points are 0.001)" if math.isfinite(below) else ""
        raise InputError(
            f"{type(model).__name__}: {name}={shown(value)} is out of range; pass a number with "
            f"0 <= {name}{limit}"
        )
    object.__setattr__(model, name, float(value))


@dataclass(frozen=True)
class NoCommission:
    """Trading is free of commission."""

    kind: ClassVar[CostKind] = CostKind.NONE

    @property
    def figures(self) -> tuple[float, float, float]:
        """Rate, minimum and maximum rate as the kernel reads them."""
        return 0.0, 0.0, math.inf


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
        """Check the numbers."""
        _check(self, "rate", 1.0)

    @property
    def figures(self) -> tuple[float, float, float]:
        """Rate, minimum and maximum rate as the kernel reads them."""
        return float(self.rate), 0.0, math.inf


@dataclass(frozen=True)
class PerShareCommission:
    """A fee per unit, with a minimum per order and a cap as a fraction of the order's notional.

    Minimum and cap hold for all fills of an order together; where they conflict the cap wins.

    Parameters
    ----------
    per_share : float
        Currency per unit. >= 0.
    minimum : float
        Currency per order. >= 0.
    maximum_rate : float or None
        Fraction of the notional, 0 <= maximum_rate < 1; None: no cap.
    """

    per_share: float
    minimum: float = 0.0
    maximum_rate: float | None = None
    kind: ClassVar[CostKind] = CostKind.PER_SHARE

    def __post_init__(self) -> None:
        """Check the numbers."""
        _check(self, "per_share")
        _check(self, "minimum")
        if self.maximum_rate is not None:
            _check(self, "maximum_rate", 1.0)

    @property
    def figures(self) -> tuple[float, float, float]:
        """Rate, minimum and maximum rate as the kernel reads them."""
        cap = math.inf if self.maximum_rate is None else float(self.maximum_rate)
        return float(self.per_share), float(self.minimum), cap


@dataclass(frozen=True)
class FixedCommission:
    """A fee per order, charged with its first fill.

    Parameters
    ----------
    per_order : float
        Currency. >= 0.
    """

    per_order: float
    kind: ClassVar[CostKind] = CostKind.FIXED

    def __post_init__(self) -> None:
        """Check the numbers."""
        _check(self, "per_order")

    @property
    def figures(self) -> tuple[float, float, float]:
        """Rate, minimum and maximum rate as the kernel reads them."""
        return float(self.per_order), 0.0, math.inf


@dataclass(frozen=True)
class NoSlippage:
    """Orders fill at the price of the bar."""

    kind: ClassVar[CostKind] = CostKind.NONE

    @property
    def figure(self) -> float:
        """The number that the kernel reads."""
        return 0.0


@dataclass(frozen=True)
class PercentSlippage:
    """A price that is worse by a fraction: higher for buys, lower for sells. Not on limits.

    Parameters
    ----------
    rate : float
        Fraction of the price: 0.0005 is 5 basis points. 0 <= rate < 1.
    """

    rate: float
    kind: ClassVar[CostKind] = CostKind.PERCENT

    def __post_init__(self) -> None:
        """Check the numbers."""
        _check(self, "rate", 1.0)

    @property
    def figure(self) -> float:
        """The number that the kernel reads."""
        return float(self.rate)


@dataclass(frozen=True)
class FixedSlippage:
    """A price that is worse by an amount per unit (a sale gets 0 at worst). Not on limits.

    Parameters
    ----------
    per_share : float
        Currency per unit. >= 0.
    """

    per_share: float
    kind: ClassVar[CostKind] = CostKind.PER_SHARE

    def __post_init__(self) -> None:
        """Check the numbers."""
        _check(self, "per_share")

    @property
    def figure(self) -> float:
        """The number that the kernel reads."""
        return float(self.per_share)


Commission = NoCommission | PercentCommission | PerShareCommission | FixedCommission
Slippage = NoSlippage | PercentSlippage | FixedSlippage


@dataclass(frozen=True)
class Costs:
    """A commission and a slippage model together.

    Parameters
    ----------
    commission : NoCommission, PercentCommission, PerShareCommission or FixedCommission
    slippage : NoSlippage, PercentSlippage or FixedSlippage
    """

    commission: Commission = field(default_factory=NoCommission)
    slippage: Slippage = field(default_factory=NoSlippage)

    @cached_property
    def params(self) -> CostParams:
        """The same as the kernel reads it."""
        return CostParams(
            self.commission.kind.code,
            *self.commission.figures,
            self.slippage.kind.code,
            self.slippage.figure,
        )


def cost_to_table(model: Any) -> dict[str, Any]:
    """Return a cost model as plain values.

    Parameters
    ----------
    model : a commission or slippage model

    Returns
    -------
    dict
        Its `kind` and its numbers.
    """
    numbers_of = {part.name: getattr(model, part.name) for part in fields(model)}
    return {"kind": str(model.kind)} | {
        name: None if value is None else float(value) for name, value in numbers_of.items()
    }


def cost_from_table(where: str, table: object, models: Any) -> Any:
    """Return the cost model that a table describes, the inverse of `cost_to_table`.

    Parameters
    ----------
    where : str
        The name of the table, for messages.
    table : object
        A mapping with a `kind` and the numbers that this kind has.
    models : union of classes
        `Commission` or `Slippage`.

    Returns
    -------
    A commission or slippage model.

    Raises
    ------
    ValueError
        If it is no such table.
    """
    kinds = {str(model.kind): model for model in get_args(models)}
    if not isinstance(table, Mapping) or "kind" not in table:
        raise ConfigError(
            f"{where}={shown(table)} is not a table with a kind; the kinds are {listed(kinds, 99)}"
        )
    kind, values = table["kind"], {k: v for k, v in table.items() if k != "kind"}
    if not isinstance(kind, str) or kind not in kinds:
        raise ConfigError(
            f"{where}: kind={shown(kind)} is unknown{nearest(str(kind), kinds)}; the kinds are "
            f"{listed(kinds, 99)}"
        )
    model = kinds[kind]
    known = [part.name for part in fields(model)]
    for name in values:
        if name not in known:
            raise ConfigError(f"{where}: {unknown_name(name, known)}")
    try:
        return model(**values)
    except TypeError:
        raise ConfigError(
            f"{where}: kind={kind!r} needs {listed(known, 99)}; there is "
            f"{listed(values, 99) or 'nothing'}"
        ) from None
