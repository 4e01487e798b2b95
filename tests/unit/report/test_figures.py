"""What the figures draw, against numbers of a run that is worked out in `report_pages`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import plotly.graph_objects as go
import polars as pl
import pytest

from helpers import START, Script, day, feed_of
from ml4t.backtest import BacktestConfig, BacktestResult, Engine, ExecutionMode, run_weights
from ml4t.backtest.attribution import account_size_curve, threshold_curve
from ml4t.backtest.report import ResultPlots, account_size_figure, threshold_figure
from ml4t.backtest.report.costs import costs_by_year, costs_sentence
from ml4t.backtest.report.drawdown import drawdown_sentence
from ml4t.backtest.report.equity import equity_figure, equity_sentence, wants_log
from ml4t.backtest.report.heatmap import monthly_sentence
from ml4t.backtest.report.rolling import rolling_sharpe_sentence
from ml4t.backtest.report.style import label, time_axis, years_axis
from ml4t.backtest.report.weights import weights_figure, weights_sentence
from report_pages import CLOSES, CONFIG, EQUITY, small_run

MINUS, BLANK = "\N{MINUS SIGN}", "\N{NO-BREAK SPACE}"
FIGURES = (
    "bridge",
    "contributions",
    "costs",
    "drawdown",
    "drift",
    "equity",
    "monthly_returns",
    "rolling_sharpe",
    "turnover",
    "weights",
)


def idle() -> BacktestResult:
    """A run of four bars without an order."""
    return Engine(feed_of(CLOSES), Script()).run()


def values(figure: Any, name: str) -> list[float]:
    """The y of the first trace of a name."""
    (trace, *_) = [trace for trace in figure.data if trace.name == name]
    return list(trace.y)


def test_there_is_a_figure_of_everything() -> None:
    plots = small_run().plot
    assert isinstance(plots, ResultPlots)
    assert repr(plots) == f"ResultPlots({', '.join(FIGURES)})"
    for name in FIGURES:
        figure = getattr(plots, name)()
        assert isinstance(figure, go.Figure), name
        assert figure.layout.title.text, name
        # There is no window of a year in four days.
        assert bool(figure.data) is (name != "rolling_sharpe"), name


@pytest.mark.parametrize("name", [name for name in FIGURES if name != "bridge"])
def test_a_run_without_an_order_has_figures_that_say_so(name: str) -> None:
    figure = getattr(idle().plot, name)()
    if not figure.data:
        assert figure.layout.annotations[0].text.endswith(".")


def test_equity_paper_and_the_distance_between_them() -> None:
    figure = small_run().plot.equity()
    np.testing.assert_allclose(values(figure, "account"), EQUITY, rtol=1e-12)
    # On paper 50 of each are bought at 10 at the close of the decision: 500 + 500, then
    # 50 * 20 + 50 * 10 = 1,500 and 1,000 + 250 = 1,250.
    paper = [1_000.0, 1_000.0, 1_500.0, 1_250.0]
    np.testing.assert_allclose(values(figure, "without friction"), paper, rtol=1e-12)
    distance = values(figure, "account against without friction")
    np.testing.assert_allclose(distance, np.array(EQUITY) / paper - 1.0, rtol=1e-12)
    assert figure.data[0].x.tolist() == [START + timedelta(days=k) for k in range(4)]
    assert figure.layout.yaxis.type == "linear"
    assert small_run().plot.equity(log=True).layout.yaxis.type == "log"


def test_a_benchmark_begins_with_the_account() -> None:
    # B falls to half in the last bar.
    figure = small_run().plot.equity(benchmark="B")
    np.testing.assert_allclose(values(figure, "B"), [1_000.0, 1_000.0, 1_000.0, 500.0])
    below = small_run().plot.drawdown(benchmark="B")
    np.testing.assert_allclose(values(below, "B"), [0.0, 0.0, 0.0, -0.5])


def test_a_loaded_result_has_no_paper_without_prices(tmp_path: Any) -> None:
    small_run().save(tmp_path / "run")
    loaded = BacktestResult.load(tmp_path / "run")
    assert [trace.name for trace in loaded.plot.equity().data] == ["account"]
    names = [trace.name for trace in loaded.plot.equity(prices=feed_of(CLOSES)).data]
    assert "without friction" in names


def test_drawdown_counts_from_the_initial_cash() -> None:
    found = values(small_run().plot.drawdown(), "account")
    # 990.2 / 1,000 - 1, then a high, then 1,235.2 / 1,480.2 - 1
    np.testing.assert_allclose(found, [0.0, -0.0098, 0.0, 1_235.2 / 1_480.2 - 1.0], atol=1e-15)


def test_the_heat_map_has_months_and_the_year() -> None:
    (trace,) = small_run().plot.monthly_returns().data
    assert trace.y == ("2024",)
    # Only January has bars: 1,235.2 / 1,000 - 1; then the gap, then the year.
    np.testing.assert_allclose(
        np.array(trace.z[0], float), [0.2352] + [np.nan] * 12 + [0.2352], atol=1e-12
    )
    assert trace.x[0] == "Jan"
    assert trace.x[-1] == "year"


def test_costs_add_up_and_are_set_against_the_equity_of_the_year() -> None:
    run = small_run()
    figure = run.plot.costs()
    # 1 % of 980, from the first bar to the last.
    assert values(figure, "commission") == pytest.approx([0.0, 9.8, 9.8])
    assert values(figure, "slippage") == pytest.approx([0.0, 0.0, 0.0])
    (row,) = costs_by_year(run.fills, run.equity).iter_rows(named=True)
    # mean of the four closes: 4,705.6 / 4 = 1,176.4
    assert row["year"] == 2024
    assert row["commission_bps"] == pytest.approx(1e4 * 9.8 / 1_176.4)
    assert row["slippage_bps"] == 0.0


def test_weights_requested_and_held() -> None:
    figure = small_run().plot.weights()
    assert [trace.name for trace in figure.data] == ["A", "B", "A", "B"]
    # The request stands until the end of the run.
    assert list(figure.data[0].y) == [0.5, 0.5]
    held = [0.0, 490 / 990.2, 980 / 1_480.2, 980 / 1_235.2]
    np.testing.assert_allclose(figure.data[2].y, held, rtol=1e-12)
    assert figure.data[0].stackgroup == "1"


def test_of_many_assets_the_largest_have_a_colour() -> None:
    names = [f"A{k}" for k in range(8)]
    closes = {name: [10.0] * 3 for name in names}
    asked = {name: 0.05 + 0.01 * k for k, name in enumerate(names)}
    figure = run_weights(feed_of(closes), {day(0): asked}).plot.weights()
    shown = [trace.name for trace in figure.data[:7]]
    assert shown == ["A2", "A3", "A4", "A5", "A6", "A7", "all others"]
    # 0.05 + 0.06
    assert figure.data[6].y[0] == pytest.approx(0.11)


def test_short_weights_are_lines() -> None:
    # An area below another one that is negative would stand for nothing.
    run = small_run()
    requested = run.weights("requested").with_columns(A=pl.lit(-0.5))
    figure = weights_figure(requested, run.positions, run.equity)
    assert all(trace.stackgroup is None for trace in figure.data)
    assert list(figure.data[0].y) == [-0.5, -0.5]


def test_contributions_are_sorted() -> None:
    (trace,) = small_run().plot.contributions().data
    # 49 bought at 10, half of the commission each: 490 - 4.9 and -245 - 4.9.
    np.testing.assert_allclose(trace.x, [485.1, -249.9], rtol=1e-12)
    assert trace.hovertext == ("A", "B")


def test_the_bridge_is_a_waterfall_of_the_frictions_that_there_are() -> None:
    run = small_run()
    (trace,) = run.plot.bridge().data
    assert trace.type == "waterfall"
    assert trace.measure == ("absolute", *["relative"] * (len(trace.x) - 2), "total")
    assert (trace.x[0], trace.x[-1]) == ("without friction", "account")
    assert "commission" in trace.x
    assert "slippage" not in trace.x
    # 1,250 on paper and 1,235.20 in the account; the terms lead from one to the other.
    assert trace.y[0] == pytest.approx(1_250.0)
    assert sum(trace.y[:-1]) == pytest.approx(1_235.2)


def test_turnover_and_drift() -> None:
    run = small_run()
    turnover = run.plot.turnover()
    # Requested 0.5 * (0.5 + 0.5); 0.5 * 980 / 1,000 was traded.
    assert values(turnover, "requested") == pytest.approx([0.5])
    assert values(turnover, "executed") == pytest.approx([0.49])
    drift = run.plot.drift()
    # From the close after the decision on: 490 of 990.2 each; 980 and 490 of 1,480.2; 980 and 245
    # of 1,235.2. Half the sum of the distances to 0.5.
    first = 0.5 - 490 / 990.2
    second = 0.5 * (980 / 1_480.2 - 0.5 + 0.5 - 490 / 1_480.2)
    third = 0.5 * (980 / 1_235.2 - 0.5 + 0.5 - 245 / 1_235.2)
    found = values(drift, "half the sum of all drifts")
    np.testing.assert_allclose(found, [first, second, third], rtol=1e-9)
    assert values(run.plot.drift(band=0.1), f"band for an asset, 10{BLANK}%") == [0.1, 0.1]


def test_sentences_say_what_the_figures_show() -> None:
    run = small_run()
    assert equity_sentence(run.equity, 1_000.0, run.bridge().paper) == (
        f"The account went from 1,000 to 1,235 (+23.5{BLANK}%), 2024-01-01 to 2024-01-04; the same "
        "weights without any friction to 1,250."
    )
    # 1,235.2 / 1,480.2 - 1 = -16.55 %; one close of four is more than 10 % below.
    assert drawdown_sentence(run.equity, 1_000.0) == (
        f"The deepest fall from a high was {MINUS}16.6{BLANK}%, on 2024-01-04; at 25{BLANK}% of "
        f"the closes the account stood more than 10 % below. It ended 16.6{BLANK}% below its high."
    )
    # 9.8 of 980 are 100 basis points.
    assert costs_sentence(run.fills, run.equity) == (
        "2 fills traded 980.00 and paid 9.80 in commission and 0.00 in slippage: "
        f"100{BLANK}bps of purchases and sales."
    )
    assert rolling_sharpe_sentence(run.equity).startswith("The run is shorter than a year")


def test_a_logarithmic_axis_is_for_what_grew_several_times_over() -> None:
    def grown(times: float) -> pl.DataFrame:
        return pl.DataFrame({"timestamp": [day(0), day(1)], "equity": [1.0, times]})

    assert not wants_log(grown(4.9))
    assert wants_log(grown(5.1))
    assert not wants_log(grown(-1.0))
    assert not wants_log(grown(5.1)[:0])


def test_long_lines_are_thinned_and_it_is_said() -> None:
    n = 30_000
    moments = pl.Series("timestamp", np.arange(n) * 60_000_000_000).cast(pl.Datetime("ns"))
    equity = np.full(n, 100.0)
    equity[12_345] = 250.0
    figure = equity_figure(pl.DataFrame({"timestamp": moments, "equity": equity}))
    assert len(figure.data[0].y) <= 10_002
    assert max(figure.data[0].y) == 250.0
    assert "of 30,000 bars" in figure.layout.title.subtitle.text


def test_a_name_is_shown_as_it_is() -> None:
    assert label("<b>A & B</b>") == "&lt;b&gt;A &amp; B&lt;/b&gt;"
    short = label("x" * 20 + "y" * 20, most=11)
    assert short == "xxxxx…yyyyy"


def test_the_axes_have_units() -> None:
    run = small_run()
    titles = {
        name: [axis.title.text for axis in getattr(run.plot, name)().select_yaxes()]
        for name in FIGURES
        if name not in ("rolling_sharpe", "monthly_returns", "contributions")
    }
    assert all(all(texts) for texts in titles.values()), titles
    assert run.plot.contributions().layout.xaxis.title.text == "currency, after costs"


def test_curves_of_frictions() -> None:
    asked = {day(0): {"A": 0.5, "B": 0.5}}
    sizes = account_size_curve(feed_of(CLOSES), asked, CONFIG, [1_000.0, 100_000.0])
    figure = account_size_figure(sizes)
    assert [trace.name for trace in figure.data] == [
        "lost a year",
        "commission and slippage",
        "tracking error",
    ]
    assert list(figure.data[0].x) == [1_000.0, 100_000.0]
    np.testing.assert_array_equal(figure.data[0].y, -sizes["gap_bps"].to_numpy())
    assert figure.layout.xaxis.type == "log"
    steps = threshold_curve(feed_of(CLOSES), asked, BacktestConfig(), [0.0, 0.05])
    assert list(threshold_figure(steps).data[2].y) == steps["tracking_error"].to_list()


def yearly(*returns: float) -> pl.DataFrame:
    """Equity at 300 days that follow each other on 440 days or so, five a week."""
    stamps = pl.datetime_range(day(0), day(450), "1d", eager=True, time_unit="ns")
    stamps = stamps.filter(stamps.dt.weekday() <= 5)[:300]
    steps = np.resize(returns, 300)
    return pl.DataFrame({"timestamp": stamps, "equity": 100.0 * np.cumprod(1.0 + steps)})


def test_it_is_said_why_there_is_no_sharpe_ratio() -> None:
    assert rolling_sharpe_sentence(yearly(0.02, -0.01)).startswith("Over windows of a year")
    # 300 bars of 261 a year are a year and more.
    assert rolling_sharpe_sentence(yearly(0.0)).startswith(
        "The Sharpe ratio of no window of a year is defined: the returns in it do not vary"
    )
    few = pl.DataFrame(
        {"timestamp": [day(182 * k) for k in range(9)], "equity": [1.0, 2.0, 3.0] * 3}
    )
    few = few.with_columns(pl.col("timestamp").cast(pl.Datetime("ns")))
    assert rolling_sharpe_sentence(few).startswith("The run has fewer than twelve bars a year")


def test_what_was_held_is_counted_from_the_first_decision_on() -> None:
    run = run_weights(
        feed_of({"A": [10.0] * 8}),
        {day(6): {"A": 1.0}},
        BacktestConfig(initial_cash=1_000.0, execution_mode=ExecutionMode.SAME_BAR),
    )
    text = weights_sentence(run.weights("requested"), run.positions, run.equity)
    # All of it at both closes from day 6 on: not at 2 of 8.
    assert f"at the close 100.0{BLANK}% was invested on average from the first of them on" in text
    assert text.endswith(f"The largest position on average was A with 100.0{BLANK}%.")


def test_months_are_counted_from_the_first_decision_on() -> None:
    prices = {"A": [10.0] * 62 + [11.0] * 31}  # 31 + 29 days until March of 2024
    run = run_weights(feed_of(prices), {day(60): {"A": 1.0}}, CONFIG)
    monthly = run.monthly_returns()
    assert monthly_sentence(monthly, run.rebalances["timestamp"][0]).startswith(
        "1 of 2 months from Mar 2024, the month of the first decision, gained; "
    )
    assert monthly_sentence(idle().monthly_returns()) == "Nothing was gained or lost in 1 month."


def test_the_axis_of_years_has_those_of_the_run() -> None:
    two = years_axis(pl.Series([2020, 2021]))
    assert two["tickvals"] == [2020, 2021]
    low, high = years_axis(pl.Series(range(2015, 2025)))["range"]
    assert low > 2014.0
    assert high < 2025.0


def test_one_bar_has_one_tick() -> None:
    (moment,) = time_axis(pl.Series([day(0)]))["tickvals"]
    assert moment == np.datetime64("2024-01-01")
    assert "tickvals" not in time_axis(pl.Series([day(0), day(1)]))


def test_a_small_fall_is_not_none() -> None:
    equity = pl.DataFrame({"timestamp": [day(0)], "equity": [999.5]})
    assert drawdown_sentence(equity, 1_000.0) == (
        f"The deepest fall from a high was {MINUS}0.05{BLANK}%, on 2024-01-01. It ended "
        f"0.05{BLANK}% below its high."
    )
