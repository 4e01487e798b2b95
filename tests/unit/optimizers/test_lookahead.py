"""The tripwire: planted leaks of each kind are found, pipelines that look back alone pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from ml4t.backtest import (
    BacktestConfig,
    Broker,
    DataFeed,
    OrderType,
    Strategy,
    TargetWeightExecutor,
    WeightSchedule,
)
from ml4t.backtest.optimizers import check_lookahead, every

pd = pytest.importorskip("pandas")

N_BARS = 120
NAMES = ["A", "B", "C", "D"]
DAYS = [datetime(2024, 1, 1) + timedelta(days=t) for t in range(N_BARS)]
#: Random walks.
CLOSES = 100.0 * np.exp(np.random.default_rng(7).normal(0.0, 0.02, (N_BARS, 4)).cumsum(axis=0))


def wide() -> Any:
    return pd.DataFrame(CLOSES, columns=NAMES, index=pd.DatetimeIndex(DAYS, name="date"))


def gappy() -> Any:
    """D lists at bar 60, and B has no bar from 30 to 34."""
    frame = wide()
    frame.iloc[:60, 3] = np.nan
    frame.iloc[30:35, 1] = np.nan
    return frame


def long_polars(frame: Any = None) -> pl.DataFrame:
    frame = wide() if frame is None else frame
    flat = pl.from_pandas(frame.reset_index()).unpivot(
        index="date", variable_name="asset", value_name="close"
    )
    volume = np.random.default_rng(3).integers(100, 10_000, flat.height)
    flat = flat.with_columns(volume=pl.Series(volume)).filter(pl.col("close").is_not_nan())
    return flat.sort("date", "asset")


def by_score(score: Any) -> Any:
    """Weights of an eighth for each asset, more by its score; a row decides if all is known."""
    return (0.125 + 0.1 * np.tanh(score)).dropna()


def report_of(build: Callable[[Any], Any], prices: Any = None, **settings: Any) -> Any:
    settings = {"samples": 5} | settings
    return check_lookahead(build, wide() if prices is None else prices, **settings)


# --- planted leaks -------------------------------------------------------------------------------


def centred_window(prices: Any) -> Any:
    return by_score(prices / prices.rolling(5, center=True).mean() - 1.0)


def fit_on_all(prices: Any) -> Any:
    returns = prices.pct_change()
    slope = {name: returns[name].corr(returns[name].shift(1)) for name in prices}
    return by_score(returns * pd.Series(slope) * 100.0)


def global_standardisation(prices: Any) -> Any:
    momentum = prices.pct_change(5)
    return by_score((momentum - momentum.mean()) / momentum.std())


def filling_backwards(prices: Any) -> Any:
    return by_score(np.log(prices.bfill() / 100.0))


def tomorrows_return(prices: Any) -> Any:
    # Its sign alone: the price itself is nowhere in the weights.
    return by_score(np.sign(prices.pct_change().shift(-1)))


def survivors(prices: Any) -> Any:
    """Trades only assets that miss no bar at all: values are of no matter."""
    whole = prices.columns[prices.notna().all()]
    return pd.DataFrame(1.0 / max(len(whole), 1), index=prices.index, columns=whole)


def all_future_max(prices: Any) -> Any:
    return by_score(prices / prices.max())


@pytest.mark.parametrize(
    "build", [centred_window, fit_on_all, global_standardisation, tomorrows_return, all_future_max]
)
def test_a_planted_leak_is_found(build: Callable[[Any], Any]) -> None:
    report = report_of(build)
    assert report.leaks.height > 0
    assert set(report.leaks["what"]) == {"weight"}
    assert set(report.leaks["asset"]) <= set(NAMES)
    assert (report.leaks["decision_time"] <= report.leaks["changed_after"]).all()


def test_filling_backwards_is_found_where_there_is_something_to_fill() -> None:
    assert report_of(filling_backwards).leaks.is_empty()
    leaks = report_of(filling_backwards, gappy()).leaks
    assert set(leaks["asset"]) <= {"B", "D"}
    assert leaks.height > 0
    # D's first bar is the 60th.
    assert leaks.filter(asset="D")["changed_after"].max() < DAYS[60]


def test_a_gap_is_not_hidden_by_the_bars_before_a_listing() -> None:
    prices = gappy()
    prices.iloc[30:35, 1] = CLOSES[30:35, 1]
    prices.iloc[100, 1] = np.nan  # one bar, beside the 60 before D's first
    for seed in range(5):
        leaks = report_of(
            lambda p: by_score(np.log(p.interpolate() / 100.0).fillna(0.0)),
            prices,
            samples=4,
            seed=seed,
        ).leaks
        assert leaks["decision_time"].to_list() == [DAYS[100]]


def test_a_short_gap_is_drawn_before_others() -> None:
    prices = wide()
    prices.iloc[100, 1] = np.nan  # one of 119 decision times
    for seed in range(5):
        leaks = report_of(filling_backwards, prices, samples=2, seed=seed).leaks
        assert leaks["decision_time"].to_list() == [DAYS[100]]
        assert leaks["asset"].to_list() == ["B"]


def test_a_universe_of_survivors_is_found_by_missing_rows() -> None:
    leaks = report_of(survivors).leaks
    assert set(leaks["change"]) == {"rows"}


def test_a_universe_of_those_alive_at_the_end_is_not_found() -> None:
    # docs/lookahead.md says so: the last bar of each asset stays.
    prices = wide()
    prices.iloc[80:, 0] = np.nan

    def alive(prices: Any) -> Any:
        kept = prices.iloc[-1].dropna().index
        assert list(kept) == ["B", "C", "D"]
        return pd.DataFrame(0.25, index=prices.index, columns=kept)

    assert report_of(alive, prices, samples=30).leaks.is_empty()


def bars_long() -> pl.DataFrame:
    """Bars that open, rise or fall, and range on their own."""
    rng = np.random.default_rng(4)
    flat = long_polars()
    gain, up, down = rng.normal(0.0, 0.01, (3, flat.height))
    opened = flat["close"].to_numpy() * np.exp(gain)
    closed = flat["close"].to_numpy()
    return flat.with_columns(
        open=opened,
        high=np.fmax(opened, closed) * np.exp(np.abs(up)),
        low=np.fmin(opened, closed) * np.exp(-np.abs(down)),
    )


def bars_of(prices: Any) -> dict[str, Any]:
    """The fields of any form of bars, as wide frames."""
    names = ("open", "high", "low", "close", "volume")
    if isinstance(prices, DataFeed):
        frames = {name: getattr(prices.bars, name) for name in names}
        labels = {"index": prices.timestamps, "columns": prices.assets}
        return {name: pd.DataFrame(values, **labels) for name, values in frames.items()}
    if isinstance(prices, pl.DataFrame):
        prices = prices.to_pandas()
    if prices.columns.nlevels == 2:
        return {name: prices[name] for name in names}
    return {name: prices.pivot(index="date", columns="asset", values=name) for name in names}


BARS: dict[str, Callable[[], Any]] = {
    "pandas two levels": lambda: pd.concat(bars_of(bars_long()), axis=1),
    "pandas long": lambda: bars_long().to_pandas(),
    "polars long": bars_long,
    "feed": lambda: DataFeed(bars_long()),
}
WITHIN: dict[str, Callable[[Any], Any]] = {
    "gain": lambda bar: np.sign(bar["close"] - bar["open"]),
    "range": lambda bar: bar["high"] / bar["low"] - 1.0,
    "range is large": lambda bar: 1.0 * (bar["high"] / bar["low"] > 1.03),
    "place in the range": lambda bar: (bar["close"] - bar["low"]) / (bar["high"] - bar["low"]),
    "upper shadow": lambda bar: bar["high"] / np.fmax(bar["open"], bar["close"]) - 1.0,
    "volume": lambda bar: np.sign(bar["volume"].diff()),
}


@pytest.mark.parametrize("form", BARS)
@pytest.mark.parametrize("what", WITHIN)
def test_what_is_computed_within_a_bar_is_found(what: str, form: str) -> None:
    def build(ahead: int) -> Callable[[Any], Any]:
        return lambda prices: by_score(WITHIN[what](bars_of(prices)).shift(-ahead).fillna(0.0))

    assert report_of(build(0), BARS[form]()).leaks.is_empty()
    leaks = report_of(build(1), BARS[form]()).leaks
    # One bar ahead: only the times that were tried, and not for every asset but for many.
    assert leaks.filter(change="values").height >= 3
    assert set(leaks["asset"]) <= set(NAMES)
    assert (leaks["decision_time"] == leaks["changed_after"]).all()


def test_the_farthest_change_that_matters_is_told() -> None:
    # Tried everywhere: with a look of two bars ahead, the decision of bar t changes with what
    # comes after t + 1 and not with what comes after t + 2.
    leaks = report_of(
        lambda prices: by_score(np.log(prices.shift(-2) / prices)), samples=10**6
    ).leaks
    ahead = (leaks["changed_after"] - leaks["decision_time"]).to_list()
    # Bars 0 to 117 decide; after the decision of 117 there is none to try.
    assert ahead == [timedelta(days=1)] * 4 * 117 + [timedelta(0)] * 4
    assert set(leaks["change"]) == {"values"}


def test_a_leak_of_one_time_and_asset() -> None:
    def build(prices: Any) -> Any:
        weights = pd.DataFrame(0.2, index=prices.index, columns=NAMES)
        weights.loc[DAYS[50], "C"] = prices["C"].iloc[51] / 1000.0
        return weights

    report = report_of(build, samples=10**6)
    row = report.leaks.row(0, named=True)
    assert report.leaks.height == 1
    assert (row["decision_time"], row["asset"], row["what"]) == (DAYS[50], "C", "weight")
    assert row["weight_before"] == CLOSES[51, 2] / 1000.0
    assert row["weight_after"] != row["weight_before"]
    assert row["changed_after"] == DAYS[50]


def test_a_decision_that_appears_or_vanishes() -> None:
    def build(prices: Any) -> Any:
        up = prices["A"].shift(-2) > prices["A"]
        return prices.assign(**dict.fromkeys(NAMES, 0.25))[up]

    leaks = report_of(build, samples=10**6).leaks
    assert leaks["weight_before"].null_count() > 0
    assert leaks["weight_after"].null_count() > 0
    assert leaks.filter(pl.col("weight_before").is_null())["weight_after"].unique().to_list() == [
        0.25
    ]


# --- clean pipelines -----------------------------------------------------------------------------


def rolling(prices: Any) -> Any:
    momentum = prices.pct_change(5)
    past = momentum.rolling(20)
    return by_score((momentum - past.mean()) / past.std())


def expanding_fit(prices: Any) -> Any:
    """A line through yesterday's and today's returns of all the past, fitted anew at every bar."""
    returns = prices.pct_change(fill_method=None)
    rows = {}
    for t in range(30, len(prices)):
        past = returns.iloc[1 : t + 1].fillna(0.0).to_numpy()
        slope = [np.polyfit(past[:-1, i], past[1:, i], 1)[0] for i in range(past.shape[1])]
        rows[prices.index[t]] = slope * past[-1]
    return by_score(100.0 * pd.DataFrame.from_dict(rows, orient="index", columns=prices.columns))


@pytest.mark.parametrize("build", [rolling, expanding_fit])
def test_a_clean_pipeline_passes(build: Callable[[Any], Any]) -> None:
    report = report_of(build, samples=10)
    assert report.leaks.is_empty()
    assert len(report.tried) == 10


def test_filling_forwards_is_clean() -> None:
    report = report_of(lambda prices: by_score(np.log(prices.ffill() / 100.0)), gappy(), samples=30)
    assert report.leaks.is_empty()


def by_row_sum(prices: Any) -> Any:
    past = prices.shift(1)
    return past.div(past.sum(axis=1), axis=0)


def by_share_of_gains(prices: Any) -> Any:
    gains = prices.pct_change(21).clip(0.0)
    return gains.div(gains.sum(axis=1), axis=0).dropna()


def without_mean(prices: Any) -> Any:
    returns = prices.pct_change(5)
    return returns.sub(returns.mean(axis=1), axis=0).dropna()


def many() -> Any:
    """As many assets as sums over a row need to depend on how they lie."""
    walk = np.random.default_rng(1).normal(0.0, 0.02, (N_BARS, 40)).cumsum(axis=0)
    index = pd.DatetimeIndex(DAYS, name="date")
    return pd.DataFrame(100.0 * np.exp(walk), index, [f"A{i:02d}" for i in range(40)])


@pytest.mark.parametrize("build", [by_row_sum, by_share_of_gains, without_mean])
def test_sums_over_a_row_are_the_same_to_the_last_bit(build: Callable[[Any], Any]) -> None:
    report = report_of(build, many())
    assert report.leaks.is_empty()
    assert report.n_rounded == 0
    assert report.failures.is_empty()


def sorted_by_date(prices: Any) -> Any:
    """A long pipeline whose sort leaves the order of equal dates open, and so that of a sum."""
    table = prices.sort_values("date")
    total = table.groupby("date")["close"].transform("sum")
    return table.assign(weight=table["close"] / total)[["date", "asset", "weight"]].sort_values(
        ["date", "asset"]
    )


def test_rounding_is_no_leak_and_is_counted() -> None:
    report = report_of(sorted_by_date, long_polars(many()).to_pandas())
    assert report.leaks.is_empty()
    assert report.n_rounded > 0
    assert repr(report) == (
        "LookaheadReport: no leak found, 5 of 119 decision times tried; "
        f"{report.n_rounded} decisions differ by rounding alone"
    )


def knows(size: float) -> Callable[[Any], Any]:
    """Weights of a fifth that know tomorrow's close, a number of about 100, times a size."""
    return lambda prices: 0.2 + size * prices.shift(-1).ffill() / 100.0


def test_how_small_a_leak_may_be() -> None:
    # A change of a tenth of 1e-14 is far below 1e-12 of a fifth, one of 1e-11 above it.
    assert report_of(knows(1e-14)).leaks.is_empty()
    assert report_of(knows(1e-14)).n_rounded > 0
    report = report_of(knows(1e-11))
    assert report.leaks.height > 0
    assert report.leaks["difference"].max() < 1e-10
    lines = repr(report).splitlines()
    assert lines[1].startswith("  No weight differs by more than ")
    assert "a weak dependence on later data" in lines[1]
    # Six digits would not tell them apart.
    before, _, after = lines[2].split(": ")[1].partition(" -> ")
    assert float(before) != float(after.split(" ")[0])
    # What is not small is not called so.
    assert "No weight differs" not in repr(report_of(tomorrows_return))
    assert "No weight differs" not in repr(report_of(knows(1e-4)))


def test_small_weights_and_small_signals_have_small_leaks() -> None:
    tiny = report_of(lambda prices: 1e-9 * by_score(np.sign(prices.diff().shift(-1))))
    assert tiny.leaks.height > 0

    def build(prices: Any) -> Any:
        # D's signals are a millionth of the others'.
        table = prices.assign(A=1e6, B=1e6, C=1e6, D=prices["D"].shift(-1).ffill() / 100.0)
        flat = table.reset_index().melt(id_vars="date", var_name="asset", value_name="size")
        return rolling(prices), flat

    leaks = report_of(build).leaks
    assert set(leaks["asset"]) == {"D"}


# --- every form of prices and of answers ---------------------------------------------------------


def two_levels() -> Any:
    fields = {"Close": wide(), "Open": wide() * 1.001, "Volume": (wide() * 1e4).astype(int)}
    return pd.concat(fields, axis=1)


def shorter(pivot: Callable[[Any], Any], ahead: int) -> Callable[[Any], Any]:
    """A pipeline over one form of prices; it looks `ahead` bars ahead."""
    return lambda prices: by_score(pivot(prices).ffill().pct_change(3).shift(-ahead))


def pivoted(prices: Any) -> Any:
    return prices.pivot(index="date", columns="asset", values="close")


FORMS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "pandas wide": (wide, lambda prices: prices),
    "pandas wide of integers": (lambda: (wide() * 100).astype(int), lambda prices: prices),
    "pandas two levels": (two_levels, lambda prices: prices["Close"]),
    "pandas long": (lambda: long_polars().to_pandas(), pivoted),
    "pandas long with an index": (
        lambda: long_polars().to_pandas().set_index(["date", "asset"]),
        lambda prices: prices["close"].unstack(),
    ),
    "polars wide": (
        lambda: pl.from_pandas(wide().reset_index()),
        lambda prices: prices.to_pandas().set_index("date"),
    ),
    "polars long": (long_polars, lambda prices: pivoted(prices.to_pandas())),
    "polars lazy": (
        lambda: long_polars().lazy(),
        lambda prices: pivoted(prices.collect().to_pandas()),
    ),
    "arrow": (lambda: long_polars().to_arrow(), lambda prices: pivoted(prices.to_pandas())),
    "feed": (
        lambda: DataFeed(long_polars()),
        lambda feed: pd.DataFrame(feed.bars.close, index=feed.timestamps, columns=feed.assets),
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_prices(form: str) -> None:
    make, pivot = FORMS[form]
    assert report_of(shorter(pivot, 0), make()).leaks.is_empty()
    assert report_of(shorter(pivot, 1), make()).leaks.height > 0


@pytest.mark.parametrize("form", FORMS)
def test_build_gets_prices_as_they_came_and_a_copy_of_its_own(form: str) -> None:
    make, pivot = FORMS[form]
    prices, kinds = make(), set()

    def build(given: Any) -> Any:
        kinds.add(type(given))
        closes = pivot(given)
        weights = by_score(closes.ffill().pct_change(3))
        if hasattr(given, "iloc"):
            given.iloc[:, -1] = 0.0  # a pipeline that writes into its argument
        return weights

    assert report_of(build, prices).leaks.is_empty()
    assert kinds == {type(make())}
    same = pivot(prices).to_numpy()
    np.testing.assert_array_equal(same, pivot(make()).to_numpy())


def test_volumes_and_other_columns_are_changed_too() -> None:
    prices = long_polars().with_columns(sector=pl.when(pl.col("volume") > 5000).then(pl.lit("x")))

    def over(column: Any) -> Callable[[Any], Any]:
        def build(given: pl.DataFrame) -> pl.DataFrame:
            # Later rows alone decide; the closes are not looked at.
            ahead = column.shift(-1).over("asset").cast(float).fill_null(0.0)
            return given.select("date", "asset", weight=ahead / 1e5)

        return build

    assert report_of(over(pl.col("volume")), prices).leaks.height > 0
    assert report_of(over(pl.col("sector") == "x"), prices).leaks.height > 0


class Momentum(Strategy):
    """Half of the equity in A while it is above what it was five bars ago, at the market."""

    def __init__(self, known: Mapping[Any, float] | None = None) -> None:
        self.known = known  # A's closes by time, some of them of later

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Broker) -> None:
        past = data.history("close", 6)[:, 0]
        now = past[-1] if self.known is None else self.known.get(timestamp, past[-1])
        TargetWeightExecutor().execute({"A": 0.5 if now > past[0] else 0.0}, data, broker)


def test_a_strategy() -> None:
    assert report_of(lambda prices: Momentum()).leaks.is_empty()

    def build(prices: Any) -> Any:
        return Momentum(prices["A"].shift(-1).dropna().to_dict())

    report = report_of(build, samples=20)
    assert set(report.leaks["what"]) == {"weight"}
    assert set(report.leaks["asset"]) == {"A"}


class Limits(Strategy):
    """One share of A a bar, at a limit that may know too much."""

    def __init__(self, limit: Mapping[Any, float]) -> None:
        self.limit = limit

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Broker) -> None:
        price = self.limit[timestamp]
        broker.submit_order("A", 1, order_type=OrderType.LIMIT, limit_price=price)


def test_orders_of_a_strategy_are_compared_with_their_limits() -> None:
    def build(ahead: int) -> Callable[[Any], Any]:
        # Far below the market: nothing ever fills, and only the limits can differ.
        return lambda prices: Limits((prices["A"].shift(-ahead).ffill() / 10.0).to_dict())

    assert report_of(build(0)).leaks.is_empty()
    leaks = report_of(build(1)).leaks
    assert set(leaks["what"]) == {"order"}
    # One share of about 100 in 100 000.
    assert leaks["weight_before"].to_list() == pytest.approx(
        [CLOSES[DAYS.index(time), 0] / 100_000.0 for time in leaks["decision_time"]]
    )
    # The orders are as large as they were; their limits were a tenth of the next close.
    assert set(leaks["difference"]) == {0.0}
    for row in leaks.iter_rows(named=True):
        limit = CLOSES[DAYS.index(row["decision_time"]) + 1, 0] / 10.0
        assert row["detail_before"] == f"limit_price {limit}"
        assert row["detail_after"].startswith("limit_price ")
        assert row["detail_after"] != row["detail_before"]
    row = leaks.row(0, named=True)
    told = f"{row['weight_before']:.6g}, {row['detail_before']} -> "
    assert told in repr(report_of(build(1)))


class Provider:
    def __init__(self, scores: Any) -> None:
        self.scores = scores

    def get_weights(self, data: Any, broker: Any) -> dict[str, float]:
        row = self.scores.loc[data.timestamp]
        return dict((0.125 + 0.1 * np.tanh(row)).items())


def test_a_provider_is_asked_when_the_schedule_says() -> None:
    config = BacktestConfig(initial_cash=1e6)

    def build(ahead: int) -> Callable[[Any], Any]:
        return lambda prices: Provider(prices.pct_change(3).shift(-ahead).fillna(0.0))

    # Month ends of January to April 29; the last bar is April 29 (bar 119, leap year).
    report = report_of(build(0), config=config)
    assert report.leaks.is_empty()
    assert [str(time.date()) for time in report.tried] == ["2024-01-31", "2024-02-29", "2024-03-31"]
    assert report.n_decision_times == 3
    leaky = report_of(build(1), config=config)
    assert set(leaky.leaks["decision_time"]) == set(report.tried)
    assert report_of(build(0), schedule=every(50)).n_decision_times == 3  # 0, 50, 100


def long_signals(ahead: int) -> Callable[[Any], Any]:
    def signals(prices: Any) -> Any:
        values = prices.ffill().pct_change(3).shift(-ahead)
        flat = values.reset_index().melt(id_vars="date", var_name="asset", value_name="score")
        return flat.dropna()

    return signals


class FollowsSignal(Strategy):
    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Broker) -> None:
        scores = {name: bar["signals"].get("score", 0.0) for name, bar in data.items()}
        weights = {name: 0.2 if score > 0 else 0.05 for name, score in scores.items()}
        TargetWeightExecutor().execute(weights, data, broker)


@pytest.mark.parametrize(
    "decisions", [rolling, lambda prices: FollowsSignal()], ids=["weights", "strategy"]
)
def test_signals_are_compared_as_well(decisions: Callable[[Any], Any]) -> None:
    clean = report_of(lambda prices: (decisions(prices), long_signals(0)(prices)))
    assert clean.leaks.is_empty()
    report = report_of(lambda prices: (decisions(prices), long_signals(1)(prices)))
    assert "signal score" in set(report.leaks["what"])


def test_signals_and_context_of_a_feed_are_changed() -> None:
    frame = long_polars()
    signals = frame.select("date", "asset", score=pl.col("volume") / 1e5)
    moods = np.random.default_rng(2).random(N_BARS)
    context = pl.DataFrame({"date": DAYS, "mood": moods})
    feed = DataFeed(frame, signals=signals, context=context)

    def of_signals(given: DataFeed) -> WeightSchedule:
        scores = given.bars.signals["score"]
        return WeightSchedule(given.timestamps[:-1], given.assets, scores[1:])

    def of_context(given: DataFeed) -> WeightSchedule:
        assert given.context is not None
        mood = [given.context.at(bar + 1)["mood"] for bar in range(N_BARS - 1)]
        return WeightSchedule(given.timestamps[:-1], ["A"], np.array(mood)[:, None] / 2)

    assert report_of(of_signals, feed).leaks.height > 0
    assert report_of(of_context, feed).leaks.height > 0


def test_an_asset_that_ends_is_no_leak() -> None:
    # A ends at bar 80: the strategy holds it, and its last bar stays in every copy.
    prices = wide()
    prices.iloc[80:, 0] = np.nan
    config = BacktestConfig(delisting="liquidate")
    report = report_of(lambda prices: Momentum(), prices, config=config, samples=40)
    assert report.leaks.is_empty()


# --- the report and bad input --------------------------------------------------------------------


def test_the_report_can_be_read() -> None:
    report = report_of(tomorrows_return, samples=20)
    text = repr(report)
    first = report.leaks.row(0, named=True)
    assert "depend on later data, 20 of 119 decision times tried" in text
    assert f"{first['decision_time']} {first['asset']} weight: 0." in text
    assert f"and {report.leaks.height - 10} more in .leaks" in text
    assert len(text.splitlines()) == 12
    assert report.leaks.columns == [
        "decision_time",
        "asset",
        "weight_before",
        "weight_after",
        "what",
        "change",
        "changed_after",
        "difference",
        "detail_before",
        "detail_after",
    ]
    sizes = (report.leaks["weight_after"] - report.leaks["weight_before"]).abs()
    assert report.leaks["difference"].equals(sizes)
    assert report.leaks["detail_before"].null_count() == report.leaks.height
    # 24 bars have no score yet, and nothing comes after the last one.
    assert repr(report_of(rolling)) == (
        "LookaheadReport: no leak found, 5 of 95 decision times tried"
    )


def test_times_are_those_of_the_prices() -> None:
    prices = wide().tz_localize("America/New_York")
    leaks = report_of(tomorrows_return, prices).leaks
    assert leaks.schema["decision_time"] == pl.Datetime("ns", "America/New_York")
    assert leaks.schema["changed_after"] == pl.Datetime("ns", "America/New_York")


def test_the_same_seed_gives_the_same_report() -> None:
    first, again, other = (report_of(tomorrows_return, seed=seed) for seed in (1, 1, 2))
    assert first.leaks.equals(again.leaks)
    assert first.tried == again.tried
    assert first.tried != other.tried


def test_a_pipeline_that_does_not_repeat_is_told_so() -> None:
    rng = np.random.default_rng(0)

    def build(prices: Any) -> Any:
        return prices * 0.0 + 0.1 + rng.random() / 10

    with pytest.raises(ValueError, match=r"called twice with the same prices.*fix its random"):
        report_of(build)


def no_gaps(prices: Any) -> Any:
    if prices.isna().any(axis=None):
        raise KeyError("a gap")
    return rolling(prices)


def test_copies_on_which_build_raises_are_counted() -> None:
    report = report_of(no_gaps)
    assert report.leaks.is_empty()
    assert report.failures["change"].to_list() == ["rows"] * 5
    assert set(report.failures["error"]) == {"KeyError: 'a gap'"}
    assert tuple(report.failures["changed_after"]) == report.tried
    assert "nothing compared in 5 of 10 tries, since build raised, the first: rows" in repr(report)
    assert report_of(rolling).failures.is_empty()


def test_an_exception_comes_through_where_nothing_could_be_compared() -> None:
    with pytest.raises(KeyError, match="a gap"):
        report_of(no_gaps, gappy())
    calls = []

    def build(prices: Any) -> Any:
        calls.append(prices)
        if len(calls) > 2:
            raise KeyError("solver")
        return rolling(prices)

    with pytest.raises(KeyError) as caught:
        report_of(build)
    assert "another future, after 5 times, and it raised for every one" in caught.value.__notes__[0]


class Cancels(Strategy):
    """Takes its order back when it likes the days to come."""

    def __init__(self, good: Mapping[Any, bool]) -> None:
        self.good = good

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Broker) -> None:
        for order in list(broker.pending_orders):
            if self.good[timestamp]:
                broker.cancel_order(order.order_id)
        if not list(broker.pending_orders):
            broker.submit_order("A", 1, order_type=OrderType.LIMIT, limit_price=1.0)


def test_cancels_are_compared() -> None:
    def build(ahead: int) -> Callable[[Any], Any]:
        return lambda prices: Cancels((prices["A"].shift(-ahead) > prices["A"].shift()).to_dict())

    assert report_of(build(0), samples=20).leaks.is_empty()
    assert "cancel" in set(report_of(build(1), samples=20).leaks["what"])


class RareCancels(Strategy):
    """Orders at every 20th bar and takes it back ten bars later, where it sees fit."""

    def __init__(self, good: Mapping[Any, bool]) -> None:
        self.good = good

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Broker) -> None:
        bar = DAYS.index(timestamp)
        if bar % 20 == 0:
            broker.submit_order("A", 1, order_type=OrderType.LIMIT, limit_price=1.0)
        if bar % 20 == 10 and self.good[timestamp]:
            for order in list(broker.pending_orders):
                broker.cancel_order(order.order_id)


def test_a_bar_that_cancels_is_a_decision_time() -> None:
    def build(ahead: int) -> Callable[[Any], Any]:
        return lambda prices: RareCancels((prices["A"].shift(-ahead) > prices["A"]).to_dict())

    # A rises after bars 30 and 110 (of 10, 30, ..., 110), by hand from CLOSES.
    rises = [bar for bar in range(10, 120, 20) if CLOSES[bar + 1, 0] > CLOSES[bar, 0]]
    report = report_of(build(1), samples=20)
    assert {time for time in report.tried if DAYS.index(time) % 20 == 10} == {
        DAYS[bar] for bar in rises
    }
    assert rises
    leaks = report.leaks
    assert set(leaks["what"]) == {"cancel"}
    assert set(leaks["decision_time"]) <= {DAYS[bar] for bar in rises}
    clean = report_of(lambda prices: RareCancels((prices["A"] > 100.0).to_dict()), samples=20)
    assert clean.leaks.is_empty()


class Wavers(Strategy):
    """A share of A a bar, in one of several ways."""

    def __init__(self, orders: Mapping[Any, Mapping[str, Any]]) -> None:
        self.orders = orders

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Broker) -> None:
        broker.submit_order("A", **self.orders[timestamp])


def test_what_kind_of_order_it_is_is_told() -> None:
    stop = {"quantity": 1, "order_type": OrderType.STOP, "stop_price": 1e6}
    limit = {"quantity": 1, "order_type": OrderType.LIMIT, "limit_price": 1.0}

    def build(prices: Any) -> Any:
        rises = (prices["A"].shift(-1) > prices["A"]).to_dict()
        return Wavers({time: stop if up else limit for time, up in rises.items()})

    leaks = report_of(build, samples=20).leaks
    sides = set(leaks.select("detail_before", "detail_after").rows())
    of_stop, of_limit = "stop buy, stop_price 1000000.0", "limit buy, limit_price 1.0"
    assert sides == {(of_stop, of_limit), (of_limit, of_stop)}


def test_signals_that_are_words_are_told() -> None:
    def build(prices: Any) -> Any:
        moods = (prices["A"].shift(-1) > prices["A"]).map({True: "up", False: "down"})
        signals = moods.rename("mood").reset_index().assign(asset="A")
        return rolling(prices), signals

    report = report_of(build)
    leaks = report.leaks.filter(what="signal mood")
    sides = set(leaks.select("detail_before", "detail_after").rows())
    assert sides <= {("'up'", "'down'"), ("'down'", "'up'")}
    assert leaks.height > 0
    first = leaks.row(0, named=True)
    assert f"A signal mood: {first['detail_before']} -> {first['detail_after']} (" in repr(report)


def test_what_vanishes_altogether_is_a_leak() -> None:
    def build(prices: Any) -> Any:
        weights = prices * 0.0 + 0.25
        return weights if prices["A"].iloc[-1] == CLOSES[-1, 0] else weights.iloc[:0]

    leaks = report_of(build, samples=1).leaks
    assert leaks["weight_before"].unique().to_list() == [0.25]
    assert leaks["weight_after"].null_count() == leaks.height > 0


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda prices: None, "build: it returned None"),
        (lambda prices: Momentum, "an object, not its class"),
        (lambda prices: (rolling(prices), None, None), "a tuple of 3"),
        (lambda prices: 5, "weights"),
        (lambda prices: rolling(prices).iloc[-1:], "nothing was decided before the last bar"),
        (lambda prices: Strategy(), "nothing was decided before the last bar"),
        (lambda prices: rolling(prices).tz_localize("UTC"), "times are in UTC"),
    ],
)
def test_answers_that_cannot_be(build: Callable[[Any], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        report_of(build)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"samples": 0}, "samples=0 must be an integer of 1 or more"),
        ({"samples": True}, "samples=True must be"),
        ({"seed": -1}, "seed=-1 must be"),
        ({"seed": None}, "seed=None must be"),
        ({"prices": "prices.parquet"}, "is a path"),
        ({"prices": 5}, "is not a dataframe"),
        ({"build": "rolling"}, "build: 'rolling' is no function"),
    ],
)
def test_arguments_that_cannot_be(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_lookahead(**({"build": rolling, "prices": wide()} | settings))


def test_an_unknown_schedule_of_a_provider() -> None:
    with pytest.raises(ValueError, match="nearest: 'month_end'"):
        report_of(Provider, schedule="month_ends")


def test_signals_of_build_beside_a_feed_are_refused() -> None:
    feed = DataFeed(long_polars())
    signals = long_polars().select("date", "asset", score="volume")
    with pytest.raises(ValueError, match="prices is a DataFeed already"):
        report_of(lambda prices: (Momentum(), signals), feed)
