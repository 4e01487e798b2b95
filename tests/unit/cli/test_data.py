"""`data check`: faults with their first rows, late starters, early ends, gaps."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ml4t.backtest.cli import main

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def checked(text: str, capsys: Capture) -> tuple[int, list[str]]:
    Path("prices.csv").write_text(text)
    code = main(["data", "check", "prices.csv"])
    shown = capsys.readouterr()
    assert shown.err == ""
    return code, shown.out.splitlines()


def test_a_clean_file(capsys: Capture) -> None:
    assert checked("date,A,B\n2024-01-01,1,2\n2024-01-02,1,2\n", capsys) == (
        0,
        [
            "wide: 2 rows, 2 columns of closes",
            "2 assets, 2 times, 2024-01-01 to 2024-01-02, 4 bars",
            "no faults",
        ],
    )


def test_what_is_no_fault(capsys: Capture) -> None:
    # B begins on the second day, C has no bar on the second and third, A ends on the third.
    text = "date,A,B,C,D\n2024-01-01,1,,3,\n2024-01-02,1,2,,\n2024-01-03,1,2,,\n2024-01-04,,2,3,\n"
    code, lines = checked(text, capsys)
    assert code == 0
    assert lines == [
        "wide: 4 rows, 4 columns of closes",
        "4 assets, 4 times, 2024-01-01 to 2024-01-04, 8 bars",
        "without any bar: 'D'",
        "",
        "begin late: 1 of 4 assets",
        "  asset  first bar",
        "  B      2024-01-02",
        "",
        "end early, so the feed infers that they have ended: 1 of 4 assets",
        "  asset  last bar",
        "  A      2024-01-03",
        "",
        "miss bars in between: 1 of 4 assets",
        "  asset  first gap   bars missing",
        "  C      2024-01-02             2",
        "no faults",
    ]


def test_faults(capsys: Capture) -> None:
    rows = ["2024-01-02,A,2,1,1,-5,x", "2024-01-01,A,2,1,-1,5,x", "2024-01-01,B,1,2,1,5,x"]
    code, lines = checked("\n".join(["date,asset,high,low,close,volume,note", *rows]), capsys)
    assert code == 1
    assert lines == [
        "long: 3 rows; columns read: date, asset, high, low, close, volume",
        "columns not read: note",
        "the rows are not in the order of time; the feed sorts them",
        "fault: zero or negative prices: 1",
        "  2024-01-01 00:00:00 A high=2 low=1 close=-1",
        "  Make them NaN where there was no trade",
        "fault: high < low: 1",
        "  2024-01-01 00:00:00 B high=1 low=2",
        "  See whether columns are swapped",
        "fault: open or close outside [low, high]: 1",
        "  2024-01-01 00:00:00 A high=2 low=1 close=-1",
        "  See whether some columns are adjusted for splits and others are not",
        "fault: negative volume: 1",
        "  2024-01-02 00:00:00 A volume=-5",
        "  It is taken as 0 where it is let through",
        "2 assets, 2 times, 2024-01-01 to 2024-01-02, 3 bars",
        "",
        "end early, so the feed infers that they have ended: 1 of 2 assets",
        "  asset  last bar",
        "  B      2024-01-01",
    ]


def test_faults_that_leave_no_bars_to_look_at(capsys: Capture) -> None:
    code, lines = checked("date,asset,close\n2024-01-01,A,1\n2024-01-01,A,2\n", capsys)
    assert code == 1
    assert lines == [
        "long: 2 rows; columns read: date, asset, close",
        "fault: duplicate (time, asset), pairs that appear more than once: 1",
        "  2024-01-01 A",
        "  Drop the duplicates",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("date,close\n2024-01-01,1\n", "fault: prices: no column symbol or asset or ticker; col"),
        ("date,assets,close\n2024-01-01,A,1\n", "Rename it in the file"),
        ("date,asset,close\n", "fault: prices: the frame has no rows"),
        ("date,A\n2024-01-01,\n", "fault: not one close is a finite number"),
        ("date,A\nsoon,1\n", "fault: close: time column 'date' holds 'soon', which cannot be read"),
    ],
)
def test_a_file_without_prices(text: str, told: str, capsys: Capture) -> None:
    code, lines = checked(text, capsys)
    assert code == 1
    assert told in lines[-1]


@pytest.mark.parametrize("content", [None, "", "{}", "PAR1"])
def test_a_file_that_cannot_be_read(content: str | None, capsys: Capture) -> None:
    if content is not None:
        Path("prices.csv").write_text(content)
    assert main(["data", "check", "prices.csv"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: prices: ")
    assert shown.err.count("\n") == 1


def test_ten_of_many(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"N{i:02}" for i in range(13)]
    # All but the first begin on the second day.
    first = ",".join(["1"] + [""] * 12)
    Path("prices.csv").write_text(
        f"date,{','.join(names)}\n2024-01-01,{first}\n2024-01-02,{','.join('1' * 13)}\n"
    )
    # A terminal on the error stream gets a spinner, the answer is the same.
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main(["data", "check", "prices.csv"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "begin late: 12 of 13 assets" in lines
    assert "  N10    2024-01-02" in lines
    assert "  N11    2024-01-02" not in lines
    assert "  and 2 more" in lines


def test_one_of_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "p.csv").write_text("date,A\n2024-01-01,10\n")
    assert main(["data", "check", str(tmp_path / "p.csv")]) == 0
    assert capsys.readouterr().out.splitlines()[:2] == [
        "wide: 1 row, 1 column of closes",
        "1 asset, 1 time, 2024-01-01 to 2024-01-01, 1 bar",
    ]
