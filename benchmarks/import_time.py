"""How long ``import ml4t.backtest`` takes in a fresh interpreter, and which packages take it.

Run: ``python benchmarks/import_time.py [repetitions]``.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections import Counter

CODE = """
import time
begun = time.perf_counter()
import ml4t.backtest
print(time.perf_counter() - begun)
"""


def seconds() -> float:
    """Import once in an interpreter of its own."""
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    return float(done.stdout)


def by_package() -> Counter[str]:
    """Return the microseconds that each top-level package takes for itself."""
    command = [sys.executable, "-X", "importtime", "-c", "import ml4t.backtest"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    spent: Counter[str] = Counter()
    for line in done.stderr.splitlines():
        own, _, name = line.removeprefix("import time:").split("|")
        if own.strip().isdigit():
            spent[name.strip().partition(".")[0]] += int(own)
    return spent


def main(repetitions: int = 5) -> None:
    """Print the median and the packages that take most."""
    seconds()  # compiles the bytecode of what is new
    times = [seconds() for _ in range(repetitions)]
    print(f"import ml4t.backtest: {statistics.median(times):.2f} s (median of {repetitions})")
    for name, spent in by_package().most_common(8):
        print(f"  {name:<12} {spent / 1e6:6.2f} s")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
