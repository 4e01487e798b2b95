"""The frictions between a portfolio on paper and an account, in the order of the bridge.

A run without any of them is the paper portfolio. Each friction switches its own settings from
there to those of the run; with all of them on, the run is what the account did. A market that
knows more (impact, borrow fees, interest, dividends, currencies) adds its frictions to the list.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

from ml4t.backtest.config import BacktestConfig
from ml4t.backtest.costs import Costs, NoCommission, NoSlippage
from ml4t.backtest.enums import CashPolicy, Rounding
from ml4t.backtest.kernel.outcome import some_adjusted
from ml4t.backtest.records import Floats
from ml4t.backtest.replay import RunRules

#: What a counterfactual run is made of: rules for the compiled loop, or, where a cost model is
#: written in Python, a config for the loop that can call it.
Rules = RunRules | BacktestConfig


class Friction(NamedTuple):
    """One difference between paper and account.

    Attributes
    ----------
    name : str
        The term of the bridge.
    meaning : str
        What the term holds, as a sentence.
    switched_on : callable
        ``switched_on(so_far, actual)`` returns the rules so far with this friction as it is in
        the actual rules.
    binds : callable
        ``binds(weights, actual)``: whether it can make a difference to requested weights,
        (n_decisions, n_assets). Only a sure no is worth saying: it saves a run.
    """

    name: str
    meaning: str
    switched_on: Callable[[RunRules, RunRules], RunRules]
    binds: Callable[[Floats, RunRules], bool] = lambda weights, actual: True


def _delay(so_far: RunRules, actual: RunRules) -> RunRules:
    return so_far._replace(run=so_far.run._replace(is_same_bar=actual.run.is_same_bar))


def _caps(so_far: RunRules, actual: RunRules) -> RunRules:
    plan = so_far.plan._replace(
        allow_short=actual.plan.allow_short,
        max_single_weight=actual.plan.max_single_weight,
        max_net_exposure=actual.plan.max_net_exposure,
        max_gross_exposure=actual.plan.max_gross_exposure,
    )
    return so_far._replace(plan=plan)


def _thresholds(so_far: RunRules, actual: RunRules) -> RunRules:
    plan = so_far.plan._replace(
        min_trade_value=actual.plan.min_trade_value,
        min_weight_change=actual.plan.min_weight_change,
        max_cost_bps=actual.plan.max_cost_bps,
    )
    return so_far._replace(plan=plan)


def _some_capped(weights: Floats, actual: RunRules) -> bool:
    return bool(some_adjusted(weights, actual.plan))


def _rounding(so_far: RunRules, actual: RunRules) -> RunRules:
    plan = so_far.plan._replace(step=actual.plan.step, rounding=actual.plan.rounding)
    return so_far._replace(plan=plan)


def _cash_shortage(so_far: RunRules, actual: RunRules) -> RunRules:
    return so_far._replace(run=so_far.run._replace(cash_policy=actual.run.cash_policy))


def _unfilled(so_far: RunRules, actual: RunRules) -> RunRules:
    run = so_far.run._replace(max_participation=actual.run.max_participation)
    return so_far._replace(run=run)


def _commission(so_far: RunRules, actual: RunRules) -> RunRules:
    costs = so_far.costs._replace(
        commission_kind=actual.costs.commission_kind,
        commission_rate=actual.costs.commission_rate,
        commission_minimum=actual.costs.commission_minimum,
        commission_maximum_rate=actual.costs.commission_maximum_rate,
    )
    return so_far._replace(costs=costs)


def _slippage(so_far: RunRules, actual: RunRules) -> RunRules:
    costs = so_far.costs._replace(
        slippage_kind=actual.costs.slippage_kind, slippage_rate=actual.costs.slippage_rate
    )
    return so_far._replace(costs=costs)


#: In the order in which they are switched on: first when an order can trade, so that all that
#: follows is measured at the prices of the real fills; then the life of an order, from its weight
#: to what it is charged. Thresholds come last. Whether a trade is skipped hangs on a hair, and with
#: it all later ones: any friction after them would be credited with trades that it only tipped
#: over a threshold (docs/decisions/bridge-order.md).
FRICTIONS = (
    Friction(
        "delay",
        "Orders fill after the decision, at another price than the one it saw.",
        _delay,
    ),
    Friction(
        "caps",
        "Weights were set to zero, capped or scaled: shorts, single weights, exposure.",
        _caps,
        _some_capped,
    ),
    Friction(
        "rounding",
        "Positions are whole shares or lots.",
        _rounding,
    ),
    Friction(
        "cash_shortage",
        "Purchases were cut or refused: at the fill there was too little cash.",
        _cash_shortage,
    ),
    Friction(
        "unfilled",
        "Orders filled late or never: the volume of a bar was too thin.",
        _unfilled,
    ),
    Friction(
        "commission",
        "Commission, and what it would have earned.",
        _commission,
    ),
    Friction(
        "slippage",
        "Slippage, and what it would have earned.",
        _slippage,
    ),
    Friction(
        "thresholds",
        "Trades were skipped: weight change, trade value or cost beyond its threshold.",
        _thresholds,
    ),
)


def without_friction(actual: RunRules) -> RunRules:
    """Return the rules of the paper portfolio of a run.

    Requested weights, at the close of the decision, in fractions, on credit and short where they
    say so, free. What is no friction stays: what happens to assets that are not mentioned or have
    ended, how working orders are treated, and by which costs a plan reckons.
    """
    return actual._replace(
        run=actual.run._replace(
            is_same_bar=True,
            # The paper may hold what the account has never bought.
            must_mention=False,
            max_participation=math.inf,
            cash_policy=CashPolicy.UNLIMITED.code,
        ),
        plan=actual.plan._replace(
            min_trade_value=0.0,
            min_weight_change=0.0,
            max_single_weight=math.inf,
            max_net_exposure=math.inf,
            max_gross_exposure=math.inf,
            max_cost_bps=math.inf,
            step=0,
            rounding=Rounding.POSITION.code,
            allow_short=True,
        ),
        costs=Costs().params,
    )


def ladder(config: BacktestConfig, weights: Floats) -> list[Rules | None]:
    """Return the rules of the paper portfolio, then with one friction more each, to all of them.

    None where a friction changes nothing, so that its run would be the one before.

    Parameters
    ----------
    weights : (n_decisions, n_assets) array
        Requested weights, NaN for what is not in the targets.
    config : BacktestConfig
        Of the run. A cost model that is written in Python is no part of compiled rules: from its
        commission on they are configs then, and the plans of those before reckon with no cost.
    """
    free = {"commission": NoCommission(), "slippage": NoSlippage()}
    own = config.costs.own_models
    actual = RunRules.of(config.model_copy(update=free) if own else config)
    so_far = without_friction(actual)
    rules: list[Rules | None] = [so_far]
    for friction in FRICTIONS:
        before, so_far = so_far, friction.switched_on(so_far, actual)
        makes_a_difference = so_far != before and friction.binds(weights, actual)
        rules.append(so_far if makes_a_difference else None)
    if own:
        mentions = config.rebalance.unmentioned
        whole = config.rebalance.model_copy(
            update={"unmentioned": "close" if mentions == "error" else mentions}
        )
        no_threshold = whole.model_copy(
            update={
                "min_trade_value": 0.0,
                "min_weight_change": 0.0,
                "ignore_if_cost_exceeds_bps": None,
            }
        )
        steps = [
            config.model_copy(update={**free, "rebalance": no_threshold}),
            config.model_copy(update={"slippage": free["slippage"], "rebalance": no_threshold}),
            config.model_copy(update={"rebalance": no_threshold}),
            config.model_copy(update={"rebalance": whole}),
        ]
        rules[-3:] = [None if b == a else b for a, b in pairwise(steps)]
    return rules
