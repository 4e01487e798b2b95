"""What trading costs: commission and slippage models as small values.

A model is a kind and its numbers, not a function, so that the compiled kernel can read it.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, ClassVar, get_args

from ml4t.backtest.enums import CostKind
from ml4t.backtest.errors import ConfigError, InputError, listed, nearest, unknown_name
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
        """Check the rate, and keep it as a plain float whatever kind of number it came as."""
        _check_rate(self, self.rate, 1.0)
        object.__setattr__(self, "rate", float(self.rate))


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
        """Check the rate, and keep it as a plain float whatever kind of number it came as."""
        _check_rate(self, self.rate, 1.0)
        object.__setattr__(self, "rate", float(self.rate))


def cost_to_table(model: Any) -> dict[str, Any]:
    """Return a cost model as plain values: its `kind` and its numbers."""
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

    Raises
    ------
    ValueError
        If it is no such table.
    """
    kinds = {str(model.kind): model for model in get_args(models)}
    if not isinstance(table, Mapping) or "kind" not in table:
        raise ConfigError(
            f"{where}={table!r} is not a table with a kind; the kinds are {listed(kinds, 99)}"
        )
    kind, values = table["kind"], {k: v for k, v in table.items() if k != "kind"}
    if not isinstance(kind, str) or kind not in kinds:
        raise ConfigError(
            f"{where}: kind={kind!r} is unknown{nearest(str(kind), kinds)}; the kinds are "
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
