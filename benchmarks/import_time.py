"""How long ``import ml4t.backtest`` takes in a fresh interpreter, and which packages take it.

Run: ``python benchmarks/import_time.py [repetitions]``.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections import Counter

CODE = """
import time
begun = time.perf_counter()
import ml4t.backtest
print(time.perf_counter() - begun)
"""


def python(*options: str, bytecode: str) -> subprocess.CompletedProcess[str]:
    """Run an interpreter of its own, with the bytecode in a folder as an installation has it."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.run(
        [sys.executable, *options],
        env=env | {"PYTHONPYCACHEPREFIX": bytecode},
        capture_output=True,
        text=True,
        check=True,
    )


def by_package(log: str) -> Counter[str]:
    """Return the microseconds that each top-level package takes for itself."""
    spent: Counter[str] = Counter()
    for line in log.splitlines():
        own, _, name = line.removeprefix("import time:").split("|")
        if own.strip().isdigit():
            spent[name.strip().partition(".")[0]] += int(own)
    return spent


def main(repetitions: int = 5) -> None:
    """Print the median and the packages that take most."""
    with tempfile.TemporaryDirectory() as bytecode:
        python("-c", CODE, bytecode=bytecode)  # compiles the bytecode
        times = [float(python("-c", CODE, bytecode=bytecode).stdout) for _ in range(repetitions)]
        log = python("-X", "importtime", "-c", "import ml4t.backtest", bytecode=bytecode).stderr
    print(f"import ml4t.backtest: {statistics.median(times):.2f} s (median of {repetitions})")
    for name, spent in by_package(log).most_common(8):
        print(f"  {name:<12} {spent / 1e6:6.2f} s")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
