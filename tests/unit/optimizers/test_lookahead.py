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
    report = report_of(lambda prices: Momentum(), prices, config=config, samples=10**6)
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
    ]
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
