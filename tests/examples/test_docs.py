"""Every code block of the documentation, every example and every docstring example runs."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import runpy
from pathlib import Path

import pytest

import doc_pages
import ml4t.backtest
from doc_pages import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
MODULES = sorted(
    info.name for info in pkgutil.walk_packages(ml4t.backtest.__path__, "ml4t.backtest.")
)
BLOCKS = dict(
    block for page in PAGES if page not in doc_pages.PROGRAMS for block in doc_pages.blocks_of(page)
)
#: Those of docs/coming-from are run by tests/parity/test_coming_from.py.
PROGRAMS = {
    doc_pages.name_of(page): page
    for page in doc_pages.PROGRAMS
    if page not in doc_pages.COMING_FROM
}


@pytest.mark.parametrize("place", BLOCKS)
def test_block(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # it may write files
    doc_pages.run(BLOCKS[place], place)


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # it may write files
    doc_pages.run(doc_pages.program_of(PROGRAMS[name]), name)


def test_there_are_blocks() -> None:
    assert len(BLOCKS) >= 10


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_example(path: Path) -> None:
    doc_pages.skip_without_its_library(path.read_text(encoding="utf-8"))
    runpy.run_path(str(path), run_name="__main__")


@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name: str) -> None:
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    outcome = doctest.testmod(importlib.import_module(name), optionflags=flags)
    assert outcome.failed == 0
