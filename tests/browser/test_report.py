"""The report in a real browser."""

from __future__ import annotations

import re
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from helpers import day, feed_of
from ml4t.backtest import BacktestConfig, BacktestResult, RebalanceConfig, run_weights
from ml4t.backtest.costs import PercentCommission
from ml4t.backtest.report import compare_report
from report_pages import small_run

#: WCAG 2.1: 4.5 for text, 3 for what is drawn.
TEXT_CONTRAST, DRAWN_CONTRAST = 4.5, 3.0

# What is drawn of each kind of chart.
MARKS = ".scatterlayer path.js-line, .scatterlayer path.js-fill, .bars path, .heatmaplayer image"
CONTRAST = """([selector, property]) => {
    const parse = (text) => text.match(/[\\d.]+/g).slice(0, 3).map(Number);
    const light = (rgb) => rgb
        .map((c) => c / 255)
        .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
        .reduce((sum, c, k) => sum + c * [0.2126, 0.7152, 0.0722][k], 0);
    const below = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const color = getComputedStyle(at).backgroundColor;
            if (color !== "rgba(0, 0, 0, 0)" && color !== "transparent") return parse(color);
        }
        return [255, 255, 255];
    };
    return [...document.querySelectorAll(selector)]
        .filter((element) => element.getClientRects().length)
        .map((element) => {
            const pair = [light(parse(getComputedStyle(element)[property])), light(below(element))];
            return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
        });
}"""


def drawn(it: Any) -> dict[str, int]:
    """How many marks each chart has."""
    found: dict[str, int] = it.page.evaluate(
        """(marks) => Object.fromEntries([...document.querySelectorAll("[data-figure]")].map(
            (box) => [box.dataset.figure, box.querySelectorAll(marks).length]
        ))""",
        MARKS,
    )
    return found


def test_every_chart_is_drawn_without_a_network(opened: Any, stocks_page: Path) -> None:
    with opened(stocks_page) as it:
        assert it.page.title() == "Equal weights of 20 stocks"
        # What is below is drawn when it comes into view.
        assert drawn(it)["drift"] == 0
        it.show_all()
        marks = drawn(it)
        assert set(marks) == {
            *("bridge", "equity", "drawdown", "months", "sharpe", "turnover"),
            *("weights", "contributions", "costs", "drift"),
        }
        assert all(count > 0 for count in marks.values()), marks
        assert it.page.locator(".explorer-chart .scatterlayer path.js-line").count() == 2
        # 33 years, 20 bars, paper, account and benchmark.
        assert marks["contributions"] == 20
        assert marks["turnover"] == 2 * 33
        assert it.page.locator('[data-figure="equity"] .scatterlayer path.js-line').count() == 4


def test_the_page_is_small_and_soon_made(stocks: BacktestResult, tmp_path: Path) -> None:
    seconds = []
    for _ in range(3):
        begun = time.perf_counter()
        path = stocks.report(tmp_path / "report.html", benchmark="JNJ")
        seconds.append(time.perf_counter() - begun)
    assert path.stat().st_size < 3_000_000
    assert min(seconds) < 3.0


def test_many_assets_open_soon_and_say_what_is_left_out(opened: Any, tmp_path: Path) -> None:
    n_bars, names = 5_040, [f"A{k:03d}" for k in range(250)]
    rng = np.random.default_rng(0)
    closes = 50.0 * np.exp(np.cumsum(rng.normal(0.0003, 0.01, (n_bars, 250)), axis=0))
    times = np.datetime64("2000-01-01", "us") + np.arange(n_bars) * np.timedelta64(35, "h")
    prices = pl.DataFrame({"timestamp": times}).hstack(pl.DataFrame(closes, schema=names))
    long = prices.unpivot(index="timestamp", variable_name="asset", value_name="close")
    # Every sixth bar a hundred others: 840 rebalances of some 160 rows, and many round trips.
    asked = {}
    for t in range(0, n_bars, 6):
        chosen = rng.permutation(250)[:100]
        moment = prices["timestamp"][t]
        asked[moment] = {names[k]: 0.01 for k in chosen}
    config = BacktestConfig(
        initial_cash=1e8,
        commission=PercentCommission(0.001),
        rebalance=RebalanceConfig(min_weight_change=0.0, min_trade_value=0.0),
    )
    path = run_weights(long, asked, config).report(tmp_path / "report.html")
    assert path.stat().st_size < 8_000_000
    milliseconds = []
    for _ in range(2):
        with opened(path) as it:
            milliseconds.append(it.page.evaluate("performance.now()"))
            text = it.page.locator("main").inner_text()
            assert "rebalances are in this page, evenly spread" in text
            assert "What was held is drawn at 1,000 of 5,040 closes." in text
    assert min(milliseconds) < 5_000


def test_the_explorer_shows_another_date(
    opened: Any, stocks: BacktestResult, stocks_page: Path
) -> None:
    planned = stocks.weights("planned")
    filled = stocks.weights("filled")
    with opened(stocks_page) as it:
        box = it.page.locator("#explorer-box")
        select = box.locator(".explorer-date")
        labels = it.texts("#explorer-box .explorer-date option")
        assert len(labels) == planned.height == 395

        def shown() -> dict[str, list[str]]:
            rows = [row.split("\t") for row in it.texts("#explorer-box tbody tr")]
            return {row[0]: row[1:] for row in rows}

        def percents(cells: list[str]) -> list[float]:
            assert all(re.fullmatch(r"\d+\.\d\d %", cell) for cell in cells)
            return [float(cell[:-2]) for cell in cells]

        # It begins with the last rebalance that sent an order.
        assert any(cells[5] for cells in shown().values())
        for k in (0, 100):
            select.select_option(str(k))
            assert box.locator(".explorer-date").input_value() == str(k)
            found = shown()
            assert [*found] == planned.columns[1:]
            for name, cells in found.items():
                expected = [5.0, 100 * planned[name][k], 100 * filled[name][k]]
                got = percents([cells[0], cells[3], cells[4]])
                # Half a unit of the last digit, and what the page rounds before.
                assert got == pytest.approx(expected, abs=0.0052)
        assert "no order: " in box.locator(".explorer-sentence").inner_text()
        box.locator(".explorer-next").click()
        assert select.input_value() == "101"
        assert box.locator(".explorer-slider").input_value() == "101"
        box.locator(".explorer-slider").fill("0")
        assert select.input_value() == "0"
        assert box.locator(".explorer-back").is_disabled()
        # At first all 20 are ordered, later only some.
        assert box.locator("tbody tr").count() == 20
        select.select_option("100")
        box.locator(".explorer-traded").check()
        n_ordered = stocks.rebalances.filter(
            (pl.col("plan_idx") == 100) & (pl.col("quantity") != 0.0)
        ).height
        assert box.locator("tbody tr").count() == n_ordered < 20
        box.locator(".explorer-traded").uncheck()
        box.locator(".grid-filter").fill("aapl")
        assert [*shown()] == ["AAPL"]


def test_one_asset_over_time(opened: Any, stocks_page: Path) -> None:
    with opened(stocks_page) as it:
        it.show_all()
        chart = it.page.locator(".explorer-chart")
        before = chart.locator(".scatterlayer path.js-line").nth(1).get_attribute("d")
        it.page.locator(".explorer-asset").select_option(label="XOM")
        assert chart.locator(".scatterlayer path.js-line").nth(1).get_attribute("d") != before
        assert "XOM" in (chart.get_attribute("aria-label") or "")


def test_trades_are_sorted_and_filtered(
    opened: Any, stocks: BacktestResult, stocks_page: Path
) -> None:
    trips = stocks.round_trips()
    by_pnl = trips.sort("pnl", descending=True)["asset"].to_list()
    with opened(stocks_page) as it:
        grid = it.page.locator("#trades-grid")
        head = grid.get_by_role("columnheader", name="P&L")
        names = "#trades-grid tbody th"
        assert it.texts(names) == trips["asset"].to_list()
        head.get_by_role("button").click()
        assert head.get_attribute("aria-sort") == "descending"
        assert it.texts(names) == by_pnl
        head.get_by_role("button").click()
        assert head.get_attribute("aria-sort") == "ascending"
        assert it.texts(names) == by_pnl[::-1]
        # Anywhere in the cell, beside its words too.
        head.click(position={"x": 2, "y": 2})
        assert head.get_attribute("aria-sort") == "descending"
        grid.get_by_role("columnheader", name="Asset").get_by_role("button").click()
        assert it.texts(names) == sorted(by_pnl)
        assert head.get_attribute("aria-sort") is None
        grid.locator(".grid-filter").fill("j")
        assert it.texts(names) == ["JNJ", "JPM"]
        assert grid.locator(".grid-count").inner_text() == "2 of 20 round trips"
        grid.locator(".grid-filter").fill("1990-02-01")
        assert len(it.texts(names)) == 20
        grid.locator(".grid-filter").fill("no such thing")
        assert it.texts(names) == []


def test_a_long_table_has_pages(opened: Any, stocks_page: Path) -> None:
    with opened(stocks_page) as it:
        grid = it.page.locator("#log-grid")
        assert grid.locator("tbody tr").count() == 50
        assert grid.get_by_role("button", name="Previous").is_disabled()
        first = it.texts("#log-grid tbody th")[0]
        grid.get_by_role("button", name="Next").click()
        assert it.texts("#log-grid tbody th")[0] != first
        assert "page 2 of 8" in grid.inner_text()
        # On paper it says which part that is: 50 rows a page.
        part = grid.locator(".grid-part")
        assert not part.is_visible()
        it.page.emulate_media(media="print")
        assert re.fullmatch(r"Printed here: 51 to 100 of 39\d\.", part.inner_text())


def test_the_scale_of_the_axis(opened: Any, stocks_page: Path) -> None:
    with opened(stocks_page) as it:
        it.show_all()
        kind = "document.querySelector('[data-figure=equity]')._fullLayout.yaxis.type"
        assert it.page.evaluate(kind) == "log"
        it.page.get_by_role("button", name="Linear").click()
        assert it.page.evaluate(kind) == "linear"
        it.page.get_by_role("button", name="Dark").click()
        assert it.page.evaluate(kind) == "linear"
        it.page.get_by_role("button", name="Logarithmic").click()
        assert it.page.evaluate(kind) == "log"


def test_nothing_is_wider_than_a_phone(opened: Any, stocks_page: Path, tmp_path: Path) -> None:
    names = ["n" * 40, "<b>&amp;" * 5, "a b " * 10]
    closes = {name: [10.0 + k, 11.0, 12.0 + k] for k, name in enumerate(names)}
    odd = run_weights(feed_of(closes), {day(0): dict.fromkeys(names, 0.3)})
    odd_page = odd.report(tmp_path / "odd.html", title="t" * 200)
    both = compare_report([small_run(), odd], tmp_path / "both.html", ["a" * 60, "b"])
    for path in (stocks_page, odd_page, both):
        with opened(path, width=390) as it:
            it.show_all()
            assert it.page.evaluate("document.scrollingElement.scrollWidth") <= 390
            assert it.page.evaluate("window.innerWidth") == 390
            for box in it.page.locator(".main-svg").all():
                found = box.bounding_box()
                assert found is None or found["x"] + found["width"] <= 390.5
            if path == stocks_page:
                assert all(count > 0 for count in drawn(it).values())


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_schemes_can_be_read(scheme: str, opened: Any, stocks_page: Path) -> None:
    with opened(stocks_page, scheme=scheme) as it:
        it.show_all()
        it.page.locator("summary").first.click()
        assert it.page.locator("html").get_attribute("data-theme") == scheme
        for selector in ("p", "h1", "h2", "h3", "a", "td", "th", "button:not(:disabled)", "dt, dd"):
            found = it.page.evaluate(CONTRAST, [selector, "color"])
            assert found, selector
            assert min(found) >= TEXT_CONTRAST, selector
        texts = ".xtick text, .ytick text, .legendtext, .g-ytitle text, .bars text"
        assert min(it.page.evaluate(CONTRAST, [texts, "fill"])) >= TEXT_CONTRAST
        # Lines that stand alone; areas have their neighbours and a legend.
        lines = '[data-figure="equity"] path.js-line, [data-figure="sharpe"] path.js-line'
        assert min(it.page.evaluate(CONTRAST, [lines, "stroke"])) >= DRAWN_CONTRAST


def test_the_scheme_is_switched_by_hand(opened: Any, stocks_page: Path) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    tick = "getComputedStyle(document.querySelector('[data-figure=equity] .ytick text')).fill"
    with opened(stocks_page) as it:
        it.show_all()
        light = it.page.evaluate(paper), it.page.evaluate(tick)
        button = it.page.get_by_role("button", name="Dark")
        assert button.get_attribute("aria-pressed") == "false"
        button.click()
        dark = it.page.evaluate(paper), it.page.evaluate(tick)
        assert light[0] != dark[0]
        assert light[1] != dark[1]
        assert button.get_attribute("aria-pressed") == "true"
        # Chosen by hand, it does not follow the system any more.
        it.page.emulate_media(color_scheme="dark")
        button.click()
        it.page.emulate_media(color_scheme="light")
        it.page.emulate_media(color_scheme="dark")
        assert it.page.locator("html").get_attribute("data-theme") == "light"
    with opened(stocks_page) as it:
        it.page.emulate_media(color_scheme="dark")
        it.page.wait_for_selector("html[data-theme=dark]")


def test_on_paper_everything_is_drawn_and_light(opened: Any, stocks_page: Path) -> None:
    with opened(stocks_page, scheme="dark") as it:
        assert drawn(it)["drift"] == 0
        assert len(it.page.pdf()) > 50_000
        assert all(count > 0 for count in drawn(it).values())
        assert it.page.locator("html").get_attribute("data-theme") == "dark"
        it.page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        it.page.emulate_media(media="print")
        assert it.page.locator("html").get_attribute("data-theme") == "light"
        assert not it.page.locator("nav").is_visible()
        assert not it.page.locator("#scheme").is_visible()
        assert it.page.locator("#trades-grid .scroll").evaluate(
            "(box) => box.scrollHeight <= box.clientHeight + 1"
        )
        assert it.page.locator(".explorer-when").inner_text().startswith("The rebalance of ")
        # All 20 round trips are on one page.
        assert not it.page.locator("#trades-grid .grid-part").is_visible()
        for selector in ("#trades-grid .grid-table", "#explorer-box .grid-table"):
            table = it.page.locator(selector).bounding_box()
            assert table["x"] + table["width"] <= 700.5, selector
        for figure in it.page.locator(".tile .figure").all():
            assert figure.evaluate("(it) => it.scrollWidth <= it.clientWidth"), figure.inner_text()
        # A4 without its margins is 688 pixels wide.
        width = it.page.locator('[data-figure="equity"] .main-svg').first.bounding_box()["width"]
        assert width <= 700


def test_names_cannot_run_as_scripts(opened: Any, tmp_path: Path) -> None:
    names = [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        '"><svg onload=alert(1)>',
        "</script><script>alert(1)</script>",
        '<a href="javascript:alert(1)">x</a>',
    ]
    closes = {name: [10.0, 11.0 + k, 12.0] for k, name in enumerate(names)}
    run = run_weights(feed_of(closes), {day(0): dict.fromkeys(names, 0.2)})
    path = run.report(tmp_path / "report.html", title="<img src=x onerror=alert(1)>")
    with opened(path) as it:
        it.show_all()
        assert it.page.locator("h1").inner_text() == "<img src=x onerror=alert(1)>"
        assert it.texts("#trades-grid tbody th") == sorted(names)
        assert it.page.locator("img").count() == 0
        # plotly knows some tags: links of names would be links.
        assert it.page.locator(".main-svg a").count() == 0
        shown = it.page.locator('[data-figure="weights"] .legendtext').all_text_contents()
        assert sum("<" in text for text in shown) >= len(names)


def test_what_a_reader_with_a_screen_reader_gets(opened: Any, stocks_page: Path) -> None:
    with opened(stocks_page) as it:
        it.show_all()
        assert it.page.locator("html").get_attribute("lang") == "en"
        assert it.page.locator("h1").count() == 1
        levels = it.page.evaluate(
            "[...document.querySelectorAll('h1, h2, h3')].map(({ tagName }) => +tagName[1])"
        )
        assert all(after <= before + 1 for before, after in pairwise(levels))
        unlabelled = it.page.evaluate(
            """[...document.querySelectorAll("button, select, input, section, .scroll, .chart")]
            .filter((e) => !(e.textContent.trim() || e.labels?.length || e.ariaLabel
                             || e.getAttribute("aria-label")))
            .map((e) => e.outerHTML)"""
        )
        assert unlabelled == []
        heads = it.page.evaluate(
            """[...document.querySelectorAll("table")].map(
                (table) => table.querySelectorAll("thead th[scope=col]").length)"""
        )
        assert min(heads) >= 2
        # By keyboard: the first stop leads past the sections.
        it.page.keyboard.press("Tab")
        assert it.page.evaluate("document.activeElement.textContent") == "To the report"


def test_odd_runs_open(opened: Any, tmp_path: Path) -> None:
    runs = {
        "one bar": run_weights(feed_of({"A": [10.0]}), {day(0): {"A": 0.5}}),
        "no weights": run_weights(feed_of({"A": [10.0, 11.0]}), {day(0): {"A": 0.0}}),
        "small": small_run(),
    }
    for name, run in runs.items():
        with opened(run.report(tmp_path / "odd.html", title=name)) as it:
            it.show_all()
            assert it.page.locator("h1").inner_text() == name
            # Of nothing there is nothing to choose.
            is_there = it.page.locator(".explorer-asset").is_visible()
            assert is_there is (name != "no weights"), name


def test_runs_compared(opened: Any, stocks: BacktestResult, tmp_path: Path) -> None:
    path = compare_report([small_run(), stocks], tmp_path / "both.html", ["small", "stocks"])
    with opened(path) as it:
        it.show_all()
        assert set(drawn(it)) == {"growth", "drawdown"}
        assert all(count >= 2 for count in drawn(it).values())


def test_without_scripts_there_are_the_verdict_and_the_tables(
    browser: Any, stocks_page: Path
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(stocks_page.as_uri())
    text = page.locator("main").inner_text()
    assert "need JavaScript" in text
    assert "100,000 became" in text
    context.close()


def test_the_report_of_the_demo(
    opened: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What `make demo` ends with: its numbers are those that it has printed."""
    demo = pytest.importorskip("ml4t.backtest.demo")
    pytest.importorskip("skfolio")
    monkeypatch.chdir(tmp_path)
    assert demo.main(progress=False) == 0
    printed = capsys.readouterr().out
    final = re.search(r"Final equity\s*│\s*([\d,]+)", printed)
    assert final is not None
    path = tmp_path / "ml4t-backtest-demo.html"
    assert path.name in printed
    with opened(path) as it:
        it.show_all()
        assert all(count > 0 for count in drawn(it).values())
        assert final.group(1) in it.page.locator("main").inner_text()
        assert "Equal weights, no friction" in it.page.locator("main").inner_text()


def test_the_explorer_opens_where_something_could_fill(opened: Any, tmp_path: Path) -> None:
    # What is decided at the last bar would fill at the next one, which there is not.
    asked = {day(0): {"A": 0.5}, day(2): {"A": 0.9}}
    run = run_weights(feed_of({"A": [10.0, 10.0, 10.0]}), asked)
    with opened(run.report(tmp_path / "report.html")) as it:
        assert it.texts(".explorer-date option") == ["2024-01-01", "2024-01-03"]
        assert it.page.locator(".explorer-date").input_value() == "0"


def test_of_a_phone_words_stay_whole(opened: Any, tmp_path: Path) -> None:
    with opened(small_run().report(tmp_path / "report.html"), width=390) as it:
        label = it.page.locator("label:has(.explorer-asset)")
        # Two lines of text at most, not one a letter.
        assert label.bounding_box()["height"] < 50
        assert "Orange is a loss, blue a gain" in it.page.locator("#months").inner_text()
