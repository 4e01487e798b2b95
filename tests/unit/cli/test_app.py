"""The command `ml4t-backtest`: what every command has in common."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import pytest

from ml4t.backtest import __version__, demo
from ml4t.backtest.cli import main
from ml4t.backtest.cli import output as out
from ml4t.backtest.cli.app import COMMANDS
from ml4t.backtest.errors import DataWarning

# An import of the package fails as it does where it is not installed.
WITHOUT = """
import sys

class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {package!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, NotInstalled())
from ml4t.backtest.cli import main
sys.exit(main(["demo"]))
"""


def without(package: str) -> subprocess.CompletedProcess[str]:
    code = WITHOUT.format(package=package)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("package", ["typer", "rich"])
def test_without_its_extra(package: str) -> None:
    done = without(package)
    assert done.returncode == 2
    assert done.stderr == (
        f"ml4t-backtest needs {package}, which is not installed; run: "
        'pip install "ml4t-backtest[cli]"\n'
    )
    assert done.stdout == ""


@pytest.mark.parametrize("package", ["skfolio", "pandas", "plotly", "jinja2"])
def test_the_demo_without_its_extras(package: str) -> None:
    done = without(package)
    assert done.returncode == 2
    assert f"the demo needs {package}" in done.stderr
    assert 'pip install "ml4t-backtest[skfolio,cli,report]"' in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_demo_is_what_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(demo, "main", lambda progress: asked.append(progress) or 7)
    assert main(["demo"]) == 7
    # Nobody looks at the standard error stream of a test.
    assert asked == [False]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["unknown"], "'unknown'"),
        (["demo", "--unknown"], "--unknown"),
        (["check-lookahead"], "'MODULE:NAME'"),
        (["check-lookahead", "a:b", "p", "--seed", "x"], "--seed"),
    ],
)
def test_what_it_does_not_know(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: ")
    assert told in shown.err
    assert "; see ml4t-backtest" in shown.err
    assert "--help" in shown.err
    assert shown.err.count("\n") == 1


def test_without_a_command_it_says_which_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "check-lookahead" in shown.err


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "demo" in capsys.readouterr().out
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"ml4t-backtest {__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_has_examples(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command.split(), "--help"]) == 0
    told = capsys.readouterr().out
    examples = [line.strip() for line in told.partition("Examples:\n")[2].splitlines()]
    assert examples
    for example in examples:
        # A misspelt option, or one argument too many, would be the first thing to be refused.
        assert example.startswith(f"ml4t-backtest {command}")
        assert main([*example.split()[1:], "--help"]) == 0
    assert "\x1b" not in told


def test_arguments_of_the_process_and_completion() -> None:
    code = "import sys; from ml4t.backtest.cli import main; sys.exit(main())"

    def run(*arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", code, *arguments],
            env=os.environ | extra,
            capture_output=True,
            text=True,
            check=False,
        )

    assert run("--version").stdout.startswith("ml4t-backtest ")
    # What bash asks for when TAB is pressed after "check".
    found = run(
        _ML4T_BACKTEST_COMPLETE="complete_bash", COMP_WORDS="ml4t-backtest check", COMP_CWORD="1"
    )
    assert found.stdout.split() == ["check-lookahead"]


def test_a_stop_by_the_user(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(progress: bool) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "main", stopped)
    assert main(["demo"]) == 130
    assert capsys.readouterr().err.strip() == "stopped"


def test_a_fault_of_its_own_is_no_finding(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(progress: bool) -> int:
        raise NameError("name 'x' is not defined")

    monkeypatch.setattr(demo, "main", broken)
    # 1 would say that there are leaks, or faults in the prices.
    assert main(["demo"]) == 70
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("Traceback")
    assert shown.err.splitlines()[-1] == (
        "error: a fault of ml4t-backtest itself, not of what it was given: NameError: name 'x' is "
        "not defined; report it with the lines above"
    )


def test_a_command_that_is_nearly_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reprot"]) == 2
    # Whether there is a hint depends on the version of typer.
    assert capsys.readouterr().err in (
        "error: No such command 'reprot'. Did you mean 'report'? See ml4t-backtest --help\n",
        "error: No such command 'reprot'; see ml4t-backtest --help\n",
    )


def test_a_system_that_refuses(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(progress: bool) -> int:
        raise OSError(28, "No space left on device", "runs/x")

    monkeypatch.setattr(demo, "main", full)
    assert main(["demo"]) == 2
    assert capsys.readouterr().err == "error: runs/x: No space left on device\n"


def test_warnings_of_the_library_are_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def warning(progress: bool) -> int:
        warnings.warn("prices: 2 kinds\n- one\n- another", DataWarning, stacklevel=1)
        return 0

    monkeypatch.setattr(demo, "main", warning)
    for _ in range(2):  # said each time, not once a process
        assert main(["demo"]) == 0
        assert capsys.readouterr().err == "warning: prices: 2 kinds | one | another\n"


def test_the_search_path_is_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    assert main(["check-lookahead", "nothing_there:x", "prices.csv"]) == 2
    assert sys.path == before


# ---------------------------------------------------------------------- what it shows


def test_a_plain_table(capsys: pytest.CaptureFixture[str]) -> None:
    columns = [out.Column("asset"), out.Column("weight", is_number=True), out.Column("why")]
    # A name of two wide characters takes four cells; a name with an escape sequence is disarmed.
    out.show_table(columns, [["株式", "1.5", ""], ["\x1b[31mA", "-10.25", "so"]])
    assert capsys.readouterr().out.splitlines() == [
        "asset   weight  why",
        "株式       1.5",
        "?[31mA  -10.25  so",
    ]


def test_a_table_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    out.show_table([out.Column("asset"), out.Column("n", is_number=True)], [["[bold]A", "12"]])
    told = capsys.readouterr().out
    # Brackets are text, not markup.
    assert "[bold]A" in told
    assert "12" in told


@pytest.mark.parametrize(("no_color", "told"), [("", "\x1b["), ("1", "error: so")])
def test_colours(
    no_color: str,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", no_color)
    assert out.refuse("so") == 2
    assert capsys.readouterr().err.startswith(told)


class Terminal(io.TextIOWrapper):
    """A standard error stream that somebody looks at."""

    def isatty(self) -> bool:
        return True


def test_a_warning_beside_a_spinner_has_a_line_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", Terminal(screen, encoding="utf-8"))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    with out.working("working", quiet=False):
        until = time.monotonic() + 10
        while b"working" not in screen.getvalue() and time.monotonic() < until:
            time.sleep(0.01)  # a thread draws it
        out.warn("look out")
    # What erases a line begins it anew; the rest only moves the cursor, or hides it.
    told = screen.getvalue().decode().replace("\x1b[2K", "\n")
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", told).splitlines()
    assert any("working" in line for line in lines)
    assert "warning: look out" in lines


def test_progress_is_for_somebody_who_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not out.shows_progress(quiet=False)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert out.shows_progress(quiet=False)
    assert not out.shows_progress(quiet=True)


def test_json_has_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    value: Any = {"a": [float("nan"), float("inf"), 1.5], "b": None}
    out.show_json(value)
    assert capsys.readouterr().out.split() == (
        ["{", '"a":', "[", "null,", "null,", "1.5", "],", '"b":', "null", "}"]
    )
