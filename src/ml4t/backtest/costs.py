"""What trading costs: commission and slippage models as small values.

A built-in model is a kind and its numbers, not a function, so that the compiled kernel can read
it. A model of the user's own is an object with one method, `commission` or `fill_price`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Protocol, get_args, runtime_checkable

from ml4t.backtest.enums import CostKind
from ml4t.backtest.errors import ConfigError, InputError, shown
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


@runtime_checkable
class CommissionModel(Protocol):
    """A commission model of your own, in Python; it runs uncompiled.

    It is asked by previews, to size purchases and by fills, often about trades that then do not
    happen: the same question must have the same answer, and asking must change nothing.
    """

    def commission(self, asset: str, quantity: float, notional: float) -> float:
        """Return what an order owes in all once so much of it has traded.

        A fill is charged what its order owes after it, less what it owed before it.

        Parameters
        ----------
        asset : str
        quantity : float
            Units that the order has traded so far, this fill included; negative for a sale,
            never 0.
        notional : float
            Currency, >= 0: what they cost or fetched, at the prices after slippage.

        Returns
        -------
        float
            Currency. Finite, >= 0, and not less for more of the same order.
        """
        ...


@runtime_checkable
class SlippageModel(Protocol):
    """A slippage model of your own, in Python; it runs uncompiled.

    It is asked by previews, to size purchases and by fills, often about trades that then do not
    happen: the same question must have the same answer, and asking must change nothing.
    """

    def fill_price(self, asset: str, quantity: float, price: float) -> float:
        """Return the price at which a trade happens. Limit orders are not asked about.

        Parameters
        ----------
        asset : str
        quantity : float
            Units of this fill; negative for a sale, never 0.
        price : float
            What the bar offers before slippage.

        Returns
        -------
        float
            Finite: at least `price` for a purchase, between 0 and `price` for a sale.
        """
        ...


#: The fields of `Costs`: what is built in, and the method of a user's own model.
_MODELS: dict[str, tuple[Any, str, str]] = {
    "commission": (Commission, "commission", "commission(asset, quantity, notional)"),
    "slippage": (Slippage, "fill_price", "fill_price(asset, quantity, price)"),
}


def _is_own(name: str, model: object) -> bool:
    """Whether an object is a user's own model for a field; a class is not one."""
    return not isinstance(model, type) and callable(getattr(model, _MODELS[name][1], None))


def checked_model(name: str, model: Any) -> Any:
    """Return a cost model, or raise for what is none.

    Parameters
    ----------
    name : {"commission", "slippage"}
    model : object

    Returns
    -------
    The model.

    Raises
    ------
    ValueError
        For what is neither a built-in model nor has the method of a user's own, and for a class.
    """
    built_in, _, method = _MODELS[name]
    if isinstance(model, type):
        raise ConfigError(
            f"{name}={model!r} is a class; pass an instance of it, made by {model.__name__}(...)"
        )
    if not isinstance(model, built_in) and not _is_own(name, model):
        kinds = " or ".join(f"a {kind.__name__}" for kind in get_args(built_in))
        raise ConfigError(
            f"{name}={shown(model)} is not allowed; pass {kinds} or an object with a method "
            f"{method}"
        )
    return model


@dataclass(frozen=True)
class Costs:
    """A commission and a slippage model together.

    Parameters
    ----------
    commission : NoCommission, PercentCommission, PerShareCommission, FixedCommission or an object
        with the method of `CommissionModel`
    slippage : NoSlippage, PercentSlippage, FixedSlippage or an object with the method of
        `SlippageModel`

    Raises
    ------
    ValueError
        For what is no such model.
    """

    commission: Commission | CommissionModel = field(default_factory=NoCommission)
    slippage: Slippage | SlippageModel = field(default_factory=NoSlippage)

    def __post_init__(self) -> None:
        """Check the models."""
        for name in _MODELS:
            checked_model(name, getattr(self, name))

    @cached_property
    def own_models(self) -> dict[str, Any]:
        """The models that are written in Python, by field; empty where both are built in."""
        models = {name: getattr(self, name) for name in _MODELS}
        return {name: model for name, model in models.items() if _is_own(name, model)}

    @cached_property
    def is_compiled(self) -> bool:
        """Whether both models are built in, so that compiled code can read them."""
        return not self.own_models

    def check_compiled(self) -> None:
        """Raise `ValueError` for a model in Python, which compiled code cannot call."""
        for name, model in self.own_models.items():
            raise ConfigError(
                f"{name}={model!r} is written in Python, which compiled code cannot call; pass a "
                "built-in model, or run a strategy in an Engine"
            )

    @property
    def params(self) -> CostParams:
        """The same as compiled code reads it; raises `ValueError` for a model in Python."""
        self.check_compiled()
        return self.built_in

    @cached_property
    def built_in(self) -> CostParams:
        """The numbers of the models that are built in; of one in Python there is its kind only."""
        commission: Any = self.commission
        slippage: Any = self.slippage
        python = CostKind.PYTHON.code
        own = self.own_models
        return CostParams(
            *((python, 0.0, 0.0, 0.0) if "commission" in own else _figures(commission)),
            *((python, 0.0) if "slippage" in own else (slippage.kind.code, slippage.figure)),
        )


def _figures(model: Commission) -> tuple[int, float, float, float]:
    """Return the kind and the numbers of a built-in commission."""
    return model.kind.code, *model.figures
