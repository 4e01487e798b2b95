"""`check-lookahead`: leaks in a table, exit codes, and what of a user's own code goes wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest

from ml4t.backtest.cli import main

_NUMBER = count()
# Closes 10, 11, 12, 13 of A.
LONG = "date,asset,close\n2024-01-01,A,10\n2024-01-02,A,11\n2024-01-03,A,12\n2024-01-04,A,13\n"
WIDE = "date,A\n2024-01-01,10\n2024-01-02,11\n2024-01-03,12\n2024-01-04,13\n"
PIPELINES = """
import polars as pl
from ml4t.backtest import OrderType, Strategy
from ml4t.backtest.optimizers import EqualWeights

def tomorrow(prices):
    weight = (pl.col("close").shift(-1) / 1000).alias("weight")
    return prices.select("date", "asset", weight).drop_nulls()

def today(prices):
    return prices.select("date", "asset", (pl.col("close") / 1000).alias("weight"))

def of_pandas(prices):
    assert list(prices.columns) == ["A"]
    return (prices / 1000).reset_index()

def equal(prices):
    return EqualWeights()

def talks(prices):
    print("hello")
    return today(prices)

def fails(prices):
    return 1 / 0

def knows_no_gaps(prices):
    if prices.height < 8:
        raise RuntimeError("a gap")
    return today(prices)

def leaves(prices):
    raise SystemExit(1)

class Limits(Strategy):
    # A share a day, at half of tomorrow's close.

    def __init__(self, prices):
        tomorrow = pl.col("close").shift(-1).fill_null(pl.col("close"))
        limits = prices.select(time="date", limit=tomorrow / 2).to_dicts()
        self.limits = {row["time"]: row["limit"] for row in limits}

    def on_data(self, timestamp, data, context, broker):
        limit = self.limits[timestamp]
        broker.submit_order("A", 1, order_type=OrderType.LIMIT, limit_price=limit)

number = 7
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module in the current folder, beside the prices."""
    name = f"pipelines_{next(_NUMBER)}"
    (tmp_path / f"{name}.py").write_text(PIPELINES)
    (tmp_path / "long.csv").write_text(LONG)
    (tmp_path / "wide.csv").write_text(WIDE)
    monkeypatch.chdir(tmp_path)
    return name


Capture = pytest.CaptureFixture[str]


def test_a_leak(module: str, capsys: Capture) -> None:
    assert main(["check-lookahead", f"{module}:tomorrow", "long.csv"]) == 1
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    # Three of four bars have a tomorrow, whose close / 1000 is the weight.
    assert lines[0] == ("3 decisions at 3 times depend on later data, 3 of 3 decision times tried")
    assert lines[2].split() == ["decision", "time", "asset", "what", "before", "after", "changed"]
    assert [line.split()[:4] for line in lines[3:]] == [
        ["2024-01-01", "A", "weight", "0.011"],
        ["2024-01-02", "A", "weight", "0.012"],
        ["2024-01-03", "A", "weight", "0.013"],
    ]
    assert lines[3].endswith("values after 2024-01-01")
    assert shown.err == ""


def test_a_leak_in_a_limit_price(module: str, capsys: Capture) -> None:
    assert main(["check-lookahead", f"{module}:Limits", "long.csv"]) == 1
    shown = capsys.readouterr()
    rows = [line for line in shown.out.splitlines() if line.startswith("2024-01-0")]
    # Half of the closes 11, 12 and 13; the last day has nothing after it.
    for row, day, limit in zip(rows, (1, 2, 3), ("5.5", "6.0", "6.5"), strict=True):
        assert row.split()[:3] == [f"2024-01-0{day}", "A", "order"]
        assert f"limit_price {limit}" in row
        assert row.count("limit_price") == 2  # before and after
    assert shown.err == ""


def test_json(module: str, capsys: Capture) -> None:
    assert main(["check-lookahead", f"{module}:tomorrow", "long.csv", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["n_decision_times"] == 3
    assert told["tried"] == ["2024-01-01T00:00:00", "2024-01-02T00:00:00", "2024-01-03T00:00:00"]
    weights = [leak["weight_before"] for leak in told["leaks"]]
    assert weights == pytest.approx([0.011, 0.012, 0.013], rel=1e-12)
    assert told["failures"] == []


def test_what_a_pipeline_prints_is_not_in_the_json(module: str, capsys: Capture) -> None:
    assert main(["check-lookahead", f"{module}:talks", "long.csv", "--json"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["leaks"] == []
    assert "hello" in shown.err


def test_no_leak(module: str, capsys: Capture) -> None:
    assert main(["check-lookahead", f"{module}:today", "long.csv", "--samples", "2"]) == 0
    # The last bar has nothing after it.
    assert capsys.readouterr().out == "no leak found, 2 of 3 decision times tried\n"


def test_a_wide_file_for_pandas(module: str, capsys: Capture) -> None:
    pytest.importorskip("pandas")
    assert main(["check-lookahead", f"{module}:of_pandas", "wide.csv", "--frame", "pandas"]) == 0
    assert "no leak found, 3 of 3" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("config", "option", "n"),
    [
        ("schedule = 3\n", [], 1),  # bars 0 and 3, and after 3 there is nothing
        ("schedule = 'every_bar'\n", [], 3),
        ("schedule = 3\n", ["--schedule", "2"], 2),  # bars 0 and 2
        ("schedule = [2024-01-02]\n[backtest]\ninitial_cash = 500.0\n", [], 1),
    ],
)
def test_when_a_provider_is_asked(
    config: str, option: list[str], n: int, module: str, capsys: Capture
) -> None:
    Path("config.toml").write_text(config)
    command = ["check-lookahead", f"{module}:equal", "wide.csv", "--config", "config.toml"]
    assert main([*command, *option]) == 0
    assert capsys.readouterr().out == f"no leak found, {n} of {n} decision times tried\n"


def test_copies_with_which_it_raises_are_told_of(module: str, capsys: Capture) -> None:
    Path("two.csv").write_text(LONG + LONG.partition("\n")[2].replace(",A,", ",B,"))
    assert main(["check-lookahead", f"{module}:knows_no_gaps", "two.csv"]) == 0
    told = capsys.readouterr().out
    assert "nothing compared in" in told
    assert "RuntimeError: a gap" in told


BAD: dict[str, tuple[list[str], str]] = {
    "no such module": (
        ["pipelines_nowhere:today", "long.csv"],
        "build: there is no module 'pipelines_nowhere' (nearest: 'pipelines_",
    ),
    "no module:name": (["pipelines.py", "long.csv"], "is not module:name"),
    "no such name": (["{module}:todai", "long.csv"], "has no 'todai' (nearest: 'today')"),
    "no function": (["{module}:number", "long.csv"], "build: 7 is no function"),
    "no such file": (["{module}:today", "nothing.csv"], "'nothing.csv': No such file"),
    "an empty file": (["{module}:today", "empty.csv"], "'empty.csv' is empty"),
    "no such schedule": (
        ["{module}:equal", "long.csv", "--schedule", "month_ends"],
        "'month_ends' is unknown (nearest: 'month_end')",
    ),
    "no such config": (
        ["{module}:equal", "long.csv", "--config", "nothing.toml"],
        "nothing.toml: the file cannot be read (No such file or directory)",
    ),
    "it raises": (
        ["{module}:fails", "long.csv"],
        "{module}:fails raised ZeroDivisionError: division by zero, in ",
    ),
    "it leaves": (["{module}:leaves", "long.csv"], "{module}:leaves raised SystemExit: 1, in "),
    "a column is missing": (["{module}:today", "no_asset.csv"], "Rename it in the file"),
    "nothing is decided": (["{module}:equal", "long.csv"], "nothing was decided before"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case: str, module: str, capsys: Capture) -> None:
    Path("empty.csv").write_text("")
    Path("no_asset.csv").write_text("when,close\n2024-01-01,3\n")
    arguments, told = BAD[case]
    assert main(["check-lookahead", *(word.format(module=module) for word in arguments)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: ")
    assert shown.err.count("\n") == 1
    assert told.format(module=module) in shown.err


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import nothing_of_the_kind", "ModuleNotFoundError: No module named 'nothing_of"),
        ("def build(:", "SyntaxError: invalid syntax"),
        ("1 / 0", "ZeroDivisionError: division by zero, in "),
    ],
)
def test_a_module_that_cannot_be_imported(
    code: str, told: str, module: str, capsys: Capture
) -> None:
    Path(f"broken_{module}.py").write_text(code)
    assert main(["check-lookahead", f"broken_{module}:build", "long.csv"]) == 2
    shown = capsys.readouterr().err
    assert f"the import of 'broken_{module}' raised {told}" in shown
    assert shown.count("\n") == 1


def test_in_a_process_of_its_own(module: str) -> None:
    code = "import sys; from ml4t.backtest.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code, "check-lookahead", f"{module}:tomorrow", "long.csv"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "2024-01-03" in done.stdout
    assert done.stderr == ""
