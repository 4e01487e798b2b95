"""Several runs on one page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers import day, feed_of
from ml4t.backtest import BacktestConfig, BacktestResult, run_weights
from ml4t.backtest.report import compare_report
from report_pages import CLOSES, NO_THRESHOLDS, payload, small_run, text_of


def free_run() -> BacktestResult:
    """The small run without commission: 50 shares of each, 1,250 at the end."""
    config = BacktestConfig(initial_cash=1_000.0, rebalance=NO_THRESHOLDS)
    return run_weights(feed_of(CLOSES), {day(0): {"A": 0.5, "B": 0.5}}, config)


def read(path: Path) -> str:
    return text_of(path).replace("\N{NO-BREAK SPACE}", " ")


def test_two_runs_beside_each_other(tmp_path: Path) -> None:
    path = compare_report(
        [small_run(), free_run()], tmp_path / "both.html", ["dear", "<free>"], title="Costs"
    )
    assert path == tmp_path / "both.html"
    text = read(path)
    assert "final equity 1,235 1,250" in text
    assert "Of 1 in cash became: dear 1.24, &lt;free&gt; 1.25." in text
    assert "&lt;free&gt; returned most" in text
    assert "&lt;free&gt; paid least, 0.0 bps of equity a year." in text
    assert "The runs differ in 2 settings. They traded the same input." in text
    assert "commission.kind percent none" in text
    figures = payload(path)["figures"]
    growth = {trace["name"]: trace["y"] for trace in figures["growth"]["data"]}
    np.testing.assert_allclose(growth["&lt;free&gt;"], [1.0, 1.0, 1.5, 1.25], rtol=1e-6)
    dashes = [trace["line"]["dash"] for trace in figures["growth"]["data"]]
    assert dashes == ["solid", "dash"]


def test_runs_of_other_times_and_without_bars(tmp_path: Path) -> None:
    other = run_weights(feed_of({"X": [5.0, 6.0]}), {day(0): {"X": 1.0}})
    small_run().save(tmp_path / "run")
    loaded = BacktestResult.load(tmp_path / "run")
    text = read(compare_report([small_run(), other, loaded], tmp_path / "three.html"))
    assert "The runs are not over the same time." in text
    assert "run 3: There is no bridge for this run." in text
    assert "Their input differs." in text


def test_nine_runs_differ_in_colour_or_dash(tmp_path: Path) -> None:
    path = compare_report([small_run()] * 9, tmp_path / "nine.html")
    lines = [
        (trace["line"]["color"], trace["line"]["dash"])
        for trace in payload(path)["figures"]["growth"]["data"]
    ]
    assert len(set(lines)) == 9


@pytest.mark.parametrize(
    ("results", "names", "message"),
    [
        ([small_run], None, "results\\[0\\]: a function is not a BacktestResult"),
        ([], None, "results: 0 of them; compare_report needs two or more"),
        (5, None, "results=5 is not a sequence"),
        (None, ["a"], "names: 1 of them for 2 results"),
        (None, ["a", "a"], "names: 'a' more than once"),
        (None, "ab", "names='ab' is not a sequence of names"),
    ],
)
def test_what_cannot_be_compared(results: Any, names: Any, message: str, tmp_path: Path) -> None:
    given = [small_run(), small_run()] if results is None else results
    with pytest.raises(ValueError, match=message):
        compare_report(given, tmp_path / "no.html", names)
    assert list(tmp_path.iterdir()) == []


def test_the_path_is_checked_first(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not exist"):
        compare_report([], tmp_path / "missing" / "no.html")
