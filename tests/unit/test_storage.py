"""What is saved is what is loaded, and nothing else is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from helpers import Script, buy, long_frame, run_script, sell
from ml4t.backtest import (
    BacktestConfig,
    BacktestResult,
    DataFeed,
    Engine,
    RebalanceConfig,
    TargetWeightExecutor,
)
from ml4t.backtest.costs import PercentCommission, PercentSlippage
from ml4t.backtest.errors import DataWarning, ResultError
from ml4t.backtest.frames import FRAMES

CLOSE = {"A": [10.0, 12.0, 11.0, 14.0], "B": [20.0, None, 25.0, 20.0]}
CONFIG = BacktestConfig(
    initial_cash=1_000.0,
    commission=PercentCommission(0.001),
    slippage=PercentSlippage(0.0005),
    rebalance=RebalanceConfig(min_trade_value=1.0 / 3.0, max_gross_exposure=2.0),
)


def traded(time_zone: str | None = None) -> BacktestResult:
    frame = long_frame(CLOSE)
    if time_zone is not None:
        frame = frame.with_columns(pl.col("timestamp").dt.replace_time_zone(time_zone))
    executor = TargetWeightExecutor()
    actions = {
        0: lambda data, broker: executor.execute({"A": 0.5, "B": 0.3}, data, broker),
        1: sell("B", 1),
        2: buy("A", 1_000),
        3: buy("A", 1),
    }
    return Engine(DataFeed(frame), Script(actions), CONFIG).run()


def idle() -> BacktestResult:
    """One bar, nothing done: most figures are NaN, most frames empty."""
    return run_script({}, {"A": [10.0]})


RESULTS: dict[str, Any] = {
    "naive": traded,
    "zoned": lambda: traded("America/New_York"),
    "idle": idle,
}


@pytest.mark.parametrize("kind", RESULTS)
def test_what_is_loaded_is_what_was_saved(kind: str, tmp_path: Path) -> None:
    fresh = RESULTS[kind]()
    folder = tmp_path / "deep" / "run"
    fresh.save(folder)
    loaded = BacktestResult.load(str(folder))
    assert type(loaded) is type(fresh)
    for name in FRAMES:
        mine, theirs = getattr(loaded, name), getattr(fresh, name)
        assert mine.schema == theirs.schema
        assert_frame_equal(mine, theirs, check_exact=True)
        assert loaded.to_pandas(name).equals(fresh.to_pandas(name))
    assert repr(loaded.metrics) == repr(fresh.metrics)  # NaN is not equal to itself
    assert loaded.config == fresh.config
    assert loaded.summary() == fresh.summary()
    assert repr(loaded) == repr(fresh)
    assert loaded.equity_records.tobytes() == fresh.equity_records.tobytes()
    assert loaded.audit() == []


def test_a_loaded_result_is_saved_again(tmp_path: Path) -> None:
    traded().save(tmp_path / "one")
    BacktestResult.load(tmp_path / "one").save(tmp_path / "two")
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_what_the_description_says(tmp_path: Path) -> None:
    result = traded()
    result.save(tmp_path / "run")
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "result.json",
        *(f"{name}.parquet" for name in FRAMES),
    }
    facts = json.loads((tmp_path / "run" / "result.json").read_text())
    assert facts["format"] == 2
    assert set(facts["packages"]) == {"ml4t-backtest", "polars", "numpy", "python"}
    assert facts["config"]["commission"] == {"kind": "percent", "rate": 0.001}
    assert facts["config"]["rebalance"]["min_trade_value"] == 1.0 / 3.0
    assert facts["metrics"]["final_equity"] == result.metrics["final_equity"]
    assert facts["period"]["bars"] == 4
    assert facts["tables"]["fills"]["rows"] == result.fills.height


def test_no_overwriting_by_accident(tmp_path: Path) -> None:
    idle().save(tmp_path / "run")
    with pytest.raises(ResultError, match="overwrite=True"):
        traded().save(tmp_path / "run")
    assert BacktestResult.load(tmp_path / "run").summary() == idle().summary()
    traded().save(tmp_path / "run", overwrite=True)
    assert BacktestResult.load(tmp_path / "run").summary() == traded().summary()


KILLED = """
import os, sys
from helpers import run_script
from ml4t.backtest import folders
plain = folders._rename
def rename(old, new):
    plain(old, new)
    os._exit(9)
folders._rename = rename
run_script({}, {"A": [10.0, 11.0]}).save(sys.argv[1], overwrite=True)
"""


def test_the_old_result_is_found_after_a_crash_in_between(tmp_path: Path) -> None:
    # test_folders.py kills a save at each of its steps; this is the one with nothing in place
    folder = tmp_path / "run"
    result = traded()
    result.save(folder)
    paths = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(folder)],
        env={**os.environ, "PYTHONPATH": paths},
        check=False,
    )
    assert done.returncode == 9
    assert not folder.exists()
    assert BacktestResult.load(folder).summary() == result.summary()
    idle().save(folder, overwrite=True)
    assert BacktestResult.load(folder).summary() == idle().summary()
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    traded().save(tmp_path / "run")
    return tmp_path / "run"


def means_the_same(one: bytes, other: bytes) -> bool:
    """White space between words, and the 17th digit of some numbers, say nothing."""
    try:
        return bool(json.loads(one) == json.loads(other))
    except ValueError:
        return False


def test_any_changed_character_of_the_description(saved: Path) -> None:
    path = saved / "result.json"
    plain = path.read_bytes()
    for at in range(0, len(plain), 29):
        content = bytearray(plain)
        content[at] ^= 1
        path.write_bytes(content)
        if means_the_same(content, plain):
            continue
        with pytest.raises(ResultError, match=r"result\.json"):
            BacktestResult.load(saved)


def test_files_of_two_results(saved: Path, tmp_path: Path) -> None:
    idle().save(tmp_path / "other")
    (saved / "equity.parquet").write_bytes((tmp_path / "other" / "equity.parquet").read_bytes())
    with pytest.raises(ResultError, match=r"equity\.parquet: .* is not as it was saved"):
        BacktestResult.load(saved)


def test_a_fingerprint_is_of_the_input() -> None:
    def fingerprint(frame: pl.DataFrame) -> str:
        return DataFeed(frame).bars.fingerprint

    frame = long_frame(CLOSE).with_columns(pl.col("timestamp").cast(pl.Datetime("ns")))
    same = fingerprint(frame)
    assert len(same) == 64
    with pytest.warns(DataWarning, match="sorted"):
        assert fingerprint(frame.reverse()) == same
    others = [
        frame.with_columns(close=pl.col("close") + 1e-12),
        frame.with_columns(asset=pl.col("asset") + "x"),
        frame.with_columns(pl.col("timestamp").dt.offset_by("1ns")),
        frame.with_columns(pl.col("timestamp").dt.replace_time_zone("UTC")),
        frame.with_columns(open=pl.col("close")),
        frame.with_columns(volume=pl.lit(1.0)),
    ]
    found = {fingerprint(other) for other in others[:4] + others[5:]}
    assert same not in found
    assert len(found) == 5
    # A feed without opens trades at the close, as one with these opens does.
    assert fingerprint(others[4]) == same
