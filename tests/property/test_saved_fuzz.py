"""Any damage of a saved result: the same result, or a `ResultError`; never a wrong number."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from helpers import attempt, run_script
from ml4t.backtest import (
    BacktestResult,
    TargetWeightExecutor,
)
from ml4t.backtest.errors import (
    ResultError,
)
from ml4t.backtest.frames import FRAMES


@cache
def _saved() -> tuple[dict[str, bytes], BacktestResult]:
    result = run_script(
        {
            0: lambda data, broker: broker.submit_order("A", 5),
            1: lambda data, broker: TargetWeightExecutor().execute({"A": 0.5}, data, broker),
        },
        {"A": [10.0, 11.0, 12.0]},
    )
    with tempfile.TemporaryDirectory() as folder:
        result.save(Path(folder) / "run")
        files = {path.name: path.read_bytes() for path in (Path(folder) / "run").iterdir()}
    return files, result


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_damage_of_a_saved_result(data: st.DataObject) -> None:
    whole, result = _saved()
    files = dict(whole)
    for _ in range(data.draw(st.integers(1, 3))):
        name = data.draw(st.sampled_from(sorted(whole)))
        content = bytearray(files.get(name, b""))
        kind = data.draw(
            st.sampled_from(["flip"] * 3 + ["digit"] * 3 + ["cut", "insert", "swap", "delete"])
        )
        at = data.draw(st.integers(0, max(len(content) - 1, 0)))
        if kind == "flip" and content:
            content[at] ^= 1 << data.draw(st.integers(0, 7))
        elif kind == "digit":  # of the description, which still is one then
            name, content = "result.json", bytearray(files.get("result.json", b"0"))
            digits = [i for i, byte in enumerate(content) if chr(byte).isdigit()]
            if digits:
                content[data.draw(st.sampled_from(digits))] = data.draw(
                    st.sampled_from(b"123456789")
                )
        elif kind == "cut":
            del content[at:]
        elif kind == "insert":
            content[at:at] = data.draw(st.binary(min_size=1, max_size=4))
        elif kind == "swap":
            content = bytearray(whole[data.draw(st.sampled_from(sorted(whole)))])
        files[name] = bytes(content)
        if kind == "delete":
            del files[name]
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        found, refusal = attempt(lambda: BacktestResult.load(folder), ResultError)
    if refusal:
        assert folder in refusal
        return
    for name in FRAMES:
        assert_frame_equal(getattr(found, name), getattr(result, name), check_exact=True)
    assert found.config == result.config
    assert repr(found.metrics) == repr(result.metrics)
