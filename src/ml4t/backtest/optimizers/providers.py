"""Weight providers: a function of the past, weights that never change, and equal weights."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from itertools import compress
from typing import Any

import numpy as np

from ml4t.backtest.errors import InputError, shown
from ml4t.backtest.execution.inputs import usable_price
from ml4t.backtest.execution.weights import as_weights, weights_vector
from ml4t.backtest.feed.view import BarData
from ml4t.backtest.optimizers.asking import FittedWeights, PlainWeights
from ml4t.backtest.optimizers.fitting import weights_of
from ml4t.backtest.optimizers.history import HistoryRules, Past
from ml4t.backtest.records import Floats


class _Call:
    """The fit of a `CallableWeights`."""

    def __init__(self, function: Callable[..., Any], rules: HistoryRules, wants: bool) -> None:
        self._function = function
        self._rules = rules
        self._wants_current = wants

    def __call__(
        self, past: Past, current: Mapping[str, float] | None
    ) -> tuple[dict[str, float], str]:
        history = self._rules.to_frame(past)
        arguments = (history, dict(current or {})) if self._wants_current else (history,)
        return weights_of(self._function(*arguments), past), ""


class CallableWeights(FittedWeights):
    """Target weights from a function of the past: any optimizer in a few lines.

    Parameters
    ----------
    function : callable
        ``function(history)`` or ``function(history, current_weights)``; returns anything that
        `as_weights` takes (an array is in the order of the history's assets). It is taken to want
        the second argument if that has no default, or is called ``current_weights``: the weights
        that the account holds now, a dict without the assets that it does not hold.
    lookback : int
        Rows of the history, the last one is now. Without so many bars (`min_history` says
        otherwise) there is no decision, which the result counts.
    values : {"returns", "log_returns", "prices"}
        What the history holds: returns between closes, or closes.
    frame : {"pandas", "polars"}
        A pandas frame has its times in the index, a polars frame in a column ``timestamp``; a
        column for each asset, without gaps.
    min_history : int, optional
        Rows that an asset must have, counted from its first bar among the last `lookback`; those
        that have less are not in the history. None: `lookback`. With less the history begins where
        the youngest of its assets does.
    max_missing : int
        Bars without a price that an asset may have among these; its last price stands in for
        them. An asset must have a bar now.
    on_failure : {"raise", "hold", "previous", "equal", "cash"} or WeightProvider
        What is done where the function raises, returns None or weights that cannot be used (NaN,
        assets that it was not given), or takes too long. "hold": no rebalance. "previous": the
        weights of the last decision of the run, whoever of a chain made it; no rebalance before the
        first. "equal": equal weights of the assets in the history. "cash": everything is sold. A
        provider is asked instead, and may have an `on_failure` of its own.
    time_limit : float, optional
        Seconds that a fit may take. The function then runs in a worker process, and must be one
        that can be sent there: defined at the top of a module.
    cutoff : float
        Fitted weights whose absolute value is below it, such as the 1e-7 that solvers return for
        none of an asset, become 0.0: an exit, which no threshold skips. The rest is not scaled up.
        0: no weight is changed.

    Raises
    ------
    ValueError
        At construction, for what cannot work.

    Examples
    --------
    >>> def inverse_volatility(history):
    ...     weights = 1.0 / history.std()
    ...     return weights / weights.sum()
    >>> CallableWeights(inverse_volatility, lookback=252, on_failure="hold")
    CallableWeights(inverse_volatility, lookback=252)
    """

    def __init__(
        self,
        function: Callable[..., Any],
        lookback: int,
        values: str = "returns",
        frame: str = "pandas",
        min_history: int | None = None,
        max_missing: int = 0,
        on_failure: object = "raise",
        time_limit: float | None = None,
        cutoff: float = 0.0,
    ) -> None:
        wants = _wants_current(function)
        rules = HistoryRules(lookback, values, frame, min_history, max_missing)
        name = str(getattr(function, "__name__", type(function).__name__))
        task = _Call(function, rules, wants)
        super().__init__(task, rules, name, wants, on_failure, time_limit, cutoff)

    def __repr__(self) -> str:
        """One line: function and look-back."""
        return f"CallableWeights({self.name}, lookback={self._rules.lookback})"


class FixedWeights(PlainWeights):
    """The same target weights at every decision.

    Parameters
    ----------
    weights : anything `as_weights` takes
        An asset that has no bar at a decision is not traded then; what it is not given stays cash.

    Raises
    ------
    ValueError
        For weights that cannot be used, and for none.

    Examples
    --------
    >>> FixedWeights({"AAPL": 0.6, "MSFT": 0.4}).get_weights({}, None)
    {'AAPL': 0.6, 'MSFT': 0.4}
    """

    def __init__(self, weights: object) -> None:
        self._weights = as_weights(weights)
        if not self._weights:
            raise InputError("FixedWeights: there is no weight; pass one for at least one asset")

    def get_weights(self, data: Any, broker: Any = None) -> dict[str, float]:
        """Return the weights, whatever `data` and `broker` are."""
        return dict(self._weights)

    def rows(self, assets: tuple[str, ...], closes: Floats) -> Floats:
        """Return a row of the weights for each decision; see `PlainWeights.rows`."""
        index = {name: i for i, name in enumerate(assets)}
        row = weights_vector(self._weights, assets, index)
        return np.tile(row, (len(closes), 1))


class EqualWeights(PlainWeights):
    """Equal target weights, summing to 1, of all assets that have a bar at the decision.

    Examples
    --------
    >>> EqualWeights().get_weights({"A": {"close": 10.0}, "B": {"close": 20.0}}, None)
    {'A': 0.5, 'B': 0.5}
    """

    def get_weights(self, data: Any, broker: Any = None) -> dict[str, float]:
        """Return equal weights of the assets in `data` that have a price; `broker` is not read."""
        if isinstance(data, BarData):
            assets, closes = data.assets, data.close
        else:
            assets = tuple(sorted(data))
            prices = [usable_price(asset, data[asset]["close"]) for asset in assets]
            closes = np.array(prices, np.float64)
        (row,) = self.rows(assets, closes[None])
        there = ~np.isnan(row)
        if not there.all():
            assets, row = tuple(compress(assets, there.tolist())), row[there]
        return dict(zip(assets, row.tolist(), strict=True))

    def rows(self, assets: tuple[str, ...], closes: Floats) -> Floats:
        """Return equal weights of what has a price at each decision; see `PlainWeights.rows`."""
        there = closes > 0.0  # False for NaN
        n_there = there.sum(axis=1)
        equal = 1.0 / np.maximum(n_there, 1)
        return np.where(there, equal[:, None], np.nan)


def _wants_current(function: object) -> bool:
    """Whether a function takes the present weights as well as the history."""
    if isinstance(function, type) or not callable(function):
        raise InputError(
            f"CallableWeights: {shown(function)} is not a function; pass function(history) or "
            "function(history, current_weights)"
        )
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # some built-in functions do not tell
        return False
    by_place = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    has_rest = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    needed = [p for p in by_place if p.default is p.empty]
    by_name = [p for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    if len(needed) > 2 or by_name or not (by_place or has_rest):
        raise InputError(
            f"CallableWeights: {shown(function)} takes other arguments than (history) or "
            "(history, current_weights); give the others defaults, or use functools.partial"
        )
    return len(needed) == 2 or (len(by_place) > 1 and by_place[1].name == "current_weights")
