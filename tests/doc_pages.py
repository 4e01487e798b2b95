"""The Python blocks of the documentation, and the libraries that they need."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
#: Other engines; each has a page: the same strategy in it and here.
PEERS = ("backtrader", "bt", "vectorbt", "zipline")
COMING_FROM = [DOCS / "coming-from" / f"{name}.md" for name in PEERS]
#: Pages whose blocks are one program, from top to bottom.
PROGRAMS = [DOCS / "tutorial.md", *COMING_FROM]
#: Libraries that the environment of `dev` does not have: what imports one runs where it is there.
NOT_IN_DEV = PEERS


def name_of(page: Path) -> str:
    """The path of a page in the repository."""
    return page.relative_to(ROOT).as_posix()


def blocks_of(page: Path) -> Iterator[tuple[str, str]]:
    """Every Python block of a page with its place."""
    text = page.read_text(encoding="utf-8")
    for found in BLOCK.finditer(text):
        line = text.count("\n", 0, found.start(1)) + 1
        yield f"{name_of(page)}:{line}", found.group(1)


def program_of(page: Path) -> str:
    """All blocks of a page as one program; a line has the number that it has on the page."""
    text = page.read_text(encoding="utf-8")
    lines = [""] * text.count("\n")
    for place, block in blocks_of(page):
        first = int(place.rpartition(":")[2]) - 1
        code = block.splitlines()
        lines[first : first + len(code)] = code
    return "\n".join(lines)


def skip_without_its_library(code: str) -> None:
    """Skip what imports a library that is not installed."""
    for library in NOT_IN_DEV:
        is_imported = re.search(rf"^\s*(import|from) {library}\b", code, re.MULTILINE)
        if is_imported and find_spec(library) is None:
            pytest.skip(f"{library} is not installed")


def run(code: str, place: str) -> None:
    """Run code as a script, or skip it."""
    skip_without_its_library(code)
    exec(compile(code, place, "exec"), {"__name__": "__main__"})
