"""`run`: from a config file to a saved result, and every way in which the file can be wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import count
from pathlib import Path

import polars as pl
import pytest

from ml4t.backtest import BacktestResult
from ml4t.backtest.cli import main

_NUMBER = count()
Capture = pytest.CaptureFixture[str]

# Without opens an order fills at the close of the bar after its decision.
PRICES = "date,A,B\n2024-01-01,10,5\n2024-01-02,12,5\n2024-01-03,15,5\n"
WEIGHTS = "date,A\n2024-01-01,0.5\n"
# 0.5 * 1000 / 10 = 50 shares, bought at 12: cash 400. At 15 the account is worth 400 + 750.
EQUITY = 1_150.0
CONFIG = """\
prices = "prices.csv"
weights = "weights.csv"
output = "out"
[backtest]
initial_cash = 1000.0
"""
PROVIDERS = """
from ml4t.backtest.optimizers import CallableWeights, FixedWeights

half = FixedWeights({"A": 0.5})

class Half(FixedWeights):
    def __init__(self):
        super().__init__({"A": 0.5})

def make():
    return half

def needs(cash):
    return half

def none():
    return None

def fails():
    raise RuntimeError("not today")

def bad_fit(history):
    raise RuntimeError("no solution")

solver = CallableWeights(bad_fit, lookback=2)
elsewhere = FixedWeights({"Z": 0.5})
number = 3
"""


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all that a run needs; the current folder is another one."""
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "prices.csv").write_text(PRICES)
    (folder / "weights.csv").write_text(WEIGHTS)
    (folder / "config.toml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    return folder


def run_it(config: str, *options: str) -> int:
    Path("study/config.toml").write_text(config)
    return main(["run", "study/config.toml", *options])


def refused(capsys: Capture) -> str:
    """Return the one line of an error; nothing else was said."""
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: ")
    assert shown.err.count("\n") == 1
    return shown.err


def figure(label: str, text: str) -> str:
    (line,) = [line for line in text.splitlines() if line.startswith(f"{label}  ")]
    return line.removeprefix(label).strip()


def test_weights(study: Path, capsys: Capture) -> None:
    assert main(["run", "study/config.toml"]) == 0
    shown = capsys.readouterr()
    assert figure("Final equity", shown.out) == "1,150.00"
    assert shown.err == f"saved in {Path('study/out')}\n"
    result = BacktestResult.load(study / "out")
    assert result.metrics["final_equity"] == EQUITY
    assert result.config.initial_cash == 1_000.0


def test_quietly_and_without_an_output(study: Path, capsys: Capture) -> None:
    before = sorted(path.name for path in study.iterdir())
    assert run_it(CONFIG.replace('output = "out"\n', ""), "--quiet") == 0
    shown = capsys.readouterr()
    assert "1,150.00" in shown.out
    assert shown.err == ""
    assert sorted(path.name for path in study.iterdir()) == before


LONG = "date,asset,weight,note\n2024-01-01,A,0.5,x\n"


@pytest.mark.parametrize("make", ["wide.parquet", "long.csv", "long.parquet", "german.csv"])
def test_whatever_a_library_wrote(make: str, study: Path, capsys: Capture) -> None:
    long = pl.DataFrame({"date": ["2024-01-01"], "asset": ["A"], "weight": [0.5]}).with_columns(
        pl.col("date").str.to_date()
    )
    if make == "wide.parquet":
        long.rename({"weight": "A"}).drop("asset").write_parquet(study / make)
    elif make == "long.parquet":
        long.write_parquet(study / make)
    else:
        text = LONG if make == "long.csv" else "Datum;A\n01.01.2024;0,5\n".replace("Datum", "date")
        (study / make).write_text(text)
    assert run_it(CONFIG.replace("weights.csv", make)) == 0
    assert figure("Final equity", capsys.readouterr().out) == "1,150.00"


def test_long_prices_with_opens(study: Path, capsys: Capture) -> None:
    # Bought at the open of the second day, 11: cash 450, and 450 + 50 * 15 = 1200 at the end.
    rows = ["2024-01-01,A,9,10", "2024-01-02,A,11,12", "2024-01-03,A,14,15"]
    (study / "prices.csv").write_text("\n".join(["date,asset,open,close", *rows]))
    assert main(["run", "study/config.toml"]) == 0
    assert figure("Final equity", capsys.readouterr().out) == "1,200.00"


def test_the_account_is_as_the_table_says(study: Path, capsys: Capture) -> None:
    more = '[backtest.commission]\nkind = "percent"\nrate = 0.01\n'
    assert run_it(CONFIG + more) == 0
    # 1 % of 50 * 12
    shown = capsys.readouterr().out
    assert figure("Commission", shown) == "6.00"
    assert figure("Final equity", shown) == "1,144.00"


def test_a_time_that_is_no_bar(study: Path, capsys: Capture) -> None:
    (study / "weights.csv").write_text("date,A\n2023-12-31,0.5\n2024-01-01,0.5\n")
    assert main(["run", "study/config.toml"]) == 2
    assert 'move them on with align="next"' in refused(capsys)
    # Both move to the first bar, and the later one is traded.
    assert run_it('align="next"\n' + CONFIG) == 0
    shown = capsys.readouterr()
    assert figure("Final equity", shown.out) == "1,150.00"
    assert shown.err.startswith("warning: weights: 1 rows are not used")


def test_prices_that_make_no_sense(study: Path, capsys: Capture) -> None:
    (study / "prices.csv").write_text(PRICES.replace(",15,5", ",15,-5"))
    assert main(["run", "study/config.toml"]) == 2
    told = refused(capsys)
    assert "zero or negative prices: 1" in told
    assert told.rstrip().endswith('checks="warn"')
    assert run_it('checks="warn"\n' + CONFIG) == 0
    shown = capsys.readouterr()
    assert figure("Final equity", shown.out) == "1,150.00"
    assert "zero or negative prices: 1" in shown.err


def test_a_result_that_is_there(study: Path, capsys: Capture) -> None:
    assert main(["run", "study/config.toml"]) == 0
    before = {path.name: path.read_bytes() for path in (study / "out").iterdir()}
    capsys.readouterr()
    assert run_it(CONFIG.replace("1000", "2000")) == 2
    assert "the folder exists; pass --overwrite to replace the result" in refused(capsys)
    assert {path.name: path.read_bytes() for path in (study / "out").iterdir()} == before
    assert run_it(CONFIG.replace("1000", "2000"), "--overwrite") == 0
    assert BacktestResult.load(study / "out").config.initial_cash == 2_000.0


# ---------------------------------------------------------------------- providers


@pytest.fixture
def providers(study: Path) -> str:
    """The name of a module beside the config, of whose folder Python knows nothing."""
    name = f"providers_{next(_NUMBER)}"
    (study / f"{name}.py").write_text(PROVIDERS)
    return name


def of_provider(provider: str, *lines: str) -> str:
    config = CONFIG.replace('weights = "weights.csv"', f'provider = "{provider}"')
    return "\n".join([*lines, config])


@pytest.mark.parametrize("name", ["half", "Half", "make"])
@pytest.mark.parametrize("schedule", ["[2024-01-01]", "[2023-12-31, 2024-01-01]", "3"])
def test_a_provider(name: str, schedule: str, providers: str, capsys: Capture) -> None:
    # Asked at the first bar only: by its date, by two that mean it, or every third bar of 3.
    assert run_it(of_provider(f"{providers}:{name}", f"schedule = {schedule}")) == 0
    shown = capsys.readouterr().out
    assert figure("Final equity", shown) == "1,150.00"
    assert figure("Provider asked", shown) == "1 ok"


def test_a_provider_is_asked_at_month_ends_if_nothing_is_said(
    providers: str, capsys: Capture
) -> None:
    assert run_it(of_provider(f"{providers}:half")) == 0
    # The three bars are of one month, whose end is not among them.
    assert figure("Rebalances", capsys.readouterr().out) == "0 requested, 0 executed"


def test_progress_where_somebody_looks(
    providers: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert run_it(of_provider(f"{providers}:half", "schedule = 1")) == 0
    assert "decisions" in capsys.readouterr().err


BAD_PROVIDERS = {
    "needs": "cannot be made without arguments (missing a required argument: 'cash')",
    "none": "is None, which has no get_weights(data, broker)",
    "number": "is 3, which has no get_weights(data, broker)",
    "halff": "has no 'halff' (nearest: 'half'",
    "fails": "raised RuntimeError: not today, in ",
    "solver": "; set on_failure where your module makes it, to say what is to be done then",
    "elsewhere": "drop them or add their prices; FixedWeights failed at 2024-01-03",
}


@pytest.mark.parametrize("name", BAD_PROVIDERS)
def test_a_provider_that_is_none(name: str, study: Path, providers: str, capsys: Capture) -> None:
    assert run_it(of_provider(f"{providers}:{name}", "schedule = [2024-01-03]")) == 2
    told = refused(capsys)
    assert BAD_PROVIDERS[name] in told
    assert not (study / "out").exists()
    if "RuntimeError" in told:  # and where
        assert f"{providers}.py line " in told


# ---------------------------------------------------------------------- bad input

BAD_CONFIGS: dict[str, tuple[str, str]] = {
    "a misspelt key": ('price = "p.csv"', "config.toml: price is unknown (nearest: 'prices')"),
    "a key of the account at the top": (
        "initial_cash = 5.0",
        "initial_cash is a setting of the account; write it under [backtest]",
    ),
    "a misspelt setting": (
        CONFIG + "initial_csh = 5.0",
        "[backtest]: BacktestConfig: initial_csh is unknown (nearest: 'initial_cash')",
    ),
    "a misspelt rule": (
        CONFIG + "[backtest.rebalance]\nmin_trade_valu = 5.0",
        "[backtest]: RebalanceConfig: min_trade_valu is unknown (nearest: 'min_trade_value')",
    ),
    "a misspelt cost": (
        CONFIG + '[backtest.commission]\nkind = "percnt"',
        "'percnt' is unknown (nearest: 'percent')",
    ),
    "a misspelt table": (
        CONFIG + "[backtest.rebalanc]\nlot_size = 5",
        "rebalanc is unknown (nearest: 'rebalance')",
    ),
    "a value out of range": (
        CONFIG.replace("1000.0", "-1.0"),
        "initial_cash=-1.0 is not allowed; pass a finite number > 0",
    ),
    "a table that is none": ("backtest = 3", "backtest=3 is no table; write [backtest]"),
    "a Python cost model": (
        CONFIG + '[backtest.commission]\nkind = "python"',
        "commission",
    ),
    "no prices": ('weights = "weights.csv"', 'there are no prices; write prices = "prices.csv"'),
    "prices that are no text": ("prices = 3", "prices=3 is no text; write it in quotes"),
    "an empty name": ('prices = " "', "prices=' ' is no text; write it in quotes"),
    "neither weights nor provider": ('prices = "p.csv"', "neither weights nor a provider"),
    "weights and a provider": ('provider = "a:b"\n' + CONFIG, "there are both of them"),
    "weights and a schedule": ('schedule = "month_end"\n' + CONFIG, "weights have times of their"),
    "a provider and align": (of_provider("a:b", 'align = "next"'), "a provider has none; remove"),
    "a misspelt schedule": (
        of_provider("a:b", 'schedule = "month_ends"'),
        "'month_ends' is unknown (nearest: 'month_end'); there are every_bar",
    ),
    "a schedule of nothing": (of_provider("a:b", "schedule = []"), "there are no dates"),
    "a schedule of zero": (of_provider("a:b", "schedule = 0"), "must be an integer of 1 or more"),
    "a schedule that is true": (of_provider("a:b", "schedule = true"), "schedule: True is none"),
    "a misspelt align": ('align = "nxt"', "align='nxt' is unknown (nearest: 'next')"),
    "a number as checks": ("checks = 3", "checks=3 is unknown; there are raise, warn"),
    "no TOML": ("prices = ", "config.toml: this is not TOML"),
    "an empty file": ("", "there are no prices"),
    "no such prices": (CONFIG.replace("prices.csv", "none.csv"), "No such file or directory"),
    "no such weights": (CONFIG.replace("weights.csv", "none.csv"), "No such file or directory"),
    "prices that are a folder": (CONFIG.replace("prices.csv", "."), "cannot read the file"),
    "an output that is a file": (CONFIG.replace('"out"', '"prices.csv"'), "this is a file, not a"),
    "an output below a file": (
        CONFIG.replace('"out"', '"prices.csv/out"'),
        "the folder above it cannot be made",
    ),
    "no module:name": (of_provider("a"), "provider: 'a' is not module:name"),
}


@pytest.mark.parametrize("case", BAD_CONFIGS)
def test_a_bad_config(case: str, study: Path, capsys: Capture) -> None:
    config, told = BAD_CONFIGS[case]
    before = sorted(path.name for path in study.rglob("*"))
    assert run_it(config) == 2
    assert told in refused(capsys)
    assert sorted(path.name for path in study.rglob("*")) == before


BAD_FILES: dict[str, tuple[str, str, str]] = {
    "empty prices": ("prices.csv", "", "is empty; it needs a line of column names, and rows below"),
    "prices without rows": ("prices.csv", "date,A\n", "the frame has no rows"),
    "prices of nothing": ("prices.csv", "date,A\n2024-01-01,\n", "not one close is a finite"),
    "empty weights": (
        "weights.csv",
        "",
        "is empty; it needs a line of column names, and rows below",
    ),
    "weights in percent": (
        "weights.csv",
        "date,A,B\n2024-01-01,0.4,0.5\n2024-01-02,40,55\n",
        "weights.csv at 2024-01-02 00:00:00: weights sum to 95: are they percent? divide them by",
    ),
    "weights without rows": ("weights.csv", "date,A\n", "weights: the frame has no rows"),
    "weights of an earlier year": (
        "weights.csv",
        "date,A\n2014-01-01,0.5\n",
        "the last decision, 2014-01-01 00:00:00, is before the first bar, 2024-01-01 00:00:00",
    ),
    "weights of a later year": (
        "weights.csv",
        "date,A\n2034-01-01,0.5\n",
        "1 of their times are no bar of prices, the first: 2034-01-01 00:00:00",
    ),
    "weights of another asset": (
        "weights.csv",
        "date,AA\n2024-01-01,0.5\n",
        "'AA' (nearest: 'A') are not assets of the feed",
    ),
    "weights that are words": (
        "weights.csv",
        "date,A\n2024-01-01,half\n",
        "weights: strings in number column 'A': 1",
    ),
    "weights without a time": ("weights.csv", "day,A\n2024-01-01,0.5\n", "Rename it in the file"),
    "two kinds of faults": (
        "prices.csv",
        "date,asset,close,volume\n2024-01-01,A,-1,1\n2024-01-01,B,1,-1\n",
        "prices: 2 kinds of faults | zero or negative prices: 1",
    ),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file(case: str, study: Path, capsys: Capture) -> None:
    name, content, told = BAD_FILES[case]
    (study / name).write_text(content)
    assert main(["run", "study/config.toml"]) == 2
    assert told in refused(capsys)
    assert not (study / "out").exists()


def test_no_such_config(study: Path, capsys: Capture) -> None:
    assert main(["run", "study/confg.toml"]) == 2
    assert "confg.toml: the file cannot be read (No such file or directory)" in refused(capsys)


def test_a_folder_that_holds_something_else(study: Path, capsys: Capture) -> None:
    (study / "out").mkdir()
    (study / "out" / "diary.txt").write_text("dear diary")
    assert main(["run", "study/config.toml", "--overwrite"]) == 2
    assert "also holds 'diary.txt', which are not of a result" in refused(capsys)
    assert (study / "out" / "diary.txt").read_text() == "dear diary"


def test_a_folder_that_cannot_be_written(
    study: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def access(path: object, mode: int) -> bool:
        return str(path) != str(study)

    monkeypatch.setattr(os, "access", access)
    assert main(["run", "study/config.toml"]) == 2
    assert f"nothing can be written in {study}; save to another place" in refused(capsys)


def test_a_place_where_the_system_makes_no_folder(
    study: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Path.mkdir

    def mkdir(self: Path, *args: object, **kwargs: object) -> None:
        if ".saving-" in self.name:  # as /proc does, which says that it can be written
            raise FileNotFoundError(2, "No such file or directory", str(self))
        plain(self, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "mkdir", mkdir)
    assert main(["run", "study/config.toml"]) == 2
    assert refused(capsys) == (
        f"error: {study / 'out'}: nothing can be written in {study} (No such file or directory); "
        "save to another place\n"
    )


def test_leverage_is_no_percent(study: Path, capsys: Capture) -> None:
    # 10 is the most that is taken as it is: cut to 1 by max_single_weight, as it always was.
    (study / "weights.csv").write_text("date,A\n2024-01-01,10\n")
    assert main(["run", "study/config.toml"]) == 0
    (study / "weights.csv").write_text("date,A\n2024-01-01,10.5\n")
    assert main(["run", "study/config.toml", "--overwrite"]) == 2
    assert "weights sum to 10.5: are they percent?" in capsys.readouterr().err


def test_in_a_process_of_its_own(study: Path) -> None:
    code = "import sys; from ml4t.backtest.cli import main; sys.exit(main())"

    def done() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, "run", str(study / "config.toml")]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    first, second = done(), done()
    assert (first.returncode, second.returncode) == (0, 2)
    assert figure("Final equity", first.stdout) == "1,150.00"
    assert "\x1b" not in first.stdout + first.stderr
    assert second.stdout == ""
    assert "Traceback" not in second.stderr
