"""Every console block of README and of the page on the command line shows what comes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from ml4t.backtest.cli import main

ROOT = Path(__file__).parents[2]
#: With the number of commands that there are at least.
PAGES = {"README.md": 4, "docs/command-line.md": 9}
BLOCK = re.compile(r"^```(\w+)(?: title=\"([^\"\n]+)\")?\n(.*?)^```", re.DOTALL | re.MULTILINE)


def matches(shown: str, expected: str) -> bool:
    """Whether a text is as expected; a line of three dots stands for any lines."""
    parts = [re.escape(part) for part in re.split(r"^\.\.\.\n", expected, flags=re.MULTILINE)]
    return re.fullmatch(r"(?:.*\n)*".join(parts), shown) is not None


@pytest.mark.parametrize("page", PAGES)
def test_a_page(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The blocks go on from each other; one with a title is a file beside them."""
    pytest.importorskip("plotly")
    monkeypatch.chdir(tmp_path)
    n_commands = 0
    for kind, title, text in BLOCK.findall((ROOT / page).read_text(encoding="utf-8")):
        if title:
            Path(title).write_text(text, encoding="utf-8")
        if kind != "console":
            continue
        for block in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            command, _, expected = block.partition("\n")
            name, *arguments = shlex.split(command)
            assert name == "ml4t-backtest"
            main(arguments)
            shown = capsys.readouterr()
            assert matches(shown.out + shown.err, expected), f"{command}\n{shown.out}{shown.err}"
            n_commands += 1
    assert n_commands >= PAGES[page]


def test_how_texts_match() -> None:
    assert matches("a\nb\nc\n", "a\n...\nc\n")
    assert matches("a\nc\n", "a\n...\nc\n")
    assert not matches("a\nb\nd\n", "a\n...\nc\n")
    assert not matches("a\nb\n", "a\n")
