"""Weights of any skfolio estimator, fitted again at every decision."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from ml4t.backtest.errors import InputError, MissingExtraError, shown
from ml4t.backtest.optimizers.asking import FittedWeights
from ml4t.backtest.optimizers.fitting import weights_of
from ml4t.backtest.optimizers.history import HistoryRules, Past
from ml4t.backtest.optimizers.previous_weights import asking_parts, label_steps, tell


class _Fit:
    """The fit of a `SkfolioWeights`."""

    def __init__(self, estimator: Any, rules: HistoryRules, asking: tuple[str, ...]) -> None:
        self._estimator = estimator
        self._copy = _copier(estimator)
        self._rules = rules
        self._asking = asking
        self._config: dict[str, Any] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Take the settings of scikit-learn along to another process."""
        from sklearn import get_config  # noqa: PLC0415

        return vars(self) | {"_config": get_config() if self._config is None else self._config}

    def __call__(
        self, past: Past, current: Mapping[str, float] | None
    ) -> tuple[dict[str, float], str]:
        if self._config is None:
            return self._fit(past, current)
        from sklearn import config_context  # noqa: PLC0415

        with config_context(**self._config):
            return self._fit(past, current)

    def _fit(self, past: Past, current: Mapping[str, float] | None) -> tuple[dict[str, float], str]:
        model = self._copy(self._estimator)
        if current is not None:
            tell(model, self._asking, {asset: current.get(asset, 0.0) for asset in past.assets})
        model.fit(self._rules.to_frame(past))
        return weights_of(model, past), _own_fallback(model)


class SkfolioWeights(FittedWeights):
    """Target weights of a skfolio estimator, fitted on the returns up to now.

    The estimator itself is never fitted: each decision fits a clone. Where it needs
    `previous_weights` (transaction costs, a turnover limit, a fallback to them, a search that tries
    one of these), it is given what the account holds of the assets in its history, 0 for the
    others. Before anything was ever held it starts from those that it was made with.

    The steps of a pipeline hand pandas frames on, so that the last one knows the names of assets.

    Parameters
    ----------
    estimator : skfolio estimator
        An optimization, a pipeline that ends in one, or a search over one.
    lookback : int
        Returns that each fit is given, the last one ends now.
    min_history, max_missing, on_failure, time_limit, cutoff
        As in `CallableWeights`. An estimator with ``raise_on_failure=False`` that has failed
        counts as failed here; an answer of skfolio's own ``fallback`` counts as an answer, and is
        named in the message of the record.

    Raises
    ------
    ValueError
        At construction, for what cannot work.
    ImportError
        Without scikit-learn or pandas.

    Examples
    --------
    >>> from skfolio.optimization import InverseVolatility
    >>> SkfolioWeights(InverseVolatility(), lookback=252, on_failure="previous")
    SkfolioWeights(InverseVolatility(), lookback=252)
    """

    def __init__(
        self,
        estimator: Any,
        lookback: int,
        min_history: int | None = None,
        max_missing: int = 0,
        on_failure: object = "raise",
        time_limit: float | None = None,
        cutoff: float = 0.0,
    ) -> None:
        if isinstance(estimator, type) or not callable(getattr(estimator, "fit", None)):
            raise InputError(
                f"SkfolioWeights: {shown(estimator)} is not an estimator; pass an object such as "
                "skfolio.optimization.MeanRisk(), not its class"
            )
        try:
            own = _clone(estimator)
        except TypeError as error:
            raise InputError(
                f"SkfolioWeights: {shown(estimator)} cannot be cloned: {error}; pass a skfolio "
                "estimator, or use CallableWeights"
            ) from None
        rules = HistoryRules(lookback, "returns", "pandas", min_history, max_missing)
        label_steps(own)
        asking = asking_parts(own)
        self._shown = shown(estimator)
        super().__init__(
            _Fit(own, rules, asking),
            rules,
            type(estimator).__name__,
            bool(asking),
            on_failure,
            time_limit,
            cutoff,
        )

    def __repr__(self) -> str:
        """One line: estimator and look-back."""
        return f"SkfolioWeights({self._shown}, lookback={self._rules.lookback})"


def _clone(estimator: Any) -> Any:
    try:
        # Only who has an estimator to clone has scikit-learn: it comes with the extra "skfolio".
        from sklearn.base import clone  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError(
            'SkfolioWeights needs scikit-learn; run: pip install "ml4t-backtest[skfolio]"'
        ) from None
    return clone(estimator)


def _copier(estimator: Any) -> Callable[[Any], Any]:
    """Return what makes a clone of a clone: a deep copy is one, and takes a tenth of the time.

    It is none where a part says itself how it is cloned (a frozen one is not), and where callbacks
    are shared with the original. If a deep copy would leave all parameters as they are, a flat one
    does.
    """
    from sklearn.base import BaseEstimator  # noqa: PLC0415

    usual = BaseEstimator.__sklearn_clone__
    for part in (estimator, *estimator.get_params(deep=True).values()):
        own = getattr(type(part), "__sklearn_clone__", usual)
        if own is not usual or hasattr(part, "_skl_callbacks"):
            return _clone
    values = vars(estimator).values()
    is_flat = all(copy.deepcopy(value) is value for value in values)
    return copy.copy if is_flat else copy.deepcopy


def _own_fallback(model: Any) -> str:
    """Say whether it was skfolio's own fallback that answered."""
    model = getattr(model, "best_estimator_", model)
    last = model.steps[-1][1] if hasattr(model, "steps") else model
    used = getattr(last, "fallback_", None)
    return "" if used is None else f"skfolio's own fallback answered: {shown(used)}"
