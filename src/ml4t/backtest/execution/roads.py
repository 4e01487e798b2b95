"""Which form of the kernel trades: compiled, or plain Python where a cost model is the user's."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from ml4t.backtest.costs import Costs
from ml4t.backtest.execution.own_costs import OwnCosts, own_terms_of_trade
from ml4t.backtest.kernel import loop, matching, planning
from ml4t.backtest.kernel.costs import terms_of_trade
from ml4t.backtest.kernel.ends import end_assets
from ml4t.backtest.kernel.plain import Function, plain

# What a pass changes. In `done` and `fills` it writes only rows that are not in use yet.
_CHANGED = ("book", "account", "holdings", "used", "n_done", "n_fills")


def matching_road(costs: Costs, assets: tuple[str, ...]) -> tuple[Callable[..., None], Any]:
    """Return the function that matches, and the costs that it takes.

    Parameters
    ----------
    costs : Costs
    assets : tuple of str
        The names of the assets by index.

    Returns
    -------
    tuple
        `matching.match_orders` or the same in plain Python, where a model is written in Python;
        and its argument `costs`.
    """
    if costs.is_compiled:
        return matching.match_orders, costs.built_in
    return _plain_road()[0], OwnCosts.of(costs, assets)


def planning_road(costs: Costs, assets: tuple[str, ...]) -> tuple[Callable[..., None], Any]:
    """Return the function that plans, and the costs that it takes; see `matching_road`."""
    if costs.is_compiled:
        return planning.plan, costs.built_in
    return _plain_road()[1], OwnCosts.of(costs, assets)


def running_road(
    estimate: Costs, costs: Costs, assets: tuple[str, ...]
) -> tuple[Callable[..., tuple[int, int]], Any, Any]:
    """Return the function that runs bars, and the two costs that it takes; see `matching_road`."""
    if estimate.is_compiled and costs.is_compiled:
        return loop.run_bars, estimate.built_in, costs.built_in
    return _plain_loop(), OwnCosts.of(estimate, assets), OwnCosts.of(costs, assets)


@cache
def _plain_loop() -> Callable[..., tuple[int, int]]:
    # A settlement has no costs that anybody could be asked for.
    exchanged: dict[Function, Function] = {
        terms_of_trade: own_terms_of_trade,
        end_assets: end_assets,
    }
    return plain(loop.run_bars, exchanged)


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
