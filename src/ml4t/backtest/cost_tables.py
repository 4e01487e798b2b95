"""Cost models as plain values, as a saved result and a file of settings hold them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, NoReturn, get_args

from ml4t.backtest.costs import Costs
from ml4t.backtest.enums import CostKind
from ml4t.backtest.errors import ConfigError, CostModelError, listed, nearest, shown, unknown_name

_PYTHON = str(CostKind.PYTHON)


@dataclass(frozen=True)
class SavedModel:
    """What a saved result knows of a cost model that was written in Python; it computes nothing.

    Parameters
    ----------
    name : str
        Module and class of the model.
    repr : str
        How the model wrote itself.
    """

    name: str
    repr: str

    def commission(self, asset: str, quantity: float, notional: float) -> float:
        """Raise: only the name of the model is known."""
        self._refuse()

    def fill_price(self, asset: str, quantity: float, price: float) -> float:
        """Raise: only the name of the model is known."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise CostModelError(
            f"the cost model {self.repr} of class {self.name} was written in Python, and a saved "
            "result holds its name only; make it anew and put it into the config: "
            "config.model_copy(update={...})"
        )


def python_table(model: object) -> dict[str, str]:
    """Return what can be written down of a cost model that is written in Python.

    Parameters
    ----------
    model : object
        A user's own commission or slippage model, or what a saved result knows of one.

    Returns
    -------
    dict
        Kind "python", the module and class of the model, and its `repr`.
    """
    if isinstance(model, SavedModel):
        return {"kind": _PYTHON, "name": model.name, "repr": model.repr}
    cls = type(model)
    name = f"{cls.__module__}.{cls.__qualname__}"
    return {"kind": _PYTHON, "name": name, "repr": repr(model)}


def costs_to_tables(costs: Costs) -> dict[str, dict[str, Any]]:
    """Return both cost models as plain values.

    Parameters
    ----------
    costs : Costs

    Returns
    -------
    dict
        "commission" and "slippage": the `kind` of each and its numbers; for a model that is
        written in Python see `python_table`.
    """
    tables: dict[str, dict[str, Any]] = {}
    for name in ("commission", "slippage"):
        model: Any = getattr(costs, name)
        if name in costs.own_models:
            tables[name] = dict(python_table(model))
            continue
        numbers = {part.name: getattr(model, part.name) for part in fields(model)}
        tables[name] = {"kind": str(model.kind)} | {
            key: None if value is None else float(value) for key, value in numbers.items()
        }
    return tables


def refuse_python(where: str, table: object) -> None:
    """Raise `ValueError` for a table of a model that is written in Python: it is not in there."""
    kind = table.get("kind") if isinstance(table, Mapping) else None
    if isinstance(kind, str) and kind == _PYTHON:
        raise ConfigError(
            f"{where}: kind={_PYTHON!r} is a model that no text holds; leave it out and put the "
            f"model into the config: config.model_copy(update={{{where!r}: model}})"
        )


def cost_from_table(where: str, table: object, models: Any) -> Any:
    """Return the cost model that a table describes, the inverse of `costs_to_tables`.

    Parameters
    ----------
    where : str
        The name of the table, for messages.
    table : object
        A mapping with a `kind` and what else this kind has.
    models : union of classes
        `Commission` or `Slippage`.

    Returns
    -------
    A commission or slippage model; a `SavedModel` for one that was written in Python.

    Raises
    ------
    ValueError
        If it is no such table.
    """
    kinds = {str(model.kind): model for model in get_args(models)}
    if not isinstance(table, Mapping) or "kind" not in table:
        raise ConfigError(
            f"{where}={shown(table)} is not a table with a kind; the kinds are {listed(kinds, 99)}"
        )
    kind, values = table["kind"], {k: v for k, v in table.items() if k != "kind"}
    if isinstance(kind, str) and kind == _PYTHON:
        kinds[_PYTHON] = SavedModel
    if not isinstance(kind, str) or kind not in kinds:
        raise ConfigError(
            f"{where}: kind={shown(kind)} is unknown{nearest(str(kind), kinds)}; the kinds are "
            f"{listed(kinds, 99)}"
        )
    model = kinds[kind]
    known = [part.name for part in fields(model)]
    for name in values:
        if name not in known:
            raise ConfigError(f"{where}: {unknown_name(name, known)}")
    try:
        return model(**values)
    except TypeError:
        raise ConfigError(
            f"{where}: kind={kind!r} needs {listed(known, 99)}; there is "
            f"{listed(values, 99) or 'nothing'}"
        ) from None
