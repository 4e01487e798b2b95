"""What optimizers give back, read as pairs of asset and weight.

Objects of other libraries are known by the attributes that they document, so that none of these
libraries is imported here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MappingView, Sequence, Set
from typing import Any, NamedTuple

import narwhals as nw
import numpy as np

from ml4t.backtest.errors import WeightsError, listed, shown, with_nearest
from ml4t.backtest.feed.frames import to_polars
from ml4t.backtest.feed.table import ASSET_COLUMNS, TIME_COLUMNS
from ml4t.backtest.numeric import is_real

#: What the input is called in messages.
WHAT = "weights"
_WEIGHT_COLUMNS = ("weight", "weights")
_TAKEN = (
    "pass a mapping of asset name to weight, a Series or frame with the assets as labels, a fitted "
    "skfolio estimator or Portfolio, a solved PyPortfolioOpt object, or an array "
    "with the assets= of as_weights"
)


def read_names(assets: object) -> tuple[str, ...]:
    """Return asset names as plain strings; raises for what is none, and for a name there twice.

    Sets are refused: they come in another order in another process. Keys come in that of their
    mapping.
    """
    if isinstance(assets, (str, bytes)) or not isinstance(assets, Iterable):
        raise WeightsError(f"{WHAT}: assets={assets!r} must be a sequence of names")
    if isinstance(assets, Set) and not isinstance(assets, MappingView):
        raise WeightsError(
            f"{WHAT}: assets= is a {type(assets).__name__}, which has no order, so nobody knows "
            "whose weight is whose; pass a list or a tuple, in the order of the weights"
        )
    names = tuple(assets)
    refuse_strange(names)
    if len(set(names)) < len(names):
        raise _there_twice(names)
    return tuple(map(str, names))


def refuse_strange(names: Iterable[object]) -> None:
    """Raise for names that are no strings."""
    strange = [name for name in names if not isinstance(name, str)]
    if strange:
        raise WeightsError(f"{WHAT}: {listed(strange)} are not asset names; names must be strings")


def read_labelled(weights: object, assets: object = None) -> dict[str, Any]:
    """Return weights by asset; whether they are numbers is still to be checked.

    Parameters
    ----------
    weights : object
        Anything that `as_weights` takes, but a mapping.
    assets : sequence of str, optional
        The names of weights that have no labels.

    Raises
    ------
    ValueError
        For what has no labels and no `assets`, for a label that is no string or is there twice,
        and for an optimizer without an answer.
    """
    if weights is None:
        raise WeightsError(
            f"{WHAT}: None is no answer; Riskfolio-Lib and cvxpy give it for a problem without a "
            "solution. Look at the status of the solver"
        )
    labels, values = _pairs_of(weights)
    if labels is None:
        if assets is None:
            raise WeightsError(
                f"{WHAT}: a {type(weights).__name__} has no labels, so nobody knows whose weight "
                "is whose; pass a mapping of asset name to weight, or name them in their order "
                "with as_weights(..., assets=[...])"
            )
        labels = read_names(assets)
    if len(labels) != len(values):
        raise WeightsError(
            f"{WHAT}: there are {len(values)} weights and {len(labels)} assets; give every asset "
            "one weight"
        )
    refuse_strange(labels)
    found = dict(zip(labels, values, strict=True))
    if len(found) < len(labels):
        raise _there_twice(labels)
    return found


def refuse_others(weights: Mapping[str, Any], assets: object) -> None:
    """Raise for weights of assets that are not among `assets`."""
    names = read_names(assets)
    others = weights.keys() - set(names)
    if others:
        raise WeightsError(
            f"{WHAT}: {with_nearest(sorted(others), names)} are not among the {len(names)} assets "
            "that were given; drop them, or give them as well"
        )


def _there_twice(names: Sequence[object]) -> WeightsError:
    twice = sorted({str(name) for name in names if names.count(name) > 1})
    return WeightsError(
        f"{WHAT}: {listed(twice)} appear more than once; give every asset one weight"
    )


#: Labels (None: there are none) and the values in their order.
_Pairs = tuple[Sequence[Any] | None, list[Any]]


def _pairs_of(weights: Any) -> _Pairs:
    if isinstance(weights, (list, tuple)):
        refuse_study(weights)
        return None, list(weights)
    if isinstance(weights, np.ndarray):
        return None, _flat(weights)
    # Before what is known by its attributes: labels of pandas are attributes too.
    if hasattr(weights, "index") and hasattr(weights, "iloc"):
        if getattr(weights, "ndim", 0) == 1:
            return list(weights.index), weights.to_numpy().tolist()
        return _of_frame(_pandas_cells(weights))
    refuse_study(weights)
    if hasattr(weights, "fit") and hasattr(weights, "get_params"):
        return _of_estimator(weights)
    if hasattr(weights, "weights") and hasattr(weights, "observations"):
        return _of_portfolio(weights)
    if hasattr(weights, "weights") and hasattr(weights, "tickers"):
        return _of_solver(weights)
    try:
        known: Any = nw.from_native(weights, allow_series=True)
    except TypeError:
        raise WeightsError(
            f"{WHAT}: a {type(weights).__name__} is not understood; {_TAKEN}"
        ) from None
    if isinstance(known, nw.Series):
        return None, known.to_list()
    return _of_frame(_polars_cells(weights))


def _flat(values: Any) -> list[Any]:
    """Return an array of one dimension as a list of plain numbers."""
    if values.ndim != 1:
        raise WeightsError(
            f"{WHAT}: an array of shape {values.shape} is no single answer; pass one dimension, "
            "one weight an asset"
        )
    found: list[Any] = values.tolist()
    return found


# --- Objects of optimizers ---------------------------------------------------------------------


def refuse_study(weights: Any) -> None:
    """Raise for what skfolio's `cross_val_predict` returns, and for other sets of portfolios."""
    if isinstance(weights, (list, tuple)):  # such as a Population
        if any(hasattr(item, "observations") for item in weights):
            raise WeightsError(
                f"{WHAT}: a {type(weights).__name__} holds {len(weights)} portfolios; pass one of "
                "them"
            )
    # What pandas has under such a name is a column.
    elif hasattr(weights, "portfolios") and hasattr(weights, "observations"):
        raise WeightsError(
            f"{WHAT}: a {type(weights).__name__} holds a portfolio for each period; make a "
            "schedule of it with ml4t.backtest.optimizers.from_cross_val_predict"
        )


def _of_estimator(model: Any) -> _Pairs:
    """Read skfolio's `weights_`; a search stands for its best model, a pipeline for its last."""
    best = getattr(model, "best_estimator_", None)
    if best is not None:
        return _of_estimator(best)
    last = model.steps[-1][1] if hasattr(model, "steps") else model
    if not hasattr(last, "weights_"):
        raise WeightsError(
            f"{WHAT}: the {type(model).__name__} has no weights_; fit it first, and note that only "
            "portfolio optimizers have them"
        )
    if last.weights_ is None:
        raise WeightsError(
            f"{WHAT}: the fit of the {type(last).__name__} failed: "
            f"{getattr(last, 'error_', None) or 'it has not said why'}"
        )
    labels = getattr(last, "feature_names_in_", None)
    if labels is None and last is not model and hasattr(model, "feature_names_in_"):
        # Steps that give arrays drop the labels, and may drop assets: they know which.
        labels = model[:-1].get_feature_names_out()
    return None if labels is None else list(labels), _flat(np.asarray(last.weights_))


def _of_portfolio(portfolio: Any) -> _Pairs:
    if hasattr(portfolio, "optimization_error"):
        raise WeightsError(
            f"{WHAT}: a {type(portfolio).__name__} holds no weights; the optimization failed: "
            f"{portfolio.optimization_error or 'it has not said why'}"
        )
    # Of an array skfolio names the assets x0, x1 ...; nobody else knows these names.
    is_labelled = hasattr(portfolio.X, "columns")
    return list(portfolio.assets) if is_labelled else None, _flat(np.asarray(portfolio.weights))


def _of_solver(solver: Any) -> _Pairs:
    """Read PyPortfolioOpt's `weights` and `tickers`, which are 0, 1 ... where it had no names."""
    if solver.weights is None:
        raise WeightsError(
            f"{WHAT}: the {type(solver).__name__} has no weights yet; call one of its methods that "
            "solve, such as min_volatility()"
        )
    labels = list(solver.tickers)
    is_labelled = labels != list(range(len(labels)))
    return labels if is_labelled else None, _flat(np.asarray(solver.weights))


# --- Frames --------------------------------------------------------------------------------------


class _Cells(NamedTuple):
    """A frame of any make; `rows` are the labels of its rows, None where its make has none."""

    columns: list[Any]
    rows: list[Any] | None
    n_rows: int
    column: Callable[[int], list[Any]]
    first_row: Callable[[], list[Any]]


def _pandas_cells(frame: Any) -> _Cells:
    def first_row() -> list[Any]:
        row: list[Any] = frame.iloc[:1].to_numpy()[0].tolist()
        return row

    return _Cells(
        columns=list(frame.columns),
        rows=list(frame.index),
        n_rows=len(frame),
        column=lambda i: frame.iloc[:, i].tolist(),
        first_row=first_row,
    )


def _polars_cells(native: object) -> _Cells:
    frame = to_polars(native, WHAT)
    return _Cells(
        columns=list(frame.columns),
        rows=None,
        n_rows=frame.height,
        column=lambda i: frame.to_series(i).to_list(),
        first_row=lambda: list(frame.row(0)),
    )


def _of_frame(cells: _Cells) -> _Pairs:
    asset = _position(cells.columns, ASSET_COLUMNS)
    weight = _position(cells.columns, _WEIGHT_COLUMNS)
    if asset is not None and weight is not None:
        _refuse_many_times(cells)
        return cells.column(asset), cells.column(weight)
    by_index = cells.rows is not None and len(cells.columns) == 1 and _are_names(cells.rows)
    by_column = cells.n_rows == 1 and _are_names(cells.columns)
    if by_index and by_column:  # one asset: which of the two labels is its name?
        by_index = _position(cells.columns, _WEIGHT_COLUMNS) is not None
        by_column = _position(cells.rows or [], _WEIGHT_COLUMNS) is not None
    if by_index and not by_column:
        return cells.rows, cells.column(0)
    if by_column and not by_index:
        return _of_row(cells)
    raise WeightsError(
        f"{WHAT}: a frame of {cells.n_rows} rows and columns {listed(cells.columns)} is not "
        "understood; pass columns asset and weight, one row with a column an asset, or one column "
        "indexed by asset (and many decisions to WeightSchedule.from_frame)"
    )


def _of_row(cells: _Cells) -> _Pairs:
    values = cells.first_row()
    kept = [
        i
        for i, name in enumerate(cells.columns)
        # The time of the row is no weight, but an asset may be called DATE.
        if name.lower() not in TIME_COLUMNS or is_real(values[i])
    ]
    return [cells.columns[i] for i in kept], [values[i] for i in kept]


def _position(names: Sequence[Any], known: tuple[str, ...]) -> int | None:
    """Return where the first of the known names is, in any case."""
    for i, name in enumerate(names):
        if isinstance(name, str) and name.lower() in known:
            return i
    return None


def _are_names(labels: list[Any]) -> bool:
    return all(isinstance(label, str) for label in labels)


def _refuse_many_times(cells: _Cells) -> None:
    time = _position(cells.columns, TIME_COLUMNS)
    if time is None:
        return
    times = list(dict.fromkeys(cells.column(time)))
    if len(times) > 1:
        raise WeightsError(
            f"{WHAT}: the frame holds {len(times)} times, {shown(str(times[0]))} and others; keep "
            "the rows of one, or pass it to WeightSchedule.from_frame"
        )
