"""The kernel compiled and in plain Python: the same runs, bit for bit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from numba.core import config as numba_config

from differential.markets import NumpySource, digests, market

N_MARKETS = 60
# Runs the same markets in another interpreter: arguments are the folder of tests and a file.
PROGRAM = """
import json, sys, warnings
from pathlib import Path
sys.path.insert(0, sys.argv[1])
warnings.simplefilter("ignore")
from differential.test_jit_plain import found_here
Path(sys.argv[2]).write_text(json.dumps(found_here()))
"""


def found_here() -> dict[str, object]:
    """Digests of every run in this interpreter, and whether the kernel is compiled in it."""
    runs = [digests(market(NumpySource(1, number))) for number in range(N_MARKETS)]
    return {"is_plain": bool(numba_config.DISABLE_JIT), "runs": runs}


@pytest.mark.filterwarnings("ignore::ml4t.backtest.errors.RebalanceWarning")
def test_both_roads_leave_the_same_bits(tmp_path: Path) -> None:
    here = found_here()
    other = tmp_path / "digests.json"
    environment = os.environ | {"NUMBA_DISABLE_JIT": "0" if here["is_plain"] else "1"}
    tests = Path(__file__).parents[1]
    subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tests), str(other)], env=environment, check=True
    )
    there = json.loads(other.read_text())
    assert there["is_plain"] is not here["is_plain"]
    assert there["runs"] == here["runs"]
