"""The kernel a second time, as plain Python, with functions of it exchanged for others.

Compiled code cannot call a user's Python. The same source can, when it is not compiled: nothing of
it is written twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any

Function = Callable[..., Any]

_PACKAGE = __name__.rpartition(".")[0]


def plain(function: Function, exchanged: Mapping[Function, Function] | None = None) -> Function:
    """Return a function of the kernel, uncompiled, that calls other functions than it did.

    Every function of the kernel that it calls is uncompiled too, at any depth. The originals are
    not changed.

    Parameters
    ----------
    function : function of the kernel
        Compiled, or plain where there is no compiler.
    exchanged : mapping of functions of the kernel to others, optional
        What is called in their place; takes and returns the same.

    Returns
    -------
    callable
    """
    others = {_source_of(ours): other for ours, other in (exchanged or {}).items()}
    # By id: the same names mean the same functions in every function of a module.
    modules: dict[int, dict[str, Any]] = {}

    def copied(original: Any) -> Function:
        if original in others:
            return others[original]
        names = original.__globals__
        if id(names) not in modules:
            # Known before it is complete: two functions may call each other.
            modules[id(names)] = dict(names)
            for name, value in names.items():
                called = _source_of(value)
                if called is not None:
                    modules[id(names)][name] = copied(called)
        return FunctionType(
            original.__code__,
            modules[id(names)],
            original.__name__,
            original.__defaults__,
            original.__closure__,
        )

    return copied(_source_of(function))


def _source_of(value: Any) -> FunctionType | None:
    """Return the Python function behind a function of the kernel; None for anything else."""
    source = getattr(value, "py_func", value)
    is_ours = isinstance(source, FunctionType) and source.__module__.startswith(_PACKAGE)
    return source if is_ours else None
