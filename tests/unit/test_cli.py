"""The command `ml4t-backtest`."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ml4t.backtest import cli, demo

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


@pytest.mark.parametrize("package", ["skfolio", "rich", "pandas"])
def test_the_demo_without_its_extras(package: str) -> None:
    code = WITHOUT.format(package=package)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"the demo needs {package}" in done.stderr
    assert 'pip install "ml4t-backtest[skfolio,cli]"' in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_demo_is_what_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "main", lambda: 7)
    assert cli.main(["demo"]) == 7


@pytest.mark.parametrize("arguments", [[], ["unknown"], ["demo", "--unknown"]])
def test_what_it_does_not_know(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    assert stopped.value.code == 2
    assert "usage: ml4t-backtest" in capsys.readouterr().err


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["--help"])
    assert stopped.value.code == 0
    assert "demo" in capsys.readouterr().out
