"""A folder is replaced whole: the process is killed at every step, and after it all is well."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ml4t.backtest import folders
from ml4t.backtest.errors import ResultError
from ml4t.backtest.folders import check_place, find_folder, replace_folder

OLD = {"a": b"old a", "b": b"old b"}
NEW = {"a": b"new a", "b": b"new b"}
STEPS = ("_write", "_rename", "_sync_folder", "_delete")


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in find_folder(folder).iterdir()}


def killed_at(number: int, when: str, save: Callable[[], object]) -> bool:
    """Run `save` in a process that dies at its step `number`; False if there are not as many."""
    child = os.fork()
    if child == 0:
        seen = 0

        def step(plain: Callable[..., Any]) -> Callable[..., Any]:
            def run(path: Path, *rest: Any) -> None:
                nonlocal seen
                mine, seen = seen, seen + 1
                if mine == number and when == "before":
                    os._exit(9)
                if mine == number and when == "during" and plain.__name__ == "_write":
                    path.write_bytes(rest[0][:2])
                    os._exit(9)
                is_there = plain.__name__ == "_delete" and path.is_dir()
                if mine == number and when == "during" and is_there:
                    next(path.iterdir()).unlink()
                    os._exit(9)
                plain(path, *rest)
                if mine == number:
                    os._exit(9)

            return run

        for name in STEPS:
            setattr(folders, name, step(getattr(folders, name)))
        try:
            save()
            os._exit(0)
        finally:
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 9)
    return code == 9


# The child touches nothing but files, so threads that it does not inherit do not matter.
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("when", ["before", "during", "after"])
def test_a_process_that_is_killed(tmp_path: Path, when: str) -> None:
    outcomes = []
    for number in range(100):
        folder = tmp_path / f"{number}" / "run"
        replace_folder(folder, OLD, overwrite=False)
        died = killed_at(number, when, lambda at=folder: replace_folder(at, NEW, overwrite=True))
        found = content(folder)
        assert found in (OLD, NEW)
        outcomes.append(found)
        newest = {"a": b"newest", "b": b"of all"}
        with pytest.raises(ResultError, match="the folder exists"):
            replace_folder(folder, newest, overwrite=False)
        assert content(folder) == found
        replace_folder(folder, newest, overwrite=True)
        assert content(folder) == newest
        assert [path.name for path in folder.parent.iterdir()] == ["run"]
        if not died:
            break
    assert not died
    assert outcomes[0] == OLD
    assert outcomes[-1] == NEW
    assert outcomes.index(NEW) == outcomes.count(OLD)  # first old, then new, never back
    assert len(outcomes) > 8


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("when", ["before", "during", "after"])
def test_a_first_save_that_is_killed(tmp_path: Path, when: str) -> None:
    for number in range(100):
        folder = tmp_path / f"{number}" / "run"
        died = killed_at(number, when, lambda at=folder: replace_folder(at, OLD, overwrite=False))
        if find_folder(folder).exists():
            assert content(folder) == OLD
        else:
            replace_folder(folder, NEW, overwrite=False)
            assert content(folder) == NEW
            assert [path.name for path in folder.parent.iterdir()] == ["run"]
        if not died:
            break
    assert not died


@pytest.mark.parametrize("step", STEPS[:3])
@pytest.mark.parametrize("number", range(3))
def test_an_error_puts_things_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, number: int
) -> None:
    folder = tmp_path / "run"
    replace_folder(folder, OLD, overwrite=False)
    plain, calls = getattr(folders, step), []

    def fail(*args: Any) -> None:
        calls.append(args)
        if len(calls) == number + 1:
            raise OSError("the disk is full")
        plain(*args)

    monkeypatch.setattr(folders, step, fail)
    if step in ("_write", "_rename") and number == 2:
        replace_folder(folder, NEW, overwrite=True)  # has no third step of this kind
        assert content(folder) == NEW
    else:
        with pytest.raises(OSError, match="disk is full"):
            replace_folder(folder, NEW, overwrite=True)
        assert content(folder) in (OLD, NEW)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_what_is_not_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    with pytest.raises(ResultError, match="the folder exists; pass overwrite=True"):
        replace_folder(folder, NEW, overwrite=False)
    (folder / "thesis.docx").write_bytes(b"years of work")
    with pytest.raises(ResultError, match=r"also holds 'thesis\.docx'"):
        replace_folder(folder, NEW, overwrite=True)
    assert content(folder) == {"thesis.docx": b"years of work"}
    with pytest.raises(ResultError, match="this is a file"):
        replace_folder(folder / "thesis.docx", NEW, overwrite=True)
    with pytest.raises(ResultError, match="5 is not a path"):
        replace_folder(5, NEW, overwrite=True)  # type: ignore[arg-type]


def test_a_link_is_followed(tmp_path: Path) -> None:
    replace_folder(tmp_path / "real", OLD, overwrite=False)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    replace_folder(tmp_path / "link", NEW, overwrite=True)
    assert (tmp_path / "link").is_symlink()
    assert content(tmp_path / "real") == NEW


def test_a_neighbour_with_a_like_name_is_left_alone(tmp_path: Path) -> None:
    for name in ("run2", ".run2.saving-1234", "run.previous"):
        (tmp_path / name).mkdir()
    replace_folder(tmp_path / "run", OLD, overwrite=False)
    assert {path.name for path in tmp_path.iterdir()} == {
        "run",
        "run2",
        ".run2.saving-1234",
        "run.previous",
    }


def test_a_place_that_only_says_that_it_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Path.mkdir

    def mkdir(self: Path, *args: Any, **kwargs: Any) -> None:
        if self.parent == tmp_path:  # as in /proc
            raise FileNotFoundError(2, "No such file or directory", str(self))
        plain(self, *args, **kwargs)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    for place in (tmp_path / "run", tmp_path / "above" / "run"):
        with pytest.raises(ResultError) as caught:
            check_place(place, NEW, overwrite=False)
        assert str(caught.value) == (
            f"{place}: nothing can be written in {tmp_path} (No such file or directory); save to "
            "another place"
        )
    assert list(tmp_path.iterdir()) == []
