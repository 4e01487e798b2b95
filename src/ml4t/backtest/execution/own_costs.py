"""Cost models that a user wrote in Python: how they are asked, and what they may answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

from ml4t.backtest.costs import CommissionModel, Costs, SlippageModel
from ml4t.backtest.errors import CostModelError, shown
from ml4t.backtest.kernel import costs as built_in
from ml4t.backtest.kernel.plain import plain
from ml4t.backtest.kernel.quantities import MONEY_TOLERANCE
from ml4t.backtest.numeric import is_finite, is_real
from ml4t.backtest.records import CostParams

# A price, or a commission, that is on the wrong side by this part of itself is float noise.
_NOISE = 1e-12

# Of a model that is built in beside one that is not: compiling them for that would take seconds.
_price_after_slippage = plain(built_in.price_after_slippage)
_commission_of = plain(built_in.commission_of)


@dataclass(frozen=True)
class OwnCosts:
    """What stands in for `CostParams` where a model is written in Python.

    `commission` or `slippage` is None where it is built in: then `params` has its numbers.
    """

    assets: tuple[str, ...]
    params: CostParams
    commission: CommissionModel | None
    slippage: SlippageModel | None

    @classmethod
    def of(cls, costs: Costs, assets: tuple[str, ...]) -> OwnCosts:
        """Return the costs with the names by which a model knows the assets."""
        own = costs.own_models
        return cls(assets, costs.built_in, own.get("commission"), own.get("slippage"))

    @property
    def commission_kind(self) -> int:
        """The code of a `CostKind`, which matching reads."""
        return self.params.commission_kind


def own_terms_of_trade(
    asset: int,
    quantity: float,
    price: float,
    slips: bool,
    multiplier: float,
    units_before: float,
    notional_before: float,
    costs: OwnCosts,
) -> tuple[float, float, float]:
    """Do what the kernel's `terms_of_trade` does, and ask the models that are not built in.

    Raises
    ------
    CostModelError
        If a model returns what is no price of this trade, or no commission.
    """
    if quantity == 0.0:
        return price, 0.0, 0.0
    name = costs.assets[asset]
    fill_price = price
    if slips and costs.slippage is None:
        fill_price = _price_after_slippage(quantity, price, costs.params)
    elif slips:
        fill_price = _fill_price(costs.slippage, name, float(quantity), float(price))
    units = abs(quantity)
    notional = units * multiplier * fill_price
    if costs.commission is None:
        commission = _commission_of(units, notional, units_before, notional_before, costs.params)
    else:
        sign = 1.0 if quantity > 0.0 else -1.0
        before = sign * float(units_before), float(notional_before)
        after = sign * float(units_before + units), float(notional_before + notional)
        commission = _commission(costs.commission, name, before, after)
    return fill_price, notional, commission


def _fill_price(model: Any, asset: str, quantity: float, price: float) -> float:
    """Ask for the price of a trade."""
    given = {"asset": asset, "quantity": quantity, "price": price}
    answer = _asked(model, "fill_price", given)
    noise = _NOISE * price
    if quantity > 0.0:
        if answer < price - noise:
            _refuse(model, "fill_price", given, answer, f"at least {price!r} for a purchase")
        return max(answer, price)
    if not 0.0 <= answer <= price + noise:
        _refuse(model, "fill_price", given, answer, f"between 0 and {price!r} for a sale")
    return min(answer, price)


def _commission(
    model: Any, asset: str, before: tuple[float, float], after: tuple[float, float]
) -> float:
    """Ask what an order owes after a fill, and return by how much that is more than before."""
    paid = _due(model, asset, *before) if before[0] != 0.0 else 0.0
    due = _due(model, asset, *after)
    if due < paid - MONEY_TOLERANCE - _NOISE * paid:
        given = {"asset": asset, "quantity": after[0], "notional": after[1]}
        _refuse(
            model, "commission", given, due,
            f"not less than the {paid!r} that the order owed at quantity={before[0]!r}, "
            f"notional={before[1]!r}",
        )  # fmt: skip
    return max(due - paid, 0.0)


def _due(model: Any, asset: str, quantity: float, notional: float) -> float:
    """Ask what an order owes in all."""
    given = {"asset": asset, "quantity": quantity, "notional": notional}
    answer = _asked(model, "commission", given)
    if answer < 0.0:
        _refuse(model, "commission", given, answer, "0 or more")
    return answer


def _asked(model: Any, method: str, given: dict[str, Any]) -> float:
    """Call a model; what it raises says for which trade."""
    try:
        answer = getattr(model, method)(*given.values())
    except Exception as error:
        error.add_note(f"ml4t.backtest: raised by {_call(model, method, given)}")
        raise
    if not is_real(answer) or not is_finite(answer):
        _refuse(model, method, given, answer, "a finite number")
    return float(answer)


def _refuse(
    model: Any, method: str, given: dict[str, Any], answer: object, wanted: str
) -> NoReturn:
    raise CostModelError(
        f"cost model: {_call(model, method, given)} returned {shown(answer)}; "
        f"it must return {wanted}"
    )


def _call(model: Any, method: str, given: dict[str, Any]) -> str:
    arguments = ", ".join(f"{name}={value!r}" for name, value in given.items())
    return f"{shown(model)}.{method}({arguments})"
