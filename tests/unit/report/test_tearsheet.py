"""The page of a run: what is in it, what it says of odd runs, and how it gets to the disk."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from helpers import Script, buy, day, feed_of, long_frame, run_script, sell
from ml4t.backtest import (
    BacktestConfig,
    BacktestResult,
    Engine,
    ExecutionMode,
    run_provider,
    run_weights,
)
from ml4t.backtest.errors import NoDecisionError
from ml4t.backtest.report import tables
from report_pages import CLOSES, CONFIG, packed, payload, small_run, text_of

SECTIONS = [
    *("verdict", "equity", "drawdown", "months", "risk", "weights", "assets", "costs"),
    *("drift", "rebalances", "trades", "data", "config"),
]
BLANK = "\N{NO-BREAK SPACE}"


def page_of(result: BacktestResult, folder: Path, **options: Any) -> str:
    """What somebody reads of the report of a result."""
    return text_of(result.report(folder / "report.html", **options)).replace(BLANK, " ")


def sections(path: Path) -> list[str]:
    return re.findall(r'<section id="(\w+)"', path.read_text(encoding="utf-8"))


def test_the_page_of_a_small_run(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    assert small_run().report(path, title="A small run") == path
    page = path.read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert sections(path) == SECTIONS
    assert "<title>A small run</title>" in page
    text = text_of(path).replace(BLANK, " ")
    # 3 days: the first bar to the last.
    assert "1,000 became 1,235 in 3 days" in text
    assert "Final equity 1,235 from 1,000 in 3 days" in text
    assert "Deepest drawdown −16.6 % on 2024-01-04" in text  # noqa: RUF001
    assert "Every asset has a bar at every time of the run." in text
    assert "rate = 0.01" in text
    assert small_run().fingerprint in text


def test_an_empty_title_is_the_usual_one(tmp_path: Path) -> None:
    page = small_run().report(tmp_path / "report.html", title=" ").read_text(encoding="utf-8")
    assert "<title>Backtest report</title>" in page
    assert "<h1>Backtest report</h1>" in page


def test_turnover_says_that_it_is_half(tmp_path: Path) -> None:
    text = page_of(small_run(), tmp_path)
    # 49 of 50 shares.
    assert "49 % was traded, each as half of purchases and sales (98 % of what was asked)" in text
    assert "turnover, half of purchases and sales" in text


def test_every_chart_has_its_sentence_and_its_figure(tmp_path: Path) -> None:
    path = small_run().report(tmp_path / "report.html")
    page = path.read_text(encoding="utf-8")
    charts = re.findall(r'data-figure="(\w+)" style="[^"]*" role="img" aria-label="([^"]*)"', page)
    assert {name for name, _ in charts} == set(payload(path)["figures"])
    assert all(sentence.endswith(".") for _, sentence in charts)
    captions = re.findall(r"<figcaption>.*?</figcaption>", page, re.DOTALL)
    for _, sentence in charts:
        assert any(sentence in caption for caption in captions)


def test_the_page_needs_no_network(tmp_path: Path) -> None:
    page = small_run().report(tmp_path / "report.html").read_text(encoding="utf-8")
    assert not re.search(r'(src|href)="(?!#)', page)
    assert 'http-equiv="Content-Security-Policy" content="default-src \'none\';' in page
    assert len(re.findall(r'id="plotly"', page)) == 1
    assert packed(page, "plotly")[:2000].decode().lstrip().startswith("/**\n* plotly.js v")


def test_two_pages_of_one_result_are_the_same(tmp_path: Path) -> None:
    first, second = (small_run().report(tmp_path / f"{k}.html") for k in "ab")
    assert first.read_bytes() == second.read_bytes()


def test_the_explorer_has_every_row_of_a_plan(tmp_path: Path) -> None:
    found = payload(small_run().report(tmp_path / "report.html"))["explorer"]
    assert found["plans"]["label"] == ["2024-01-01"]
    assert found["plans"]["start"] == [0, 2]
    # 50 shares each at 10.
    assert found["plans"]["sentence"] == [
        "2 assets, 2 orders worth 1,000 at the prices of the plan."
    ]
    columns = {column["label"]: column for column in found["columns"]}
    assert columns["Asset"]["names"] == ["A", "B"]
    assert columns["Requested"]["values"] == [0.5, 0.5]
    assert columns["Planned"]["values"] == [0.5, 0.5]
    assert columns["Filled"]["values"] == pytest.approx([490 / 990.2] * 2, abs=1e-5)
    assert columns["Order, shares"]["values"] == [50, 50]
    assert columns["Filled, shares"]["values"] == [49, 49]
    assert columns["Fill price"]["values"] == [10, 10]
    why = columns["What and why"]
    assert [why["names"][code] for code in why["values"]] == [
        "Ended before all of it had filled (cash did not suffice)"
    ] * 2


def test_the_explorer_says_why_there_was_no_order(tmp_path: Path) -> None:
    config = BacktestConfig(initial_cash=1_000.0, rebalance={"max_single_weight": 0.4})
    asked = {day(0): {"A": 0.5, "B": 0.005}, day(2): {"A": 0.405, "B": 0.0}}
    flat = feed_of({"A": [10.0] * 4, "B": [10.0] * 4, "C": [10.0] * 4})
    found = payload(run_weights(flat, asked, config).report(tmp_path / "report.html"))["explorer"]
    columns = {column["label"]: column for column in found["columns"]}
    why = columns["What and why"]
    assert [why["names"][code] for code in why["values"]] == [
        "All of it has filled; the weight was cut to max_single_weight",
        "The change of weight is below min_weight_change",
        # 0.405 is cut to 0.4, which is held.
        "At its target already; the weight was cut to max_single_weight",
    ]
    # B is wanted at 0 and not held at the second: it has no row there.
    assert found["plans"]["start"] == [0, 2, 3]
    assert found["plans"]["sentence"] == [
        "2 assets, 1 order worth 400.00 at the prices of the plan; no order: 1 weight change too "
        "small.",
        "1 asset, 0 orders; no order: 1 at target; 1 more neither wanted nor held.",
    ]
    quantities = columns["Order, shares"]["values"]
    assert quantities[0] == 40
    assert np.isnan(quantities[1:]).all()


def test_many_rows_are_spread_over_fewer_dates() -> None:
    from ml4t.backtest.report.explorer import explorer_rows  # noqa: PLC0415

    asked = {day(k): {"A": 0.1 + 0.001 * k, "B": 0.2} for k in range(30)}
    closes = {"A": [10.0] * 31, "B": [10.0] * 31}
    shown = explorer_rows(run_weights(feed_of(closes), asked), most=20)
    # 60 rows of 30 plans: a third of them.
    assert len(shown.times) == 10
    assert [shown.times[0], shown.times[-1]] == [day(0), day(29)]
    assert shown.note.startswith("10 of 30 rebalances are in this page")
    assert shown.table["plan"].unique().sort().to_list() == list(range(10))


def test_times_are_those_of_the_clock_on_the_wall(tmp_path: Path) -> None:
    # 15:00 in New York is 20:00 in UTC in January.
    frame = long_frame(CLOSES).with_columns(
        pl.col("timestamp").dt.offset_by("15h").dt.replace_time_zone("America/New_York")
    )
    asked = {frame["timestamp"][0]: {"A": 0.5, "B": 0.5}}
    path = run_weights(frame, asked, CONFIG).report(tmp_path / "report.html")
    found = payload(path)
    assert found["explorer"]["plans"]["label"] == ["2024-01-01 15:00"]
    first = found["figures"]["equity"]["data"][0]["x"][0]
    assert first == 1_704_067_200_000 + 15 * 3_600_000  # 2024-01-01 15:00
    assert "2024-01-01 15:00 to 2024-01-04 15:00, 4 bars" in text_of(path)


def test_trades_as_a_table(tmp_path: Path) -> None:
    actions = {0: buy("A", 10), 2: sell("A", 10), 1: buy("B", 5)}
    run = run_script(actions, CLOSES, BacktestConfig(initial_cash=1_000.0))
    found = payload(run.report(tmp_path / "report.html"))["tables"]["trades-grid"]
    columns = {column["label"]: column for column in found["columns"]}
    assert columns["Asset"]["names"] == ["A", "B"]
    # Bought at 10 in bar 1 and sold at 20 in bar 3; bought at 10 in bar 2, marked at 5.
    assert columns["P&L"]["values"] == [100, -25]
    assert columns["Return"]["values"] == [1.0, -0.5]
    exits = columns["Exit"]["values"]
    assert exits[0] == 1_704_067_200_000 + 3 * 86_400_000  # 2024-01-04
    assert np.isnan(exits[1])
    assert columns["Exit"]["blank"] == "open"
    held = columns["Held at the end"]["values"]
    assert np.isnan(held[0])
    assert held[1] == 5


def test_it_is_said_how_a_trade_is_counted(tmp_path: Path) -> None:
    # 10 bought at 10, of which 4 are sold at 20: one trade, open, 6 of its 10 held.
    run = run_script({0: buy("A", 10), 1: sell("A", 4)}, CLOSES)
    path = run.report(tmp_path / "report.html")
    columns = {c["label"]: c for c in payload(path)["tables"]["trades-grid"]["columns"]}
    assert columns["Shares in all"]["values"] == [10]
    assert columns["Held at the end"]["values"] == [6]
    assert columns["Average exit or last mark"]["values"] == [20]
    text = text_of(path)
    assert "A round trip goes from flat to flat" in text
    assert "closed trades 0 " in text


def test_long_tables_are_cut_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    trips = small_run().round_trips()
    monkeypatch.setattr(tables, "MOST_ROWS", 1)
    assert tables.trades_sentence(trips).endswith("The table has the last 1.")


def test_a_run_of_direct_orders_has_no_promise(tmp_path: Path) -> None:
    text = page_of(run_script({0: buy("A", 10)}, CLOSES), tmp_path)
    assert "No weights were ever requested, so there is no promise to compare" in text
    assert "There was no rebalance with a row." in text


def test_the_optimizer_log_is_there_where_a_provider_was_asked(tmp_path: Path) -> None:
    class Provider:
        uses_account = False
        asked = 0

        def get_weights(self, data: Any, broker: Any) -> dict[str, float]:
            self.asked += 1
            if self.asked == 1:
                raise NoDecisionError("too <few> bars")
            return {"A": 0.5}

    run = run_provider(feed_of(CLOSES), Provider(), "every_bar")
    path = run.report(tmp_path / "report.html")
    assert "log" in sections(path)
    columns = {c["label"]: c for c in payload(path)["tables"]["log-grid"]["columns"]}
    assert columns["Status"]["names"] == ["no decision", "ok"]
    assert columns["Message"]["names"] == ["too <few> bars"]
    assert "Fallback" not in columns
    assert "The optimizer was asked 4 times: 3 ok, 1 no decision" in text_of(path)


# ---------------------------------------------------------------- odd runs


def stopped(at: int) -> BacktestResult:
    def stop(data: Any, broker: Any) -> None:
        raise RuntimeError("stop")

    engine = Engine(feed_of(CLOSES), Script({at: stop}))
    with pytest.raises(RuntimeError, match="stop"):
        engine.run()
    return engine.result


def own_costs() -> BacktestResult:
    return run_weights_by_event({"A": 0.5})


class OwnCommission:
    def commission(self, asset: str, quantity: float, notional: float) -> float:
        return 1.0


def run_weights_by_event(weights: dict[str, float]) -> BacktestResult:
    class Fixed:
        def get_weights(self, data: Any, broker: Any) -> dict[str, float]:
            return weights

    config = BacktestConfig(initial_cash=1_000.0, commission=OwnCommission())
    return run_provider(feed_of(CLOSES), Fixed(), "every_bar", config)


def test_a_run_that_was_stopped_in_its_first_bar(tmp_path: Path) -> None:
    run = stopped(0)
    assert run.equity.height == 0
    text = page_of(run, tmp_path)
    assert "The run was stopped before its first bar was complete" in text
    assert "The run has no complete bar, so there is no equity to show." in text
    assert "The run has no bars." in text
    assert "Every asset has a bar" not in text


@pytest.mark.parametrize("mode", list(ExecutionMode))
def test_one_bar(mode: ExecutionMode, tmp_path: Path) -> None:
    config = BacktestConfig(initial_cash=1_000.0, execution_mode=mode)
    feed = feed_of({"A": [10.0], "B": [10.0]})
    text = page_of(run_weights(feed, {day(0): {"A": 0.5}}, config), tmp_path)
    assert "1,000 became 1,000" in text
    assert ("Nothing was ever traded." in text) is (mode is ExecutionMode.NEXT_BAR)


def test_no_trades_at_all(tmp_path: Path) -> None:
    text = page_of(Engine(feed_of(CLOSES), Script()).run(), tmp_path)
    assert "Nothing was ever traded." in text
    assert "Nothing was traded, so nothing was paid." in text
    assert "Nothing was bought or sold, so there are no trades." in text


def test_an_account_that_loses_everything(tmp_path: Path) -> None:
    closes = {"A": [100.0, 100.0, 50.0, 1e-9, 1e-9]}
    text = page_of(run_weights(feed_of(closes), {day(0): {"A": 1.0}}, CONFIG), tmp_path)
    assert "−100.0 %" in text  # noqa: RUF001


def test_a_loaded_result_says_that_it_needs_prices(tmp_path: Path) -> None:
    small_run().save(tmp_path / "run")
    loaded = BacktestResult.load(tmp_path / "run")
    text = page_of(loaded, tmp_path)
    assert "There is no bridge for this run." in text
    assert "pass those of its run as prices=" in text
    assert "Costs 9.80 commission and slippage" in text
    assert "Lost to trading" in page_of(loaded, tmp_path, prices=feed_of(CLOSES))


def test_a_loaded_result_with_a_cost_model_in_python_says_so(tmp_path: Path) -> None:
    fresh = own_costs()
    assert "Lost to trading" in page_of(fresh, tmp_path) or "Gained" in page_of(fresh, tmp_path)
    fresh.save(tmp_path / "run")
    loaded = BacktestResult.load(tmp_path / "run")
    text = page_of(loaded, tmp_path, prices=feed_of(CLOSES))
    assert "There is no bridge for this run." in text
    assert "OwnCommission" in text


def test_names_and_title_are_escaped(tmp_path: Path) -> None:
    names = ["<script>alert(1)</script>", "</script><b>x", "{{ 7 * 7 }}", "a" * 40, "&\"'"]
    closes = {name: [10.0 + k, 11.0, 12.0 - k] for k, name in enumerate(names)}
    run = run_weights(feed_of(closes), {day(0): dict.fromkeys(names, 0.2)})
    path = run.report(tmp_path / "report.html", title="</title><script>alert(2)</script>")
    page = path.read_text(encoding="utf-8")
    assert "alert(2)" in page
    assert not re.search(r"<script>\s*alert", page)
    assert "<b>x" not in page
    # Data, plotly and the scripts of the page.
    assert len(re.findall(r"<script\b", page)) == 3
    figures = payload(path)["figures"]
    texts = [trace.get("name", "") for found in figures.values() for trace in found["data"]]
    assert "&lt;/script&gt;&lt;b&gt;x" in texts
    assert not any("<" in text for text in texts)
    # Nothing in a name is a template of ours; the scripts write texts, never tags.
    assert payload(path)["explorer"]["asset"]["names"] == sorted(names)


def test_five_thousand_assets(tmp_path: Path) -> None:
    names = [f"A{k:04d}" for k in range(5_000)]
    prices = pl.DataFrame(
        {
            "timestamp": [day(t) for t in range(3) for _ in names],
            "asset": names * 3,
            "close": np.linspace(10.0, 20.0, 15_000),
        }
    )
    asked = {day(0): dict.fromkeys(names[:10], 0.1)}
    path = run_weights(prices, asked).report(tmp_path / "report.html")
    found = payload(path)["explorer"]
    # Only the ten that were asked for have a row.
    assert found["plans"]["start"] == [0, 10]
    assert path.stat().st_size < 3_000_000


def test_remarks_on_the_data(tmp_path: Path) -> None:
    closes = {
        "A": [10.0, 10.0, 10.0, 10.0, 10.0],
        "ends": [10.0, 10.0, 10.0, None, None],
        "gap": [10.0, None, None, 10.0, 10.0],
        "late": [None, 10.0, 10.0, 10.0, 10.0],
    }
    run = run_weights(long_frame(closes), {day(0): {"A": 0.5, "ends": 0.4}})
    text = page_of(run, tmp_path)
    # 100,000 * 0.4 / 10 shares at their last close of 10.
    assert (
        "1 asset ended before the data did: ends (2024-01-03). That is inferred from the whole of "
        "the data: no trader could have known. 1 of them was held, worth 40,000 at the last mark "
        "(delisting = hold)."
    ) in text
    assert "1 asset lacks bars between its first and its last, 2 in all: gap (2)." in text
    assert "1 asset begins later than the data: late (2024-01-02)." in text


# ---------------------------------------------------------------- benchmarks


def test_a_benchmark_is_beside_the_account(tmp_path: Path) -> None:
    text = page_of(small_run(), tmp_path, benchmark="B")
    assert "B earned" in text
    assert "and B to 500.00." in text


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (pl.DataFrame({"timestamp": [day(0), day(1)], "x": [None, None]}), "not one level"),
        (pl.DataFrame({"timestamp": [day(90)], "x": [1.0]}), "no time of it is a bar"),
        ("C", "'C' is no asset of the feed"),
    ],
)
def test_a_benchmark_that_cannot_be_aligned(other: Any, message: str, tmp_path: Path) -> None:
    if isinstance(other, pl.DataFrame):
        other = other.with_columns(pl.col("x").cast(float))
    with pytest.raises(ValueError, match=message):
        small_run().report(tmp_path / "report.html", benchmark=other)
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- on the disk


def test_a_page_is_replaced_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.html"
    path.write_text("old", encoding="utf-8")

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(ValueError, match="cannot be written \\(No space left on device\\)"):
        small_run().report(path)
    monkeypatch.undo()
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]
    small_run().report(path)
    assert list(tmp_path.iterdir()) == [path]
    assert len(path.read_bytes()) > 1_000_000


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real.html").write_text("old", encoding="utf-8")
    link = tmp_path / "link.html"
    try:
        link.symlink_to(tmp_path / "real.html")
    except OSError:
        pytest.skip("this system makes no links")
    small_run().report(link)
    assert link.is_symlink()
    assert len((tmp_path / "real.html").read_bytes()) > 1_000_000


def test_paths_that_cannot_be_written(tmp_path: Path) -> None:
    run = small_run()
    with pytest.raises(ValueError, match="this is a folder; pass the path of a file in it"):
        run.report(tmp_path)
    with pytest.raises(ValueError, match=r"the folder .*missing does not exist; make it"):
        run.report(tmp_path / "missing" / "report.html")
    with pytest.raises(ValueError, match="path=5 is not a path"):
        run.report(5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="is not a path"):
        run.report("a\0b.html")
    with pytest.raises(ValueError, match=r"cannot be (reached|written)"):
        run.report(tmp_path / ("x" * 300))
    assert list(tmp_path.iterdir()) == []


def test_prices_of_another_run_are_refused(tmp_path: Path) -> None:
    other = feed_of({"A": [1.0, 2.0], "B": [1.0, 2.0]})
    with pytest.raises(ValueError, match="they are not those of this run"):
        small_run().report(tmp_path / "report.html", prices=other)


# ---------------------------------------------------------------- the extra


@pytest.mark.parametrize("missing", ["plotly", "jinja2"])
def test_without_the_extra_the_message_has_the_pip_line(missing: str) -> None:
    code = f"""
import sys
sys.modules[{missing!r}] = None
import polars as pl
from datetime import datetime
from ml4t.backtest import run_weights
prices = pl.DataFrame({{"timestamp": [datetime(2024, 1, 1)], "asset": "A", "close": [1.0]}})
result = run_weights(prices, {{datetime(2024, 1, 1): {{"A": 1.0}}}})
for look in (lambda: result.plot, lambda: result.report("never.html")):
    try:
        look()
    except ImportError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    line = f"reports and figures need {missing}, which is not installed; "
    assert done.stdout == (line + 'run: pip install "ml4t-backtest[report]"\n') * 2


def partly_covered() -> tuple[BacktestResult, pl.DataFrame]:
    """A year of a loss, then a year of a gain, of which a benchmark covers the second alone.

    All of 1,000 is in A: 10 at first, 5 after a year, 10 after two, in bars of 73 days.
    """
    closes = [10.0, 9.0, 8.0, 7.0, 6.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0]
    times = [day(73 * k) for k in range(11)]
    prices = pl.DataFrame({"timestamp": times, "asset": "A", "close": closes})
    config = BacktestConfig(initial_cash=1_000.0, execution_mode=ExecutionMode.SAME_BAR)
    run = run_weights(prices, {day(0): {"A": 1.0}}, config)
    levels = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5]
    return run, pl.DataFrame({"timestamp": times[5:], "X": levels})


def test_a_benchmark_of_a_part_is_compared_over_that_part(tmp_path: Path) -> None:
    run, benchmark = partly_covered()
    text = page_of(run, tmp_path, benchmark=benchmark)
    # Over the second year, 365 days: from 500 to 1,000 and from 1 to 1.5. In years of 365.25 days
    # 2 ** (365.25 / 365) - 1 = 100.09 % and 1.5 ** (365.25 / 365) - 1 = 50.04 %. 6 of 11 bars.
    assert (
        "X has a level at 54.5 % of the bars, 2024-12-31 to 2025-12-31. Over these it earned "
        "50.04 % a year and the account 100.09 %"
    ) in text
    assert "X 50.04 % from 2024-12-31 to 2025-12-31, the account 100.09 %" in text
    assert (
        "From 2024-12-31 to 2025-12-31 X would have brought the 500.00 that the account had then "
        "to 750.00, the account itself came to 1,000."
    ) in text


def test_a_short_run_has_no_figures_of_a_year(tmp_path: Path) -> None:
    text = page_of(small_run(), tmp_path, benchmark="B")
    # 1,235.2 of 1,000, and B from 10 to 5; on paper 1,250.
    assert (
        "1,000 became 1,235 in 3 days, +23.52 % in all: the run is too short to speak of a year. "
        "Without any friction the weights would have come to 1,250: trading took 14.80."
    ) in text
    assert "B earned −50.00 %, 73.52 percentage points less than the account." in text  # noqa: RUF001
    assert "Return in all 23.52 % too short a run to speak of a year" in text
    assert "Lost to trading 14.80 commission and slippage 9.80" in text
