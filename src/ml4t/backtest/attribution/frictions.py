"""The frictions between a portfolio on paper and an account, in the order of the bridge.

A run without any of them is the paper portfolio. Each friction switches its own settings from
there to those of the run; with all of them on, the run is what the account did. A market that
knows more (impact, borrow fees, interest, dividends, currencies) adds its frictions to the list.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from ml4t.backtest.costs import Costs
from ml4t.backtest.enums import CashPolicy, Rounding
from ml4t.backtest.kernel.outcome import some_adjusted
from ml4t.backtest.records import Floats
from ml4t.backtest.replay import RunRules


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
        allow_short=False,  # whatever the planner may ask for, the account holds none
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
    return bool(some_adjusted(weights, actual.plan._replace(allow_short=False)))


def _rounding(so_far: RunRules, actual: RunRules) -> RunRules:
    plan = so_far.plan._replace(step=actual.plan.step, rounding=actual.plan.rounding)
    return so_far._replace(plan=plan)


def _cash_shortage(so_far: RunRules, actual: RunRules) -> RunRules:
    plan = so_far.plan._replace(allow_short=actual.plan.allow_short)
    run = so_far.run._replace(cash_policy=actual.run.cash_policy)
    return so_far._replace(plan=plan, run=run)


def _unfilled(so_far: RunRules, actual: RunRules) -> RunRules:
    run = so_far.run._replace(max_participation=actual.run.max_participation)
    return so_far._replace(run=run)


def _commission(so_far: RunRules, actual: RunRules) -> RunRules:
    return so_far._replace(costs=Costs(actual.costs.commission, so_far.costs.slippage))


def _slippage(so_far: RunRules, actual: RunRules) -> RunRules:
    return so_far._replace(costs=Costs(so_far.costs.commission, actual.costs.slippage))


#: In the order in which they are switched on: first what a trade costs, its time and its price,
#: then what keeps it from happening (docs/decisions/bridge-order.md). Thresholds come last: whether
#: one skips a trade hangs on a hair, and with it all later trades, so that any friction after them
#: would be credited with trades that it only tipped over the edge.
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
        "commission",
        "Commission on all trades that the weights ask for.",
        _commission,
    ),
    Friction(
        "slippage",
        "Slippage on all trades that the weights ask for.",
        _slippage,
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
        "thresholds",
        "Small or dear trades were skipped, and their costs saved.",
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
        costs=Costs(),
    )


def ladder(actual: RunRules, weights: Floats) -> list[RunRules | None]:
    """Return the rules of the paper portfolio, then with one friction more each, to all of them.

    None where a friction changes nothing, so that its run would be the one before.

    Parameters
    ----------
    actual : RunRules
        Of the run.
    weights : (n_decisions, n_assets) array
        Requested weights, NaN for what is not in the targets.
    """
    so_far = without_friction(actual)
    rules: list[RunRules | None] = [_lighter(so_far)]
    for friction in FRICTIONS:
        before, so_far = so_far, friction.switched_on(so_far, actual)
        makes_a_difference = so_far != before and friction.binds(weights, actual)
        rules.append(_lighter(so_far) if makes_a_difference else None)
    return rules


def _lighter(rules: RunRules) -> RunRules:
    """Return rules whose plans reckon with costs only where that decides something.

    A cost model in Python is asked for each of them.
    """
    plan = rules.plan
    decides = plan.max_cost_bps < math.inf or plan.rounding == Rounding.MIN_TRACKING_ERROR.code
    return rules if decides else rules._replace(estimate=Costs())
