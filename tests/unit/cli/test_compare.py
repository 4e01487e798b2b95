"""`compare`: the figures of saved results beside each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers import day, feed_of
from ml4t.backtest import BacktestConfig, run_weights
from ml4t.backtest.cli import main
from ml4t.backtest.costs import PercentCommission

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of 1000 in A, bought at 12 and worth 15: 50 shares; once with 1 % commission."""
    monkeypatch.chdir(tmp_path)
    feed = feed_of({"A": [10.0, 12.0, 15.0], "B": [1.0, 1.0, None]})
    for name, config in (
        ("free", BacktestConfig(initial_cash=1_000.0)),
        ("costly", BacktestConfig(initial_cash=1_000.0, commission=PercentCommission(0.01))),
    ):
        run_weights(feed, {day(0): {"A": 0.5}}, config).save(name)


def test_the_table(capsys: Capture) -> None:
    assert main(["compare", "free", "costly"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["free", "costly"]
    # 400 + 50 * 15, and 6 less
    assert ["Final", "equity", "1,150.00", "1,144.00"] in lines
    assert ["Commission", "0.00", "6.00"] in lines


def test_a_row_that_only_one_has(capsys: Capture) -> None:
    feed = feed_of({"A": [10.0, 12.0, 15.0]})
    run_weights(feed, {day(0): {"A": 0.5}}).save("whole")
    assert main(["compare", "whole", "free"]) == 0
    (line,) = [x for x in capsys.readouterr().out.splitlines() if x.startswith("Assets that ended")]
    assert line.split()[3:5] == ["1,", "0"]


def test_folders_of_one_name(tmp_path: Path, capsys: Capture) -> None:
    for study in ("one", "two"):
        (tmp_path / study).mkdir()
        (tmp_path / "free").rename(tmp_path / study / "run")
        (tmp_path / "costly").rename(tmp_path / "free") if study == "one" else None
    assert main(["compare", "one/run", "two/run"]) == 0
    assert capsys.readouterr().out.splitlines()[0].split() == ["one/run", "two/run"]


def test_a_page(capsys: Capture) -> None:
    pytest.importorskip("plotly")
    assert main(["compare", "free", "costly", "--html", "page.html"]) == 0
    shown = capsys.readouterr()
    assert "Final equity" in shown.out
    assert shown.err == "the page is in page.html\n"
    page = Path("page.html").read_text(encoding="utf-8")
    assert page.lower().startswith("<!doctype html")
    assert "costly returned" not in page  # 14.4 % against 15 %
    assert "free returned most" in page


@pytest.mark.parametrize(
    ("folders", "told"),
    [
        (["free"], "compare: there is only 'free'; name two results or more"),
        (["free", "../{}/free"], "compare: a folder is there twice; name different results"),
        (["free", "costly", "--html", "no/x.html"], "does not exist; make it or pass another path"),
        (["free", "nothing"], "there is no such folder; name the one that a result was saved to"),
        (
            ["free", "."],
            "the folder holds no result, not even result.json; name the one that a ",
        ),
    ],
)
def test_bad_input(folders: list[str], told: str, capsys: Capture) -> None:
    assert main(["compare", *(folder.format(Path().resolve().name) for folder in folders)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert told in shown.err
    assert shown.err.count("\n") == 1
