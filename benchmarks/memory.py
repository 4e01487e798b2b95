"""Peak memory of a run, above a process that is warm and has its feed, in a fresh process each.

The feed has all five price arrays. The limit is twice these and three times the record tables of
the result. Linux only: the peak is read, and set back, in /proc.

Run: ``python -m benchmarks.memory [S1,S3]``.
"""

from __future__ import annotations

import ctypes
import gc
import subprocess
import sys
from pathlib import Path

from benchmarks.ours import OURS
from benchmarks.scenarios import SCENARIOS, make_workload
from benchmarks.tables import machine, markdown
from benchmarks.timing import warm_up
from ml4t.backtest import BacktestResult
from ml4t.backtest.records import EQUITY, FILL, ORDER, PLAN_ROW

MIB = 2**20
ALL = ",".join(scenario.name for scenario in SCENARIOS)
PROCESS = Path("/proc/self")


def main(only: str = ALL) -> None:
    """Print the table."""
    if not (PROCESS / "clear_refs").exists():
        raise SystemExit("the peak is read from /proc/self/status, which is not there")
    rows = []
    for name in only.split(","):
        for k, contender in enumerate(OURS):
            command = [sys.executable, "-m", "benchmarks.memory", "one", name, str(k)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            peak, prices, records = map(float, done.stdout.split())
            limit = 2.0 * prices + 3.0 * records
            cells = [f"{value / MIB:,.1f}" for value in (prices, records, peak, limit)]
            rows.append([name, contender.name, *cells, f"{peak / limit:.2f}"])
    head = ["", "", "price arrays", "record tables", "peak above", "limit", "peak / limit"]
    print(f"{machine()}. MiB.\n\n{markdown(head, rows)}")


def one(name: str, number: str) -> None:
    """Print the bytes of the peak, the price arrays and the record tables of one run."""
    scenario = next(scenario for scenario in SCENARIOS if scenario.name == name)
    contender = OURS[int(number)]
    warm_up(contender)
    run = contender.prepare(make_workload(scenario, full_bars=True))
    gc.collect()
    # What is free but kept would hide the first of what the run takes.
    ctypes.CDLL(None).malloc_trim(0)
    (PROCESS / "clear_refs").write_text("5")
    before = status("VmRSS")
    result = run()
    peak = status("VmHWM") - before
    print(peak, 5 * 8 * scenario.n_bars * scenario.n_assets, record_bytes(result))


def status(name: str) -> int:
    """Return a size of this process, in bytes."""
    lines = (PROCESS / "status").read_text().splitlines()
    line = next(line for line in lines if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024


def record_bytes(result: BacktestResult) -> int:
    """Return the size of the tables that a run writes: equity, orders, fills, plan rows."""
    tables = (
        (result.equity, EQUITY),
        (result.orders, ORDER),
        (result.fills, FILL),
        (result.rebalances, PLAN_ROW),
    )
    return sum(frame.height * record.itemsize for frame, record in tables)


if __name__ == "__main__":
    one(*sys.argv[2:4]) if sys.argv[1:2] == ["one"] else main(*sys.argv[1:2])
