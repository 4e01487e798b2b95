"""Objects of the user's own Python code, named ``module:name``."""

from __future__ import annotations

import importlib
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ml4t.backtest
from ml4t.backtest.cli.output import notes_of
from ml4t.backtest.errors import BacktestError, InputError, listed, nearest, shown

# Frames of a traceback that the user has not written.
_OTHERS = (str(Path(ml4t.backtest.__file__).parent), sysconfig.get_path("stdlib"), "<frozen")


def load_object(reference: str, what: str, folder: Path) -> Any:
    """Import an object.

    Parameters
    ----------
    reference : str
        ``module:name``; the name may have dots.
    what : str
        What the object is for, for messages.
    folder : Path
        Where its module is looked for first; then in the current folder, and where Python looks.

    Raises
    ------
    ValueError
        If there is no such module or name (with the nearest), or if the import raises.
    """
    module_name, _, name = reference.partition(":")
    parts = [*module_name.split("."), *name.split(".")]
    if not all(part.isidentifier() for part in parts):
        raise InputError(
            f"{what}: {shown(reference)} is not module:name, such as mymodule:build for build in "
            "mymodule.py"
        )
    places = list(dict.fromkeys(str(place.resolve()) for place in (folder, Path())))
    # Left there: what the module imports later on, and its worker processes, need it too.
    sys.path[:0] = [place for place in places if place not in sys.path]
    importlib.invalidate_caches()
    try:
        with users_code(f"{what}: the import of {module_name!r}"):
            found: Any = importlib.import_module(module_name)
    except InputError as error:
        cause = error.__cause__
        packages = [".".join(parts[: i + 1]) for i in range(module_name.count(".") + 1)]
        if isinstance(cause, ModuleNotFoundError) and cause.name in packages:
            there = [path.stem for place in places for path in sorted(Path(place).glob("*.py"))]
            raise InputError(
                f"{what}: there is no module {module_name!r}{nearest(module_name, there)}; it is "
                f"looked for in {listed(places)} and where Python finds packages"
            ) from None
        raise
    for part in name.split("."):
        if not hasattr(found, part):
            there = [known for known in vars(found) if not known.startswith("_")]
            raise InputError(
                f"{what}: {module_name!r} has no {name!r}{nearest(part, there)}; name something "
                "that is defined there"
            )
        found = getattr(found, part)
    return found


@contextmanager
def users_code(what: str) -> Iterator[None]:
    """Turn what the user's own code raises into an error of one line that says where.

    Parameters
    ----------
    what : str
        What raises, for the message.
    """
    try:
        yield
    except BacktestError:
        raise
    except (Exception, SystemExit) as error:  # sys.exit(1) would say that there are leaks
        text = " ".join(str(error).split())
        notes = "; ".join(notes_of(error))
        raise InputError(
            f"{what} raised {type(error).__name__}"
            + (f": {text}" * bool(text))
            + _place(error)
            + (f" ({notes})" * bool(notes))
        ) from error


def _place(error: BaseException) -> str:
    """Return the last line of the user's own that a traceback goes through."""
    if isinstance(error, SyntaxError) and error.filename:
        return ""  # whose text has it
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(_OTHERS) and "site-packages" not in frame.filename
    ]
    return f", in {own[-1].filename} line {own[-1].lineno}" if own else ""
