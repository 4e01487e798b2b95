"""Settings: frozen, checked when they are made, unknown names refused."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, PlainValidator, model_validator

from ml4t.backtest.cost_tables import cost_from_table, costs_to_tables, refuse_python
from ml4t.backtest.costs import (
    Commission,
    CommissionModel,
    Costs,
    NoCommission,
    NoSlippage,
    Slippage,
    SlippageModel,
    checked_model,
)
from ml4t.backtest.enums import ExecutionMode, Rounding, Unmentioned
from ml4t.backtest.errors import ConfigError, InputError, listed, shown
from ml4t.backtest.records import PlanParams
from ml4t.backtest.settings import Settings
from ml4t.backtest.toml import read_toml, write_toml

Threshold = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Limit = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]


class RebalanceConfig(Settings):
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


class BacktestConfig(Settings):
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
    commission : NoCommission, PercentCommission, PerShareCommission, FixedCommission or an object
        with the method of `CommissionModel`
    slippage : NoSlippage, PercentSlippage, FixedSlippage or an object with the method of
        `SlippageModel`
    insufficient_cash : {"scale", "trim", "reject"}
        What happens when the purchases of a group of orders cost more than there is. "scale": all
        market orders are scaled by one common factor (limits and stops are trimmed). "trim": in
        sequence, each is cut to what can be paid. "reject": in sequence, each that cannot be paid
        whole is rejected. What cash has cut is over.
    max_participation : float or None
        All fills of an asset in a bar together are at most this fraction of its volume. > 0.
        None: no limit, volume is not read.
    delisting : {"hold", "liquidate", "write_off"}
        What happens to a position whose asset has ended: the feed goes on, and the asset has no
        bar any more. It stays at its last mark, or, at the first bar without it and before
        anything else trades, it is sold at its last mark free of costs, or it is lost. The
        working orders of the asset are cancelled in any case.
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
    commission: Annotated[
        Commission | CommissionModel, PlainValidator(partial(checked_model, "commission"))
    ] = NoCommission()
    slippage: Annotated[
        Slippage | SlippageModel, PlainValidator(partial(checked_model, "slippage"))
    ] = NoSlippage()
    insufficient_cash: Literal["scale", "trim", "reject"] = "scale"
    max_participation: Limit | None = None
    delisting: Literal["hold", "liquidate", "write_off"] = "hold"
    rebalance: RebalanceConfig = RebalanceConfig()

    @property
    def costs(self) -> Costs:
        """Commission and slippage together."""
        return Costs(self.commission, self.slippage)

    @property
    def participation(self) -> float:
        """`max_participation` as the kernel reads it: infinity for no limit."""
        return _or_infinity(self.max_participation)

    @property
    def needed_fields(self) -> dict[str, str]:
        """Which fields bars must have besides their close, and the setting that says so."""
        needed = {}
        if self.max_participation is not None:
            needed["volume"] = f"max_participation={self.max_participation}"
        if self.fill_price == "vwap":
            needed["vwap"] = f"fill_price={self.fill_price!r}"
        return needed

    def to_table(self) -> dict[str, Any]:
        """Return the settings as plain values; costs and `rebalance` are dicts in it.

        Of a cost model that is written in Python there are its class and its `repr`.
        """
        return {
            **{name: getattr(self, name) for name in type(self).model_fields},
            "execution_mode": str(self.execution_mode),
            **costs_to_tables(self.costs),
            "rebalance": self.rebalance.model_dump(),
        }

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Self:
        """Return the config that `to_table` describes; a field that is absent has its default.

        In the place of a cost model that was written in Python it has a value that shows the
        model's name and raises when a run would use it.

        Raises
        ------
        ValueError
            For an unknown name and for a value out of range.
        """
        values = _fields("config", table, cls)
        for name, models in (("commission", Commission), ("slippage", Slippage)):
            if name in values:
                values[name] = cost_from_table(name, values[name], models)
        if "rebalance" in values:
            fields = _fields("rebalance", values["rebalance"], RebalanceConfig)
            values["rebalance"] = RebalanceConfig(**fields)
        return cls(**values)

    @classmethod
    def from_toml(cls, source: str | os.PathLike[str]) -> Self:
        """Return a config from TOML; a field that is absent has its default.

        Parameters
        ----------
        source : path or str
            A path, also as a string of one line that ends in ``.toml``; or the text itself.

        Raises
        ------
        ValueError
            If the file cannot be read or is no TOML, for an unknown name (with the nearest known
            one) and for a value out of range (with the range).

        Examples
        --------
        >>> config = BacktestConfig.from_toml('''
        ... initial_cash = 50_000
        ... [commission]
        ... kind = "percent"
        ... rate = 0.001
        ... [rebalance]
        ... min_trade_value = 250
        ... ''')
        >>> config.commission
        PercentCommission(rate=0.001)
        >>> BacktestConfig.from_toml(config.to_toml()) == config
        True
        """
        where, table = read_toml(source)
        return config_as_written(cls, where, table)

    def to_toml(self) -> str:
        """Return the settings as TOML, which `from_toml` reads back to an equal config.

        A field that is None is left out: TOML has no such value.

        Raises
        ------
        ValueError
            For a cost model that is written in Python.
        """
        for name, model in self.costs.own_models.items():
            raise ConfigError(
                f"BacktestConfig: {name}={model!r} is written in Python, which TOML cannot hold; "
                f"write the config with a built-in model and put this one back after reading: "
                f"config.model_copy(update={{{name!r}: model}})"
            )
        return write_toml(self.to_table())


_Config = TypeVar("_Config", bound=BacktestConfig)


def config_as_written(cls: type[_Config], where: str, table: Mapping[str, Any]) -> _Config:
    """Return the config of a table that a person wrote; messages begin with `where` it is."""
    try:
        for name in ("commission", "slippage"):
            refuse_python(name, table.get(name))
        return cls.from_table(table)
    except InputError as error:
        lines = str(error).splitlines()
        raise ConfigError("\n".join(f"{where}: {line}" for line in lines)) from None


def as_config(config: BacktestConfig | None) -> BacktestConfig:
    """Return a config as it is, the defaults for None; raises for anything else."""
    if config is None:
        return BacktestConfig()
    if not isinstance(config, BacktestConfig):
        raise ConfigError(
            f"config: a {type(config).__name__} is not a BacktestConfig; pass BacktestConfig(...), "
            "and a RebalanceConfig as its rebalance="
        )
    return config


def as_rules(config: RebalanceConfig | None) -> RebalanceConfig:
    """Return the rules of a rebalance as they are, the defaults for None; raises for the rest."""
    if config is None:
        return RebalanceConfig()
    if not isinstance(config, RebalanceConfig):
        raise ConfigError(
            f"config: a {type(config).__name__} is not a RebalanceConfig; pass RebalanceConfig(...)"
        )
    return config


def _fields(where: str, table: object, of: type[Settings]) -> dict[str, Any]:
    """Return a table of fields as a dict; raises for what is no table with names."""
    if not isinstance(table, Mapping) or not all(isinstance(name, str) for name in table):
        raise ConfigError(
            f"{where}={shown(table)} is not a table of the fields of a {of.__name__}; there are "
            f"{listed(of.model_fields, 99)}"
        )
    return dict(table)


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
