"""Settings: frozen, checked when they are made, unknown names refused."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from ml4t.backtest.costs import Commission, Costs, NoCommission, NoSlippage, Slippage
from ml4t.backtest.enums import ExecutionMode, Rounding, Unmentioned
from ml4t.backtest.records import PlanParams

Threshold = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Limit = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]


class _Settings(BaseModel):
    """Frozen, strict about names, and numbers are not made from strings or bools."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _plain_numbers(cls, values: Any) -> Any:
        """Take numpy's numbers for what they are."""
        if isinstance(values, dict):
            return {k: v.item() if isinstance(v, np.generic) else v for k, v in values.items()}
        return values


class RebalanceConfig(_Settings):
    """How target weights become orders. docs/rebalancing.md has an example of every field.

    Parameters
    ----------
    min_trade_value : float
        A change worth less than this (currency) is skipped. >= 0.
    min_weight_change : float
        A change of weight below this (fraction of equity) is skipped. >= 0.
    allow_fractional : bool
        Trade fractions of a unit instead of whole ones.
    round_lots : bool
        Trade multiples of `lot_size` instead of whole units.
    lot_size : int
        Units in a lot. >= 1.
    rounding : {"position", "trade", "min_tracking_error"}
        What is rounded toward zero: the target position (no trade takes a position above its
        weight) or the trade. The third starts from the first and then buys single steps with the
        cash that rounding left, where they bring the weights nearest to the targets.
    allow_short : bool
        Take negative weights; else they count as 0.
    max_single_weight : float
        Cap on the absolute weight of an asset. > 0.
    max_net_exposure : float
        If the absolute sum of the weights exceeds this, all are scaled. > 0.
    max_gross_exposure : float or None
        The same for the sum of absolute weights; None: no limit.
    unmentioned : {"close", "hold", "error"}
        What happens to a held asset that is not in the targets: it is closed, it and its orders
        are left alone, or a `ValueError` is raised.
    cancel_before_rebalance : bool
        Cancel working orders (protective ones excepted) and size the new ones from what is held.
    account_for_pending : bool
        If orders are not cancelled: count what they have still to trade as if it were held.
    keep_protective_orders : bool
        Leave stops and reduce-only orders in place (an exit or a flip takes them along).
    ignore_if_cost_exceeds_bps : float or None
        Skip a trade whose estimated cost is more than this many basis points of its value.

    Raises
    ------
    ValueError
        For a value out of range (with the field and its range) and for an unknown name.
    """

    min_trade_value: Threshold = 100.0
    min_weight_change: Threshold = 0.01
    allow_fractional: bool = False
    round_lots: bool = False
    lot_size: Annotated[int, Field(ge=1, le=2**31 - 1)] = 100
    rounding: Literal["position", "trade", "min_tracking_error"] = "position"
    allow_short: bool = False
    max_single_weight: Limit = 1.0
    max_net_exposure: Limit = 1.0
    max_gross_exposure: Limit | None = None
    unmentioned: Literal["close", "hold", "error"] = "close"
    cancel_before_rebalance: bool = True
    account_for_pending: bool = True
    keep_protective_orders: bool = True
    ignore_if_cost_exceeds_bps: Threshold | None = None

    @model_validator(mode="after")
    def _steps_for_basket(self) -> Self:
        """`min_tracking_error` hands out whole steps, so there must be some."""
        if self.rounding == "min_tracking_error" and self.allow_fractional and not self.round_lots:
            raise ValueError(
                "rounding='min_tracking_error' needs whole units or lots; "
                "set allow_fractional=False or use rounding='position'"
            )
        return self

    @property
    def params(self) -> PlanParams:
        """The same as the kernel reads it."""
        return _plan_params(self)


class BacktestConfig(_Settings):
    """The account, its costs and how orders are matched.

    Parameters
    ----------
    initial_cash : float
        Currency. > 0.
    execution_mode : ExecutionMode or {"next_bar", "same_bar"}
        Whether a decision's orders are matched from the next bar on (at its open) or at the
        close of the decision bar.
    fill_price : {"open", "close", "hl2", "vwap"}
        Which price of its bar a market order gets: the open, the close, the middle of high and
        low, or the feed's ``vwap`` column.
    commission : NoCommission, PercentCommission, PerShareCommission or FixedCommission
    slippage : NoSlippage, PercentSlippage or FixedSlippage
    insufficient_cash : {"scale", "trim", "reject"}
        What happens when the purchases of a group of orders cost more than there is. "scale": all
        market orders are scaled by one common factor (limits and stops are trimmed). "trim": in
        sequence, each is cut to what can be paid. "reject": in sequence, each that cannot be paid
        whole is rejected. What cash has cut is over.
    max_participation : float or None
        All fills of an asset in a bar together are at most this fraction of its volume. > 0.
        None: no limit, volume is not read.
    rebalance : RebalanceConfig
        For an executor that has no config of its own.

    Raises
    ------
    ValueError
        For a value out of range (with the field and its range) and for an unknown name.
    """

    initial_cash: Limit = 100_000.0
    execution_mode: Annotated[ExecutionMode, Field(strict=False)] = ExecutionMode.NEXT_BAR
    fill_price: Literal["open", "close", "hl2", "vwap"] = "open"
    commission: Commission = NoCommission()
    slippage: Slippage = NoSlippage()
    insufficient_cash: Literal["scale", "trim", "reject"] = "scale"
    max_participation: Limit | None = None
    rebalance: RebalanceConfig = RebalanceConfig()

    @property
    def costs(self) -> Costs:
        """Commission and slippage together."""
        return Costs(self.commission, self.slippage)

    @property
    def participation(self) -> float:
        """`max_participation` as the kernel reads it: infinity for no limit."""
        return _or_infinity(self.max_participation)


def _or_infinity(limit: float | None) -> float:
    """Return a limit as a number, infinity for None."""
    return math.inf if limit is None else float(limit)


@lru_cache(maxsize=256)
def _plan_params(config: RebalanceConfig) -> PlanParams:
    """Work out the numbers of a config once for every config that says the same."""
    whole = 0 if config.allow_fractional else 1
    return PlanParams(
        min_trade_value=float(config.min_trade_value),
        min_weight_change=float(config.min_weight_change),
        max_single_weight=float(config.max_single_weight),
        max_net_exposure=float(config.max_net_exposure),
        max_gross_exposure=_or_infinity(config.max_gross_exposure),
        max_cost_bps=_or_infinity(config.ignore_if_cost_exceeds_bps),
        step=config.lot_size if config.round_lots else whole,
        rounding=Rounding(config.rounding).code,
        unmentioned=Unmentioned(config.unmentioned).code,
        allow_short=config.allow_short,
        cancel_before_rebalance=config.cancel_before_rebalance,
        account_for_pending=config.account_for_pending,
        keep_protective_orders=config.keep_protective_orders,
    )
