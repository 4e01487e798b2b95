"""Which parts of an estimator ask what is held, and how they are told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_PARAMETER = "previous_weights"
#: What a search may call that which it tries.
_TRIED = ("param_grid", "param_distributions")


def asking_parts(estimator: Any) -> tuple[str, ...]:
    """Return the parameters to set: those of every part whose answer depends on what is held.

    Where one candidate of a search asks, all of them are to be told. Versions of skfolio that do
    not tell whether an estimator asks are given the weights in any case.

    Parameters
    ----------
    estimator : scikit-learn estimator

    Returns
    -------
    tuple of str
        Names as `set_params` takes them. A candidate may have some that the estimator itself, which
        it stands in for, has not.
    """
    parameters = estimator.get_params(deep=True)
    found = dict[str, None]()
    for name in parameters:
        path, _, last = name.rpartition("__")
        owner = parameters[path] if path else estimator
        if last == _PARAMETER and getattr(owner, "needs_previous_weights", True):
            found[name] = None
        if last in _TRIED and f"{path}__estimator".removeprefix("__") in parameters:
            for candidate in _candidates(owner.estimator, parameters[name]):
                for part in asking_parts(candidate):
                    found[f"{path}__estimator__{part}".removeprefix("__")] = None
    return tuple(found)


def tell(model: Any, parts: tuple[str, ...], held: Mapping[str, float]) -> None:
    """Set what is held, in the model itself and in the estimators that its searches try.

    Parameters
    ----------
    model : scikit-learn estimator
        A copy that nobody else has; changed.
    parts : tuple of str
        From `asking_parts`.
    held : mapping of asset to weight
    """
    parameters = model.get_params(deep=True)
    model.set_params(**{name: held for name in parts if name in parameters})
    for place, value in _tried_estimators(parameters):
        there = value.get_params(deep=True)
        own = [name.removeprefix(place) for name in parts if name.startswith(place)]
        value.set_params(**{name: held for name in own if name in there})


def label_steps(estimator: Any) -> None:
    """Let the steps of pipelines hand frames on: without names nobody knows what is held of whom.

    Parameters
    ----------
    estimator : scikit-learn estimator
        Changed, with the estimators that its searches try.
    """
    parameters = estimator.get_params(deep=True)
    roots = [estimator, *(value for _, value in _tried_estimators(parameters))]
    for root in roots:
        for part in (root, *root.get_params(deep=True).values()):
            if _is_estimator(part):
                for _, step in getattr(part, "steps", ()):
                    _label(step)
    for root in roots[1:]:  # it may stand in for a step
        _label(root)


def _label(part: Any) -> None:
    from sklearn.base import BaseEstimator  # noqa: PLC0415

    # One that is not cloned, such as a frozen one, is the user's own.
    usual = BaseEstimator.__sklearn_clone__
    is_own = getattr(type(part), "__sklearn_clone__", usual) is usual
    if is_own and hasattr(part, "set_output") and not hasattr(part, "steps"):
        part.set_output(transform="pandas")


def _tried_estimators(parameters: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the estimators among what searches try, with the place where they are put."""
    for name, tried in parameters.items():
        path, _, last = name.rpartition("__")
        if last in _TRIED:
            for grid in _grids(tried):
                for key, values in grid.items():
                    for value in _listed(values):
                        if _is_estimator(value):
                            yield f"{path}__estimator__{key}__".removeprefix("__"), value


def _candidates(estimator: Any, tried: Any) -> Iterator[Any]:
    """Yield copies of what a search tries, so many that each value is in one of them.

    Not all combinations: whether one asks what is held is a matter of single values.
    """
    from sklearn.base import clone  # noqa: PLC0415

    for grid in _grids(tried):
        choices = {key: _listed(values) for key, values in grid.items()}
        if not all(choices.values()):
            continue  # which the search refuses
        first = {key: values[0] for key, values in choices.items()}
        others = [first | {key: value} for key, all_ in choices.items() for value in all_[1:]]
        for settings in (first, *others):
            try:
                yield clone(estimator).set_params(**settings)
            except (TypeError, ValueError):  # no parameter of it, which the search says better
                continue


def _grids(tried: Any) -> list[Mapping[str, Any]]:
    grids = [tried] if isinstance(tried, Mapping) else tried
    return [grid for grid in grids if isinstance(grid, Mapping)]


def _listed(values: Any) -> list[Any]:
    """Return the values to try; of a distribution one that it gives, whatever its random state."""
    if hasattr(values, "rvs"):
        return [values.rvs(random_state=0)]
    return list(values)


def _is_estimator(value: Any) -> bool:
    return hasattr(value, "get_params") and not isinstance(value, type)
