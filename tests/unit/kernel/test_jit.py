"""Where compiled code is cached, and that the kernel runs without a compiler too."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import ml4t.backtest

PACKAGE = Path(ml4t.backtest.__path__[0])

# 1 000 in cash, a gap to 12: of 100 shares that were ordered at 10, 83 are bought. 1 000 - 996 = 4
SMALL_RUN = """
from datetime import datetime
from ml4t.backtest import Broker, TargetWeightExecutor
broker = Broker(initial_cash=1_000.0)
broker.step(datetime(2024, 1, 1), {"A": {"close": 10.0}})
TargetWeightExecutor().execute({"A": 1.0}, broker.data, broker)
broker.step(datetime(2024, 1, 2), {"A": {"close": 12.0}})
print(broker.positions["A"].quantity, broker.cash)
"""


def run_python(code: str, **environment: str) -> str:
    """Run code in a process of its own; numba's settings are those given, no others."""
    inherited = {name: v for name, v in os.environ.items() if not name.startswith("NUMBA_")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=inherited | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def folders(cache: Path) -> set[str]:
    return {path.name for path in (cache / "ml4t-backtest").iterdir()}


def test_without_a_compiler() -> None:
    report = "from ml4t.backtest.kernel import matching; print(type(matching.fill).__name__)"
    out = run_python(SMALL_RUN + report, NUMBA_DISABLE_JIT="1")
    assert out.split() == ["83.0", "4.0", "function"]


def test_an_edit_of_the_kernel_is_another_cache(tmp_path: Path) -> None:
    """Of any of its files: a function of one is compiled into those of others."""
    cache = tmp_path / "cache"
    copy = tmp_path / "src" / "ml4t" / "backtest"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    code = "import ml4t.backtest.kernel.jit as jit; print(jit.__file__)"
    environment = {"PYTHONPATH": str(tmp_path / "src"), "NUMBA_CACHE_DIR": str(cache)}

    assert run_python(code, **environment) == str(copy / "kernel" / "jit.py")
    original = folders(cache)
    assert len(original) == 1
    run_python(code, **environment)
    assert folders(cache) == original  # nothing changed, nothing new

    for name in ("kernel/costs.py", "records.py"):
        before = folders(cache)
        edited = copy / name
        edited.write_text(edited.read_text() + "\n# another version\n")
        run_python(code, **environment)
        assert len(folders(cache) - before) == 1

    before = folders(cache)
    (copy / "result.py").write_text((copy / "result.py").read_text() + "\n# another version\n")
    run_python(code, **environment)
    assert folders(cache) == before  # not a part of the kernel


@pytest.mark.parametrize("variable", ["NUMBA_CACHE_DIR", "XDG_CACHE_HOME"])
def test_an_unwritable_cache_is_no_cache(tmp_path: Path, variable: str) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    # only the import and one small function: without a cache, compiling all takes long
    code = (
        "from ml4t.backtest.kernel.quantities import rounded_down; print(rounded_down(-7.5, 2.0))"
    )
    assert run_python(code, **{variable: str(in_the_way / "below")}) == "-6.0"
    assert in_the_way.read_text() == ""


@pytest.mark.parametrize("given", [True, False])
def test_numbas_own_setting_is_left_alone(tmp_path: Path, given: bool) -> None:
    code = (
        "import numba\nbefore = numba.config.CACHE_DIR\nimport ml4t.backtest\n"
        "assert numba.config.CACHE_DIR == before\nprint(before)"
    )
    environment = {"NUMBA_CACHE_DIR": str(tmp_path)} if given else {}
    assert run_python(code, **environment) == (str(tmp_path) if given else "")
