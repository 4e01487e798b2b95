"""Where compiled code is cached, and that the kernel runs without a compiler too."""

from __future__ import annotations

import ast
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


def decisive_files() -> list[str]:
    """What compiled code is made of: the kernel, and the tables and codes that it reads."""
    kernel = sorted(f"kernel/{path.name}" for path in (PACKAGE / "kernel").glob("*.py"))
    return [*kernel, "records.py", "enums.py"]


def run_python(code: str, given: str | None = None, **environment: str) -> str:
    """Run code in a process of its own; numba's settings are those given, no others."""
    inherited = {name: v for name, v in os.environ.items() if not name.startswith("NUMBA_")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=inherited | environment,
        input=given,
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

    # each file in turn, in one process: all that names the folder is this hash
    hashes = """
import sys
from pathlib import Path
import ml4t.backtest.kernel.jit as jit
print(jit._FOLDER.name, jit._source_hash())
for name in sys.stdin.read().split():
    path = Path(name)
    path.write_text(path.read_text() + "\\n# another version\\n")
    print(jit._source_hash())
"""
    decisive = [copy / name for name in decisive_files()]
    assert len(decisive) > 15
    names = "\n".join(map(str, decisive))
    (folder, *found) = run_python(hashes, names, **environment).split()
    assert {folder} == original
    assert folder == found[0]
    assert len(found) == len(set(found)) == 1 + len(decisive)

    run_python(code, **environment)
    assert folders(cache) == {found[0], found[-1]}

    before = folders(cache)
    (copy / "result.py").write_text((copy / "result.py").read_text() + "\n# another version\n")
    run_python(code, **environment)
    assert folders(cache) == before  # not a part of the kernel


def test_the_kernel_is_made_of_what_is_hashed_alone() -> None:
    """Else an edit of something else would leave compiled code of before in use."""
    hashed = {f"ml4t.backtest.{name[:-3].replace('/', '.')}" for name in decisive_files()}
    used: set[str | None] = set()
    for name in decisive_files():
        for node in ast.walk(ast.parse((PACKAGE / name).read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                used.add(node.module)
            elif isinstance(node, ast.Import):
                used |= {alias.name for alias in node.names}
    used = {name for name in used if name is None or name.startswith("ml4t")}
    assert used <= hashed
    assert "ml4t.backtest.records" in used


def test_compiled_code_follows_an_edit_of_what_it_calls(tmp_path: Path) -> None:
    """Numba alone would find the caller, in a file that was not edited, in its cache."""
    copy = tmp_path / "src" / "ml4t" / "backtest"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    environment = {
        "PYTHONPATH": str(tmp_path / "src"),
        "NUMBA_CACHE_DIR": str(tmp_path / "cache"),
        "PYTHONDONTWRITEBYTECODE": "1",  # two edits in one second look alike to it
    }
    # 0.5 of a unit is less than a step of 1, and more than one of 0.25
    code = (
        "from ml4t.backtest.kernel.pending import trade_quantity\n"
        "print(trade_quantity(1.0, 7.5, 7.0, 1.0))"
    )
    assert run_python(code, **environment) == "0.0"
    edited = copy / "kernel" / "quantities.py"
    before = edited.read_text()
    after = before.replace("def rounded_down(", "def other(").replace(
        "@kernel\ndef other(",
        "@kernel\ndef rounded_down(x: float, step: float) -> float:\n    return x\n\n\n"
        "@kernel\ndef other(",
    )
    assert after.count("def rounded_down(") == 1
    edited.write_text(after)
    assert run_python(code, **environment) == "0.5"


# Counts what is compiled, and shows that it does by a function that no cache can hold.
NOTHING_COMPILED = """
import numba
from numba.core import event

class Compiled(event.Listener):
    names = []
    def on_start(self, compiling): pass
    def on_end(self, compiling): self.names.append(compiling.data["dispatcher"].py_func.__name__)

event.register("numba:compile", Compiled())

from datetime import datetime
import polars as pl
from ml4t.backtest import DataFeed, Engine, Strategy, TargetWeightExecutor, run_weights

days = [datetime(2024, 1, day) for day in range(1, 6)]
prices = {"timestamp": days, "A": [10.0, 11.0, 12.0, 11.0, 13.0]}
feed = DataFeed.from_wide(pl.DataFrame(prices))
weights = {days[0]: {"A": 0.5}, days[2]: {"A": 0.25}}

class Stepped(Strategy):
    def on_data(self, timestamp, data, context, broker):
        if timestamp in weights:
            TargetWeightExecutor().execute(weights[timestamp], data, broker)

for result in (run_weights(feed, weights), Engine(feed, Stepped()).run()):
    result.summary(), result.trades, result.positions, result.rebalances, result.audit()
print(*Compiled.names)
numba.njit(lambda x: x)(1)
print(Compiled.names[-1])
"""


def test_a_second_process_compiles_nothing() -> None:
    """In the cache that the first has filled, where it is not that of the other tests anyway."""
    run_python(NOTHING_COMPILED)
    assert run_python(NOTHING_COMPILED) == "<lambda>"


@pytest.mark.parametrize("variable", ["NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "HOME"])
def test_an_unwritable_cache_is_no_cache(tmp_path: Path, variable: str) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    # only the import and one small function: without a cache, compiling all takes long
    code = (
        "from ml4t.backtest.kernel.quantities import rounded_down; print(rounded_down(-7.5, 2.0))"
    )
    environment = {variable: str(in_the_way / "below")}
    if variable == "HOME":
        # its other name, and nothing that goes before it
        environment |= {"USERPROFILE": environment["HOME"]}
        environment |= {"XDG_CACHE_HOME": "", "LOCALAPPDATA": ""}
    report = "\nfrom ml4t.backtest.kernel import jit; print(jit._FOLDER)"
    assert run_python(code + report, **environment).split() == ["-6.0", "None"]
    assert in_the_way.read_text() == ""


def test_nothing_is_written_beside_the_sources(tmp_path: Path) -> None:
    """So that an installation may be read-only."""
    copy = tmp_path / "src" / "ml4t" / "backtest"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    folders_of_copy = [copy, *(path for path in copy.rglob("*") if path.is_dir())]
    before = {path: sorted(path.iterdir()) for path in folders_of_copy}
    code = (
        "from ml4t.backtest.kernel import quantities; print(quantities.__file__)\n"
        "print(quantities.rounded_down(-7.5, 2.0))"
    )
    environment = {"PYTHONPATH": str(tmp_path / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    for path in folders_of_copy:
        path.chmod(0o555)
    try:
        for cache in (tmp_path / "cache", copy / "records.py"):
            out = run_python(code, NUMBA_CACHE_DIR=str(cache), **environment)
            assert out.splitlines() == [str(copy / "kernel" / "quantities.py"), "-6.0"]
    finally:
        for path in folders_of_copy:
            path.chmod(0o755)
    assert {path: sorted(path.iterdir()) for path in folders_of_copy} == before


@pytest.mark.parametrize("given", [True, False])
def test_numbas_own_setting_is_left_alone(tmp_path: Path, given: bool) -> None:
    code = (
        "import numba\nbefore = numba.config.CACHE_DIR\nimport ml4t.backtest\n"
        "assert numba.config.CACHE_DIR == before\nprint(before)"
    )
    environment = {"NUMBA_CACHE_DIR": str(tmp_path)} if given else {}
    assert run_python(code, **environment) == (str(tmp_path) if given else "")
