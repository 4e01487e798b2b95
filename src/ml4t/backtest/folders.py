"""A folder of files that is replaced as a whole, so that a crash never leaves a mix.

The protocol of `replace_folder`, for a folder ``run``:

1. Write all files into ``.run.saving-<random>`` and flush them to the disk.
2. If there is a ``run``, rename it to ``.run.previous``.
3. Rename ``.run.saving-<random>`` to ``run``.
4. Delete ``.run.previous``.

A rename happens or does not. After a crash during 1 the old folder is in place; between 2 and 3
it is ``.run.previous``, which `find_folder` falls back to; after 3 the new one is in place. The
next `replace_folder` puts back or clears away whatever a crash has left.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from ml4t.backtest.errors import ResultError, listed, shown


def find_folder(folder: str | os.PathLike[str]) -> Path:
    """Return where the files of a folder are: there, or aside if a crash has left them so."""
    path = _absolute(folder)
    try:
        return _aside(path) if not path.exists() and _aside(path).is_dir() else path
    except OSError as error:  # a name that is too long, a folder above it that is locked
        raise ResultError(
            f"{shown(str(path))}: the folder cannot be reached ({error.strerror}); pass another one"
        ) from None


def replace_folder(
    folder: str | os.PathLike[str],
    files: Mapping[str, bytes],
    overwrite: bool,
    may_go: Callable[[str], bool] = lambda name: False,
) -> None:
    """Make a folder of these files, or put them in the place of those that it has.

    Parameters
    ----------
    folder : str or path
        A link is followed; folders above it are made.
    files : mapping of file name to content
        A folder that holds a file of another name is not replaced, unless that may go.
    overwrite : bool
        False: a folder that exists is an error.
    may_go : callable
        Whether a file of this name, which is not in `files`, may be replaced by nothing.

    Raises
    ------
    ValueError
        If the folder exists and must not be replaced. Nothing has changed then.
    """
    path = check_place(folder, files, overwrite, may_go)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResultError(
            f"{path}: the folder above it cannot be made ({error.strerror}); save to another place"
        ) from None
    saving = _make_saving(path.parent, path)
    try:
        for name, content in files.items():
            _write(saving / name, content)
        _sync_folder(saving)
        if path.exists():
            _rename(path, _aside(path))
        _rename(saving, path)
    except BaseException:
        # Not a crash: this process lives and can put things back itself.
        _clear_up(path)
        raise
    _delete(_aside(path))


def check_place(
    folder: str | os.PathLike[str],
    files: Iterable[str],
    overwrite: bool,
    may_go: Callable[[str], bool] = lambda name: False,
) -> Path:
    """Return where a folder of these files would go; raises where `replace_folder` would refuse.

    What a crash has left there is put back or cleared away; nothing else changes.
    """
    if not isinstance(overwrite, bool):
        raise ResultError(f"overwrite={shown(overwrite)} is not True or False")
    path = _absolute(folder)
    _clear_up(path)
    if os.path.lexists(path):
        _check_replaceable(path, files, overwrite, may_go)
    above = next(place for place in path.parents if os.path.lexists(place))
    if not above.is_dir():
        raise ResultError(
            f"{path}: the folder above it cannot be made, since {above} is a file; save to another "
            "place"
        )
    if not os.access(above, os.W_OK | os.X_OK):
        raise ResultError(f"{path}: nothing can be written in {above}; save to another place")
    _make_saving(above, path).rmdir()  # not every place that says so can be written
    return path


def _make_saving(parent: Path, path: Path) -> Path:
    """Make the folder in which the files for `path` are put together."""
    saving = parent / f".{path.name}.saving-{secrets.token_hex(4)}"
    try:
        saving.mkdir()
    except OSError as error:
        raise ResultError(
            f"{path}: nothing can be written in {parent} ({error.strerror}); save to another place"
        ) from None
    return saving


def _check_replaceable(
    path: Path, files: Iterable[str], overwrite: bool, may_go: Callable[[str], bool]
) -> None:
    if not path.is_dir():
        raise ResultError(f"{path}: this is a file, not a folder; save to another place")
    if not overwrite:
        raise ResultError(
            f"{path}: the folder exists; pass overwrite=True to replace the result in it, or save "
            "to another one"
        )
    others = {entry.name for entry in path.iterdir()} - set(files)
    foreign = sorted(name for name in others if not may_go(name))
    if foreign:
        raise ResultError(
            f"{path}: the folder also holds {listed(foreign)}, which are not of a result and would "
            "be lost; save to another one"
        )


def _clear_up(path: Path) -> None:
    """Undo or finish what a save that did not end has left."""
    if not path.parent.is_dir():
        return
    aside = _aside(path)
    if aside.is_dir():
        if path.exists():
            _delete(aside)
        else:
            _rename(aside, path)
    # Compared as plain text: a name may hold characters that a pattern would read.
    for entry in list(path.parent.iterdir()):
        if entry.name.startswith(f".{path.name}.saving-"):
            _delete(entry)


def _absolute(folder: str | os.PathLike[str]) -> Path:
    try:
        return Path(os.path.realpath(os.fspath(folder)))
    except (TypeError, ValueError):  # a ValueError is one about a zero byte
        raise ResultError(
            f"folder={shown(folder)} is not a path; pass a string or a Path"
        ) from None


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.previous")


def _write(path: Path, content: bytes) -> None:
    """Write a file that is on the disk when this returns."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _rename(old: Path, new: Path) -> None:
    """Rename a folder, on the disk when this returns."""
    old.rename(new)
    _sync_folder(new.parent)


def _sync_folder(path: Path) -> None:
    """Flush the names in a folder to the disk, where a system can do that (Windows cannot)."""
    if os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _delete(path: Path) -> None:
    """Delete a folder with its files, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
