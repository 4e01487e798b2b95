"""What every settings class has in common: frozen, strict, and clear about what it refuses."""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Annotated, Any, Literal, Self, Union, get_args, get_origin

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from ml4t.backtest.errors import ConfigError, shown, unknown_name

_BOUNDS = (("gt", ">"), ("ge", ">="), ("lt", "<"), ("le", "<="))
_KINDS = {float: "a finite number", int: "a whole number", str: "a string", type(None): "None"}


class Settings(BaseModel):
    """Frozen, strict about names, and numbers are not made from strings or bools."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ConfigError(_explained(type(self), values, error)) from None

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return the settings with some fields changed, checked as when they are made.

        Parameters
        ----------
        update : mapping, optional
            Fields and their new values.
        deep : bool
            Settings never change, so that there is nothing to copy deeply.

        Raises
        ------
        ValueError
            For a value out of range and for an unknown name.
        """
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return type(self)(**fields | dict(update or {}))

    @model_validator(mode="before")
    @classmethod
    def _plain_numbers(cls, values: Any) -> Any:
        """Take numpy's numbers for what they are."""
        if isinstance(values, dict):
            return {k: v.item() if isinstance(v, np.generic) else v for k, v in values.items()}
        return values


def _explained(cls: type[BaseModel], values: dict[str, Any], error: ValidationError) -> str:
    """Return one line for each field that is refused: its name, its value, what is allowed."""
    # A field that takes one of several classes has an error for each; a dict keeps one line.
    lines = dict.fromkeys(_line(cls, values, found) for found in error.errors())
    return "\n".join(f"{cls.__name__}: {line}" for line in lines)


def _line(cls: type[BaseModel], values: dict[str, Any], found: ErrorDetails) -> str:
    if not found["loc"]:  # a rule about several fields, which words its own message
        return str(found.get("ctx", {}).get("error", found["msg"]))
    name = str(found["loc"][0])
    if name not in cls.model_fields:
        return unknown_name(name, cls.model_fields)
    if found["type"] == "value_error":  # a check of our own, which words its own message
        return str(found["ctx"]["error"])
    field = cls.model_fields[name]
    return (
        f"{name}={shown(values[name])} is not allowed; pass {_allowed(field.annotation, [field])}"
    )


def _allowed(annotation: Any, limits: Iterable[Any] = ()) -> str:
    """Describe the values of an annotation in words, with the limits that it carries."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _allowed(parts[0], parts[1:])
    if origin is Literal:
        return " or ".join(map(repr, parts))
    if origin in (Union, types.UnionType):
        return " or ".join(_allowed(part) for part in parts)
    if annotation is bool:
        return "True or False"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " or ".join(repr(member.value) for member in annotation)
    words = _KINDS.get(annotation) or f"a {annotation.__name__}"
    bounds = [
        f"{sign} {str(getattr(rule, key)).removesuffix('.0')}"
        for limit in limits
        for rule in (limit.metadata if isinstance(limit, FieldInfo) else [])
        for key, sign in _BOUNDS
        if hasattr(rule, key)
    ]
    return " ".join([words, " and ".join(bounds)]).strip()
