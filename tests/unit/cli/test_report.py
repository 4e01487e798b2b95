"""`report`: the tearsheet of a saved result."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from helpers import day, long_frame
from ml4t.backtest import DataFeed, run_weights
from ml4t.backtest.cli import main

Capture = pytest.CaptureFixture[str]
pytest.importorskip("plotly")
NO_BRIDGE = "it has no bridge from paper to account, for which it needs --prices\n"


@pytest.fixture(autouse=True)
def _result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    prices = long_frame({"A": [10.0, 12.0, 15.0], "B": [10.0, 11.0, 12.0]})
    prices.write_csv("prices.csv")
    run_weights(DataFeed("prices.csv"), {day(0): {"A": 0.5}}).save("out")


def page(name: str = "report.html") -> str:
    return Path(name).read_text(encoding="utf-8")


def test_a_page(capsys: Capture) -> None:
    assert main(["report", "out"]) == 0
    shown = capsys.readouterr()
    assert shown.out == "report.html\n"
    assert shown.err == NO_BRIDGE
    assert page().lower().startswith("<!doctype html")
    assert main(["report", "out", "-o", "other.html", "--quiet"]) == 0
    assert capsys.readouterr().err == ""
    assert Path("other.html").exists()


def test_with_the_prices_it_has_the_bridge(capsys: Capture) -> None:
    assert main(["report", "out"]) == 0
    without = page()
    capsys.readouterr()
    title = "Half of A <b>"
    assert main(["report", "out", "--prices", "prices.csv", "--title", title]) == 0
    assert capsys.readouterr().err == ""
    assert "Half of A &lt;b&gt;" in page()
    # 5000 shares of 10 at the close of the decision are what was asked for; at 12, a day later, the
    # account paid 10 000 more.
    assert "-10,000" in page().replace("\N{MINUS SIGN}", "-")
    assert "-10,000" not in without.replace("\N{MINUS SIGN}", "-")


@pytest.mark.parametrize("level", ["B", "index.csv", "out"])
def test_benchmarks(level: str, capsys: Capture) -> None:
    Path("index.csv").write_text("date,INDEX\n2024-01-01,5\n2024-01-02,6\n2024-01-03,7\n")
    command = ["report", "out", "--prices", "prices.csv", "--benchmark", level]
    assert main(command) == 0
    name = {"B": "B", "index.csv": "INDEX", "out": "other run"}[level]
    assert f"{name} earned" in page()


BAD: dict[str, tuple[list[str], str]] = {
    "no such folder": (["nothing"], "there is no such folder; name the one that a result was"),
    "no result": (["."], "the folder holds no result, not even result.json"),
    "other prices": (["out", "--prices", "fewer.csv"], "prices: they are not those of this run"),
    "no such prices": (["out", "--prices", "no.csv"], "cannot read the file 'no.csv'"),
    "an asset without prices": (["out", "--benchmark", "B"], "those of its run with --prices"),
    "no such asset": (
        ["out", "--benchmark", "C", "--prices", "prices.csv"],
        "benchmark: ",
    ),
    "no such place": (["out", "-o", "no/report.html"], "does not exist; make it or pass another"),
    "a folder": (["out", "-o", "out"], "this is a folder; pass the path of a file in it"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case: str, capsys: Capture) -> None:
    fewer = Path("prices.csv").read_text().splitlines()[:3]
    Path("fewer.csv").write_text("\n".join(fewer))
    before = sorted(Path().rglob("*"))
    arguments, told = BAD[case]
    assert main(["report", *arguments]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: ")
    assert shown.err.count("\n") == 1
    assert told in shown.err
    assert sorted(Path().rglob("*")) == before


@pytest.mark.parametrize("command", ["report out", "compare out other --html page.html"])
def test_without_its_extra(command: str) -> None:
    code = f"""
import sys

class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "plotly":
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, NotInstalled())
from ml4t.backtest.cli import main
sys.exit(main({command.split()!r}))
"""
    Path("out").rename("other")
    run_weights(DataFeed("prices.csv"), {day(0): {"A": 0.25}}).save("out")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert 'plotly, which is not installed; run: pip install "ml4t-backtest[report]"' in done.stderr
