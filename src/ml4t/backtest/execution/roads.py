"""Which form of the kernel trades: compiled, or plain Python where a cost model is the user's."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from ml4t.backtest.costs import Costs
from ml4t.backtest.execution.own_costs import OwnCosts, own_terms_of_trade
from ml4t.backtest.kernel import matching, planning
from ml4t.backtest.kernel.costs import terms_of_trade
from ml4t.backtest.kernel.plain import plain

# What a pass changes. In `done` and `fills` it writes only rows that are not in use yet.
_CHANGED = ("book", "account", "holdings", "used", "n_done", "n_fills")


class Road(NamedTuple):
    """The two functions of the kernel that ask what a trade costs, and the costs they take.

    `match_orders` and `plan` take the arguments of `matching.match_orders` and `planning.plan`,
    with `costs` in the place of the `CostParams`.
    """

    match_orders: Callable[..., None]
    plan: Callable[..., None]
    costs: Any


def road_of(costs: Costs, assets: tuple[str, ...]) -> Road:
    """Return the compiled road, or the plain one where a model is written in Python.

    Parameters
    ----------
    costs : Costs
    assets : tuple of str
        The names of the assets by index.

    Returns
    -------
    Road
    """
    if costs.is_compiled:
        return Road(matching.match_orders, planning.plan, costs.built_in)
    return Road(*_plain_road(), OwnCosts.of(costs, assets))


@cache
def _plain_road() -> tuple[Callable[..., None], Callable[..., None]]:
    """Make the plain functions once: the models and the names come with the costs."""
    exchanged = {terms_of_trade: own_terms_of_trade}
    match = plain(matching.match_orders, exchanged)
    names = list(inspect.signature(match).parameters)
    changed = [names.index(name) for name in _CHANGED]

    def match_whole(*given: Any) -> None:
        """Match on copies, which become the state when the pass has come to its end."""
        arguments = list(given)
        for place in changed:
            arguments[place] = given[place].copy()
        match(*arguments)
        for place in changed:
            np.copyto(given[place], arguments[place])

    return match_whole, plain(planning.plan, exchanged)
