"""What a notebook shows of an object, and its one line elsewhere."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

import pytest

from helpers import bars_of, day
from ml4t.backtest import (
    BacktestConfig,
    Broker,
    PortfolioSnapshot,
    RebalanceConfig,
    plan_rebalance,
)
from ml4t.backtest.html_tables import html_facts, html_table
from report_pages import small_run


def stepped() -> Broker:
    """An account of 1,000 that has bought 10 of "<A>" at 20, and works a limit for 5 more."""
    broker = Broker(BacktestConfig(initial_cash=1_000.0))
    broker.step(day(0), bars_of(**{"<A>": 20.0}))
    broker.submit_order("<A>", 10, "buy")
    broker.submit_order("<A>", 5, "buy", "limit", limit_price=15.0)
    broker.step(day(1), bars_of(**{"<A>": 20.0}))
    return broker


def plan() -> Any:
    account = PortfolioSnapshot(
        cash=1_000.0, prices={"<A>": 10.0, "B": 10.0, "C": 10.0}, positions={"C": 10}
    )
    # A is capped at 0.3 of 1,100: 330, 33 shares. B: 0.005 is below the threshold of 0.01.
    rules = RebalanceConfig(max_single_weight=0.3)
    return plan_rebalance({"<A>": 0.5, "B": 0.005}, account, rules)


MAKERS: dict[str, Callable[[], Any]] = {
    "result": small_run,
    "plan": plan,
    "order": lambda: stepped().orders[0],
    "position": lambda: stepped().get_position("<A>"),
    "bridge": lambda: small_run().bridge(),
}


def cells(page: str) -> list[list[str]]:
    """The texts of a table, row by row."""
    rows = re.findall(r"<tr.*?</tr>", page)
    return [
        [html.unescape(cell) for cell in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row)]
        for row in rows
    ]


@pytest.mark.parametrize("name", MAKERS)
def test_one_table_and_one_line(name: str) -> None:
    thing = MAKERS[name]()
    page = thing._repr_html_()
    assert page.count("<table") == page.count("</table>") == 1
    assert "<A>" not in page
    assert "\n" not in repr(thing)
    assert repr(thing).startswith(type(thing).__name__)


def test_a_plan_says_what_is_ordered_first_and_why_in_words() -> None:
    page = plan()._repr_html_()
    # Turnover: 0.5 * (330 bought + 100 sold) / 1,100 = 0.195. Cash: 1,000 + 100 - 330 = 770.
    assert (
        "Plan: 2 orders, 0 cancels, turnover 19.5 % of 1,100, cash after it 770.00, estimated "
        "cost 0.00"
    ) in page.replace("\N{NO-BREAK SPACE}", " ")
    head, *rows = [[cell.replace("\N{NO-BREAK SPACE}", " ") for cell in row] for row in cells(page)]
    assert head == ["asset", "current", "target", "planned", "shares", "value", "why"]
    assert rows == [
        [
            *("<A>", "0.00 %", "30.00 %", "30.00 %", "+33", "+330.00"),
            "an order is sent; the weight was cut to max_single_weight",
        ],
        # 100 of 1,100 are 9.09 %
        ["C", "9.09 %", "0.00 %", "0.00 %", "−10", "−100.00", "an order is sent"],  # noqa: RUF001
        [
            *("B", "0.00 %", "0.50 %", "0.00 %", "", ""),
            "the change of weight is below min_weight_change",
        ],
    ]
    assert page.count("opacity") == 1


def test_a_plan_of_many_rows_is_cut() -> None:
    names = [f"A{k:03d}" for k in range(70)]
    account = PortfolioSnapshot(cash=1e6, prices=dict.fromkeys(names, 10.0))
    page = plan_rebalance(dict.fromkeys(names, 1 / 70), account)._repr_html_()
    assert len(cells(page)) == 61
    assert "60 of 70 rows, all of them are in to_frame()" in page


def test_an_order_as_facts() -> None:
    whole, resting = stepped().orders
    assert cells(whole._repr_html_()) == [
        ["order", "buy 10 <A>, market"],
        ["average fill price", "20.0000"],
        ["filled", "10 of 10"],
        ["status", "filled: all of it has filled"],
        ["created", "2024-01-01"],
    ]
    assert cells(resting._repr_html_()) == [
        ["order", "buy 5 <A>, limit"],
        ["limit price", "15.0000"],
        ["filled", "0 of 5"],
        ["status", "pending: works, and nothing of it has filled"],
        ["created", "2024-01-01"],
    ]


def test_a_position_as_facts() -> None:
    assert cells(stepped().get_position("<A>")._repr_html_()) == [  # type: ignore[union-attr]
        ["quantity", "10"],
        ["entry price", "20.0000"],
        ["entry", "2024-01-02"],
        ["market price", "20.0000"],
        ["market value", "200.00"],
        ["unrealized P&L", "0.00"],
    ]


def test_a_result_has_the_rows_of_its_summary() -> None:
    rows = dict(cells(small_run()._repr_html_()))  # type: ignore[arg-type]
    assert rows["Final equity"] == "1,235.20"
    assert rows["Orders, fills"] == "2, 2"


def test_a_bridge_has_every_item() -> None:
    bridge = small_run().bridge()
    rows = {row[0]: row for row in cells(bridge._repr_html_())}
    assert [*rows][1] == "paper"
    assert {*bridge.terms} == {name.replace(" ", "_") for name in [*rows][2:-2]}
    assert rows["account"][1] == "1,235"


def test_html_is_escaped() -> None:
    page = html_table(("<h>",), [("&",)], "<c>", faint=frozenset({0}))
    assert "&lt;h&gt;" in page
    assert "<td style" in page
    assert "&amp;" in page
    assert "&lt;c&gt;" in page
    assert "<thead>" not in html_facts([("a", "b")], "c")
