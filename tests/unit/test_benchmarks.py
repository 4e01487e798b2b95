"""The benchmarks measure what they say: outcomes by hand, and no time without agreement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
import pytest

from benchmarks import compare, growth, peers, providers, tables, timing
from benchmarks.contender import Contender, Run
from benchmarks.floors import FLOORS
from benchmarks.ours import OURS
from benchmarks.scenarios import SCENARIOS, Scenario, Workload, make_workload
from benchmarks.timing import Measured, measure
from ml4t.backtest import run_weights

# Bar 0: 0.5 and 0.48 of 10,000,000 at 10 and 20 are 500,000 and 240,000 shares; 10 bps of
# 9,800,000 are 9,800, so cash is 190,200.
# Bar 2: 500,000 * 11 + 240,000 * 22 + 190,200 = 10,970,200. Of that 0.25 and 0.5 are 2,742,550 and
# 5,485,100: 2,757,450 is sold, 205,100 is bought, 10 bps of both are 2,962.55.
BY_HAND = 10_970_200.0 - 2_962.55
HAND = Workload(
    scenario=Scenario("hand", 2, 3, 2),
    assets=["A", "B"],
    times=pl.Series("timestamp", [datetime(2024, 1, day) for day in (1, 2, 3)]),
    closes=np.array([[10.0, 20.0], [11.0, 20.0], [11.0, 22.0]]),
    bars=np.array([0, 2]),
    weights=np.array([[0.5, 0.48], [0.25, 0.5]]),
)
WITH_EQUITY = [one for one in (*FLOORS, *OURS) if one.final_equity is not None]


def ending_with(name: str, equity: float, called: list[str], **settings: Any) -> Contender:
    """A program that does nothing but note that it ran."""

    def prepare(workload: Workload) -> Run:
        return lambda: called.append(name)

    return Contender(name, "numpy", prepare, lambda outcome: equity, **settings)


@pytest.mark.parametrize("contender", WITH_EQUITY, ids=lambda one: one.name)
@pytest.mark.parametrize("full_bars", [False, True])
def test_final_equity_by_hand(contender: Contender, full_bars: bool) -> None:
    assert contender.final_equity is not None
    outcome = contender.prepare(replace(HAND, full_bars=full_bars))()
    assert contender.final_equity(outcome) == pytest.approx(BY_HAND, rel=1e-14)


def test_one_pass_reads_every_close() -> None:
    (floor,) = [one for one in FLOORS if one.final_equity is None]
    assert floor.prepare(HAND)() == 94.0


def test_a_workload_is_what_it_says() -> None:
    work = make_workload(Scenario("x", 3, 10, 4))
    assert work.bars.tolist() == [0, 4, 8]
    assert work.row_of_bar.tolist() == [0, -1, -1, -1, 1, -1, -1, -1, 2, -1]
    assert work.n_orders == 9
    assert work.feed.assets == tuple(work.assets)
    np.testing.assert_array_equal(work.feed.bars.close, work.closes)
    np.testing.assert_allclose(work.weights.sum(axis=1), 0.98)
    np.testing.assert_array_equal(make_workload(work.scenario).closes, work.closes)


def test_the_sizes_of_the_scenarios() -> None:
    assert [tuple(one) for one in SCENARIOS] == [
        ("S1", 20, 8313, 21),
        ("S2", 250, 5040, 21),
        ("S3", 250, 5040, 1),
        ("S4", 1000, 2520, 1),
        ("S5", 3000, 5040, 21),
    ]


def test_no_time_without_agreement() -> None:
    called: list[str] = []
    right = ending_with("right", 100.0, called)
    wrong = ending_with("wrong", 100.0 * (1.0 + 2e-9), called)
    with pytest.raises(RuntimeError, match=r"hand: wrong ends with .*right with 100\.0"):
        measure([right, wrong], HAND, 5)
    assert called == ["right", "right", "wrong", "wrong"]  # warm-up and check, then nothing


def test_nan_is_no_agreement() -> None:
    called: list[str] = []
    contenders = [ending_with("right", 100.0, called), ending_with("nan", float("nan"), called)]
    with pytest.raises(RuntimeError, match="nan ends with nan"):
        measure(contenders, HAND, 1)


def test_another_convention_is_timed_and_its_difference_told() -> None:
    called: list[str] = []
    base = ending_with("base", 100.0, called)
    other = ending_with("other", 99.0, called, agrees=False)
    measured = measure([base, other], HAND, 3)
    assert [len(one.seconds) for one in measured] == [3, 3]
    assert [one.difference for one in measured] == [0.0, pytest.approx(-0.01)]
    assert called[4:] == ["base", "other"] * 3
    text = compare.report(measured, [base, other], [], 3)
    assert "other, -1.00e-02 of the final equity in hand" in text


def test_what_is_slow_is_timed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "LONG", 0.0)
    (one,) = measure([ending_with("slow", 1.0, [])], HAND, 5)
    assert len(one.seconds) == 1


def cells(table: str) -> dict[str, list[str]]:
    """The cells of a table by the first one of their row."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    return {row[0]: row[1:] for row in rows}


def test_tables() -> None:
    fast, slow = ending_with("fast", 1.0, []), ending_with("slow", 1.0, [])
    small, large = SCENARIOS[:2]
    measured = [
        Measured(fast, small, [0.3, 0.001, 0.002], 0.0),
        Measured(slow, small, [0.05], -2e-13),
        Measured(fast, large, [0.004], None),
    ]
    found = cells(tables.times(measured))
    assert found["ms"] == ["version", "S1", "S2", "equity apart"]
    assert found["fast"] == [f"numpy {np.__version__}", "2", "4", ""]
    assert found["slow"] == [f"numpy {np.__version__}", "50", "", "-2e-13"]
    found = cells(tables.ratios(measured, fast))
    assert found["slow"] == ["25", ""]
    assert found["fast"] == ["1", "1"]
    # 8313 bars, every 21st from the first on: 396 decisions of 20 orders.
    assert cells(tables.workloads([small]))["S1"] == ["20 x 8,313", "21", "7,920"]


def test_a_peer_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(peers, "installed", lambda package: False)
    assert peers.load() == ([], ["vectorbt", "bt", "backtrader", "zipline-reloaded"])
    monkeypatch.setattr(compare, "make_workload", lambda scenario: HAND)
    text = "Not installed, so not in the table: vectorbt, bt, backtrader, zipline-reloaded."
    compare.main(["--only", "S1", "--repetitions", "1", "--peers"])
    assert text in capsys.readouterr().out
    compare.main(["--only", "S1", "--repetitions", "1"])  # whatever is installed
    assert text not in capsys.readouterr().out


def test_what_was_not_run_is_said() -> None:
    fast, slow = ending_with("fast", 1.0, []), ending_with("turtle", 1.0, [], slow=True)
    measured = [Measured(fast, SCENARIOS[2], [0.1], 0.0)]
    assert "Not run on S3: turtle." in compare.report(measured, [fast, slow], [], 1)


def test_the_report_replaces_what_is_between_the_marks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    drawn: list[Any] = []

    class Plot:
        write_plot: Callable[..., None] = staticmethod(lambda *what: drawn.append(what))

    monkeypatch.setattr(compare, "import_module", lambda name: Plot)
    monkeypatch.setattr(compare, "PAGE", tmp_path / "page.md")
    compare.PAGE.write_text(f"before\n{compare.BEGIN}\nold\n{compare.END}\nafter\n")
    for text in ("new", "newer"):
        compare.write(text, [])
    page = compare.PAGE.read_text()
    assert page.startswith("before\n")
    assert page.endswith("\nafter\n")
    assert page.count("newer") == page.count("speed.svg") == 1
    assert "old" not in page
    assert len(drawn) == 2
    compare.PAGE.write_text("no marks")
    with pytest.raises(SystemExit, match="must be there"):
        compare.write("text", [])


def test_the_page_has_its_marks_and_every_peer() -> None:
    page = compare.PAGE.read_text(encoding="utf-8")
    assert page.index(compare.BEGIN) < page.index(compare.END)
    assert all(f"**{package}**" in page for package in peers.MODULES)


@pytest.mark.parametrize("wrong", [["--only", "S9"], ["--repetitions", "0"]])
def test_options_that_are_wrong(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        compare.parse(wrong)
    assert wrong[1] in capsys.readouterr().err


def test_growth_doubles_one_at_a_time() -> None:
    found = [(one.n_assets, one.n_bars) for one in growth.series("assets", 1)]
    assert found == [(125, 1260), (250, 1260), (500, 1260), (1000, 1260)]
    found = [(one.n_assets, one.n_bars) for one in growth.series("bars", 1)]
    assert found == [(125, 1260), (125, 2520), (125, 5040), (125, 10080)]


@pytest.mark.filterwarnings("ignore::ml4t.backtest.errors.RebalanceWarning")
def test_the_rest_of_a_run_is_all_but_the_fits() -> None:
    found = cells(providers.beside_the_fit(1))
    for what in ("wall", "CPU of the thread"):
        run, fits, rest, share = found[what]
        milliseconds = [float(cell.replace(",", "")) for cell in (run, fits, rest)]
        assert milliseconds[0] == pytest.approx(sum(milliseconds[1:]), abs=0.2)
        assert float(share.strip("%")) == pytest.approx(
            100.0 * milliseconds[2] / milliseconds[0], abs=0.5
        )
        assert milliseconds[1] > 0.0


def test_no_time_of_providers_without_agreement() -> None:
    one, other = (
        run_weights(HAND.feed, {HAND.feed.timestamps[0]: {"A": weight}}) for weight in (0.5, 0.4)
    )
    providers.check_same([one, one])
    with pytest.raises(RuntimeError, match="not the same"):
        providers.check_same([one, other])
