"""The one decorator of the kernel, and where its machine code is cached.

Numba's cache notices an edit of the function it belongs to, but not an edit of a function in
another file that was inlined into it. The cache folder therefore carries a hash of all kernel
sources (and of the record types that they read), so that code of another version is never found.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import numba

# Numba makes the names of its settings at run time.
numba_config: Any = numba.config

Function = TypeVar("Function", bound=Callable[..., object])


def _source_hash() -> str:
    """Hash every source file that decides what the compiled code does."""
    here = Path(__file__).parent
    package = here.parent
    digest = hashlib.sha256(numba.__version__.encode())
    for path in [*sorted(here.glob("*.py")), package / "records.py", package / "enums.py"]:
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _is_writable(folder: Path) -> bool:
    """Whether files can be made in a folder, which is made if need be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _cache_folder() -> Path | None:
    """Return the first writable place for compiled code, or None: then nothing is cached.

    `NUMBA_CACHE_DIR` is respected; else the user's cache folder is taken.
    """
    if numba_config.CACHE_DIR:
        roots = [Path(numba_config.CACHE_DIR)]
    else:
        home = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
        try:
            roots = [Path(home) if home else Path.home() / ".cache"]
        except RuntimeError:  # no home folder
            roots = []
    for root in roots:
        folder = root / "ml4t-backtest" / _source_hash()
        if _is_writable(folder):
            return folder
    return None


# The wrapper for callers in C takes time to compile, and there are none.
_OPTIONS: Any = {"no_cfunc_wrapper": True}
_FOLDER = None if numba_config.DISABLE_JIT else _cache_folder()


def kernel(function: Function) -> Function:
    """Compile a function on its first call, from the cache if it can be had.

    With ``NUMBA_DISABLE_JIT=1`` the plain Python function is returned. Numba's own cache setting
    is moved only while this decoration lasts, so that other libraries keep theirs.
    """
    return _compiled(function, "never")


def inlined_kernel(function: Function) -> Function:
    """Compile a function into its callers: for what is called once an order.

    A call counts every array in and out, which costs as much as a fill.
    """
    return _compiled(function, "always")


def _compiled(function: Function, inline: Literal["never", "always"]) -> Function:
    if numba_config.DISABLE_JIT:
        return function
    before = numba_config.CACHE_DIR
    numba_config.CACHE_DIR = str(_FOLDER) if _FOLDER is not None else before
    try:
        compiled: Any = numba.njit(cache=_FOLDER is not None, inline=inline, **_OPTIONS)(function)
    finally:
        numba_config.CACHE_DIR = before
    return cast(Function, compiled)
