"""Weight providers: what they are given, what they answer, and what is done where they fail."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from helpers import day, feed_of
from ml4t.backtest import (
    BacktestConfig,
    BacktestResult,
    Broker,
    DataFeed,
    Engine,
    RebalanceConfig,
    TargetWeightExecutor,
    WeightProvider,
    run_provider,
    run_weights,
)
from ml4t.backtest.errors import (
    ConfigError,
    InputError,
    NoDecisionError,
    OptimizationError,
    OptimizationWarning,
    WeightsError,
)
from ml4t.backtest.feed.view import BarData
from ml4t.backtest.optimizers import (
    CallableWeights,
    DriftTrigger,
    EqualWeights,
    FixedWeights,
    SkfolioWeights,
    WeightStrategy,
    every,
)

CLOSE = {"A": [10.0, 11.0, 12.0, 13.0], "B": [20.0, 21.0, 22.0, 23.0]}
FEED = feed_of(CLOSE)
CONFIG = BacktestConfig(
    initial_cash=1_000.0,
    execution_mode="same_bar",
    rebalance={"allow_fractional": True, "min_trade_value": 0.0, "min_weight_change": 0.0},
)


def at(bar: int) -> BarData:
    return BarData(FEED.bars, bar)


def half(history: Any) -> dict[str, float]:
    return {"A": 0.5}


def sleep(history: Any) -> dict[str, float]:
    time.sleep(60.0)
    return {"A": 0.5}


def sleep_once_it_is_late(history: Any) -> dict[str, float]:
    return sleep(history) if history["A"].iloc[-1] == 12.0 else {"A": 0.25}


def warn(history: Any) -> dict[str, float]:
    warnings.warn("nearly singular", UserWarning, stacklevel=1)
    return {"A": 0.5}


class OddError(Exception):
    def __init__(self, one: str, two: str) -> None:
        super().__init__(one)


def raise_what_cannot_be_sent(history: Any) -> dict[str, float]:
    raise OddError("odd", "ly")


def die(history: Any) -> dict[str, float]:
    os._exit(7)


def leave(history: Any) -> dict[str, float]:
    sys.exit(2)


def failing(on_failure: Any = "raise", when: Callable[[Any], bool] = lambda last: True) -> Any:
    """A provider of prices of one bar that answers A 0.25, and fails where `when` says so."""

    def function(history: Any) -> dict[str, float] | None:
        return None if when(history["A"].iloc[-1]) else {"A": 0.25}

    return CallableWeights(function, 1, "prices", on_failure=on_failure)


def run(provider: Any, schedule: Any = "every_bar") -> BacktestResult:
    return run_provider(FEED, provider, schedule, CONFIG)


def requested(result: BacktestResult) -> list[tuple[Any, ...]]:
    return result.weights("requested").rows()


# ---------------------------------------------------------------- what they say


def test_a_function_is_given_the_past_up_to_now() -> None:
    seen = []

    def function(history: Any) -> dict[str, float]:
        seen.append(history.to_numpy().tolist())
        return {"A": 0.5}

    result = run(CallableWeights(function, 2, "prices"))
    assert seen == [[[10, 20], [11, 21]], [[11, 21], [12, 22]], [[12, 22], [13, 23]]]
    assert [row[0] for row in requested(result)] == [day(1), day(2), day(3)]


def test_an_array_is_in_the_order_of_the_history() -> None:
    provider = CallableWeights(lambda history: np.array([0.75, 0.25]), 1, "prices")
    assert provider.get_weights(at(0)) == {"A": 0.75, "B": 0.25}


def test_a_function_may_ask_what_the_account_holds() -> None:
    seen = []

    def function(history: Any, current_weights: dict[str, float]) -> dict[str, float]:
        seen.append(current_weights)
        return {"A": 0.5}

    provider = CallableWeights(function, 1, "prices")
    assert provider.uses_account
    run(provider)
    # 50 shares at 10; at 11 they are 550 of 1050, and so on from a half each time.
    assert seen[0] == {}
    assert [list(weights) for weights in seen[1:]] == [["A"]] * 3
    drifted = [5.5 / 10.5, 6.0 / 11.5, 6.5 / 12.5]
    assert [w["A"] for w in seen[1:]] == pytest.approx(drifted, abs=1e-12)


@pytest.mark.parametrize(
    ("function", "wants"),
    [
        (lambda history: None, False),
        (lambda history, held: None, True),
        (lambda history, current_weights=None: None, True),
        (lambda history, span=3: None, False),
        (lambda *history: None, False),
        (pd.DataFrame.mean, False),
    ],
)
def test_who_wants_the_present_weights(function: Any, wants: bool) -> None:
    assert CallableWeights(function, 2).uses_account is wants


@pytest.mark.parametrize(
    "function", [None, 3, dict, lambda: None, lambda a, b, c: None, lambda history, *, k: None]
)
def test_what_is_no_such_function_is_refused(function: Any) -> None:
    with pytest.raises(InputError, match=r"CallableWeights: .*history"):
        CallableWeights(function, 2)


def test_fixed_weights() -> None:
    given = {"A": 0.25}
    provider = FixedWeights(given)
    given["A"] = 9.0
    assert requested(run(provider, every(3))) == [(day(0), 0.25), (day(3), 0.25)]
    with pytest.raises(InputError, match="no weight"):
        FixedWeights({})
    with pytest.raises(WeightsError, match="not finite"):
        FixedWeights({"A": float("nan")})


def test_equal_weights_are_of_the_assets_that_have_a_bar() -> None:
    feed = feed_of({"A": [1, 2], "B": [1, 2], "C": [None, 2], "D": [1, None]})
    provider = EqualWeights()
    assert provider.get_weights(BarData(feed.bars, 0)) == dict.fromkeys("ABD", 1 / 3)
    assert provider.get_weights(BarData(feed.bars, 1)) == dict.fromkeys("ABC", 1 / 3)
    assert provider.get_weights({"X": {"close": 2.0}, "Y": {"close": float("nan")}}) == {"X": 1.0}


def test_all_are_weight_providers() -> None:
    for provider in (CallableWeights(half, 2), FixedWeights({"A": 1.0}), EqualWeights()):
        assert isinstance(provider, WeightProvider)


# ---------------------------------------------------------------- failures


def test_raise_says_who_failed_when_and_is_recorded() -> None:
    strategy = WeightStrategy(failing(), "every_bar")
    engine = Engine(FEED, strategy, CONFIG)
    with pytest.raises(WeightsError) as raised:
        engine.run()
    assert any("at 2024-01-01" in note and "on_failure" in note for note in raised.value.__notes__)
    row = engine.result.optimizations.row(0, named=True)
    assert (row["status"], row["fallback"]) == ("failed", "raise")
    assert row["message"].startswith("WeightsError: ")


def test_hold_is_no_rebalance() -> None:
    result = run(failing("hold", lambda price: price in (10.0, 12.0)))
    assert [row[0] for row in requested(result)] == [day(1), day(3)]
    assert result.optimizations["status"].to_list() == ["failed", "ok", "failed", "ok"]
    assert result.optimizations["fallback"].to_list() == ["hold", None, "hold", None]


def test_previous_repeats_the_last_decision_and_holds_before_the_first() -> None:
    result = run(failing("previous", lambda price: price != 11.0))
    assert requested(result) == [(day(1), 0.25), (day(2), 0.25), (day(3), 0.25)]
    told = ["hold", None, "previous", "previous"]
    assert result.optimizations["fallback"].to_list() == told


def test_previous_is_not_of_another_run() -> None:
    provider = failing("previous", lambda price: price == 10.0)
    assert requested(run(provider)) == requested(run(provider))
    assert provider.get_weights(at(2)) == {"A": 0.25}
    with pytest.raises(NoDecisionError):
        provider.get_weights(at(0))


def test_equal_and_cash() -> None:
    assert requested(run(failing("equal"), every(9))) == [(day(0), 0.5, 0.5)]
    result = run(failing("cash", lambda price: price == 12.0))
    # 25 shares at the first close; at the third everything is sold
    held = result.positions["timestamp"].unique().sort().to_list()
    assert held == [day(0), day(1), day(3)]
    assert result.optimizations["fallback"].to_list() == [None, None, "cash", None]


def test_a_chain_asks_the_next_provider() -> None:
    chain = failing(failing(EqualWeights()))
    result = run(chain, every(9))
    assert requested(result) == [(day(0), 0.5, 0.5)]
    found = result.optimizations.select("provider", "status", "fallback").rows()
    assert found == [
        ("function", "failed", "function"),
        ("function", "failed", "EqualWeights"),
        ("EqualWeights", "ok", None),
    ]


def test_previous_is_the_last_decision_of_a_chain_whoever_made_it() -> None:
    """The inner one answered at the first bar, the outer one after that; then both fail."""
    inner = CallableWeights(
        lambda history: {"B": 0.75} if history["A"].iloc[-1] == 10.0 else None,
        1,
        "prices",
        on_failure="previous",
    )
    result = run(failing(inner, lambda price: price in (10.0, 12.0, 13.0)))
    weights = result.weights("requested").select("timestamp", "A", "B").rows()
    assert weights == [
        (day(0), None, 0.75), (day(1), 0.25, None), (day(2), 0.25, None), (day(3), 0.25, None),
    ]  # fmt: skip
    told = ["<lambda>", None, None, "<lambda>", "previous", "<lambda>", "previous"]
    assert result.optimizations["fallback"].to_list() == told


def test_a_chain_without_a_decision_before_holds() -> None:
    result = run(failing(failing("previous")), every(9))
    assert requested(result) == []
    assert result.optimizations["fallback"].to_list() == ["function", "hold"]


def test_a_chain_looks_at_the_account_if_one_of_it_does() -> None:
    class Own:
        def get_weights(self, data: Any, broker: Broker) -> dict[str, float]:
            assert broker.get_account_value() > 0.0
            return {"B": 1.0}

    chain = failing(failing(Own()))
    assert chain.uses_account
    assert requested(run(chain, every(9))) == [(day(0), 1.0)]


@pytest.mark.parametrize(
    "answer",
    [None, {"A": float("nan")}, {"A": "x"}, [0.5], np.array([np.nan, 1.0]), {"MSFT": 1.0}],
)
def test_bad_answers_are_failures(answer: Any) -> None:
    result = run(CallableWeights(lambda history: answer, 1, "prices", on_failure="equal"))
    assert result.optimizations["status"].unique().to_list() == ["failed"]
    assert requested(result)[0] == (day(0), 0.5, 0.5)


def test_a_throw_in_the_first_window_is_a_failure_like_any_other() -> None:
    result = run(CallableWeights(_raises_at_first, 1, "prices", on_failure="hold"))
    assert result.optimizations["message"].to_list()[0] == "ValueError: no solution"
    assert requested(result)[0] == (day(1), 0.25)


def _raises_at_first(history: Any) -> dict[str, float]:
    if history["A"].iloc[-1] == 10.0:
        raise ValueError("no solution")
    return {"A": 0.25}


def test_an_empty_answer_sells_everything_and_says_so() -> None:
    def function(history: Any) -> dict[str, float]:
        return {} if history["A"].iloc[-1] == 12.0 else {"A": 0.25}

    for unmentioned in ("close", "hold"):
        rules = CONFIG.rebalance.model_copy(update={"unmentioned": unmentioned})
        config = CONFIG.model_copy(update={"rebalance": rules})
        with pytest.warns(OptimizationWarning, match="returned no weight at 2024-01-03"):
            result = run_provider(FEED, CallableWeights(function, 1, "prices"), "every_bar", config)
        held = result.positions["timestamp"].unique().sort().to_list()
        assert held == [day(0), day(1), day(3)]


def test_an_asset_that_is_not_in_the_history_is_told_with_the_reason() -> None:
    feed = feed_of({"A": [1, 2, 3], "MSFT": [5, None, 6], "NEW": [None, None, 9]})
    for time_limit in (None, 60.0):
        provider = CallableWeights(all_of_it, 3, "prices", time_limit=time_limit)
        with pytest.raises(WeightsError) as raised:
            run_provider(feed, provider, "every_bar", CONFIG)
        assert str(raised.value) == (
            "weights: 'MSFT' (1 bars missing (max_missing=0)), 'NEW' (1 bars, of which 3 are "
            "needed): not in the history that the fit was given; return weights of its columns, or "
            "let more assets in with min_history= and max_missing="
        )
        assert "all_of_it failed at 2024-01-03" in raised.value.__notes__[0]


def all_of_it(history: Any) -> dict[str, float]:
    return {"A": 0.5, "MSFT": 0.25, "NEW": 0.25}


def test_an_asset_that_a_fit_has_made_up_is_told() -> None:
    provider = CallableWeights(lambda history: {"AA": 0.5, "B": 0.5}, 1, "prices")
    with pytest.raises(WeightsError, match=r"^weights: 'AA' \(nearest: 'A'\) are not assets of"):
        provider.get_weights(at(0))


@pytest.mark.parametrize("uses_account", [False, True])
def test_who_names_an_unknown_asset_is_named(uses_account: bool) -> None:
    fallback = FixedWeights({"ZZ": 1.0})
    fallback.uses_account = uses_account
    for provider, name in ((fallback, "FixedWeights"), (failing(fallback), "FixedWeights")):
        with pytest.raises(WeightsError, match="'ZZ'") as raised:
            run(provider)
        notes = [note for note in raised.value.__notes__ if f"{name} failed at" in note]
        assert notes == [f"ml4t.backtest: {name} failed at 2024-01-01 00:00:00"]
        assert not any("function" in note for note in raised.value.__notes__)


def test_on_failure_is_checked_at_construction() -> None:
    with pytest.raises(ConfigError, match="nearest: 'previous'"):
        CallableWeights(half, 2, on_failure="previuos")
    for wrong in (None, EqualWeights, 3):
        with pytest.raises(InputError, match=r"on_failure: .*get_weights"):
            CallableWeights(half, 2, on_failure=wrong)


# ---------------------------------------------------------------- the record


def test_fewer_bars_than_the_look_back_are_counted() -> None:
    result = run(CallableWeights(half, 2))
    found = result.optimizations
    assert found["status"].to_list() == ["no_decision", "no_decision", "ok", "ok"]
    assert found["message"][0] == "1 bars, of which 3 are needed (2 rows of returns)"
    assert "2 no_decision, 2 ok" in result.summary()


def test_the_excluded_are_in_the_result() -> None:
    feed = feed_of({"A": [1, 2, 3], "NEW": [None, 2, 3]})
    result = run_provider(feed, CallableWeights(half, 3, "prices"), "every_bar", CONFIG)
    found = result.tables["excluded_assets"]
    assert found.rows() == [(day(2), "half", "NEW", "2 bars, of which 3 are needed")]


def test_warnings_are_recorded() -> None:
    result = run(CallableWeights(warn, 3, "prices"))
    assert (
        result.optimizations["warnings"].to_list()
        == [None, None] + ["UserWarning: nearly singular"] * 2
    )


def test_the_record_is_saved_with_the_result(tmp_path: Any) -> None:
    result = run(failing("hold", lambda price: price == 12.0))
    assert result.optimizations["seconds"].min() > 0.0
    result.save(tmp_path / "run")
    again = BacktestResult.load(tmp_path / "run")
    assert again.optimizations.equals(result.optimizations)
    assert list(again.to_pandas("optimizations")["status"]) == ["ok", "ok", "failed", "ok"]


def test_a_run_without_a_provider_has_none() -> None:
    found = run_weights(FEED, {day(0): {"A": 1.0}}).optimizations
    assert found.height == 0
    assert found.schema == run(EqualWeights()).optimizations.schema


# ---------------------------------------------------------------- time limits


def test_a_fit_that_takes_too_long_is_stopped_and_the_next_one_works() -> None:
    provider = CallableWeights(
        sleep_once_it_is_late, 1, "prices", on_failure="equal", time_limit=1.0
    )
    result = run(provider)
    assert result.optimizations["status"].to_list() == ["ok", "ok", "timed_out", "ok"]
    assert [row[1:] for row in requested(result)] == [
        (0.25, None),
        (0.25, None),
        (0.5, 0.5),
        (0.25, None),
    ]
    assert 1.0 <= result.optimizations["seconds"][2] < 30.0
    assert multiprocessing.active_children() == []


def test_what_a_worker_cannot_send_or_that_dies_is_a_failure() -> None:
    for function, text in (
        (raise_what_cannot_be_sent, "OddError: odd"),
        (die, "the worker process ended, exit code 7"),
        (leave, "the worker process ended, exit code 2"),
    ):
        provider = CallableWeights(function, 1, "prices", time_limit=30.0)
        with pytest.raises(OptimizationError, match=text) as raised:
            provider.get_weights(at(0))
        assert "__main__" not in str(raised.value)  # it is no script without its guard
        provider.reset()


def test_a_worker_passes_on_warnings() -> None:
    provider = CallableWeights(warn, 1, "prices", time_limit=30.0)
    result = run(provider, every(9))
    assert result.optimizations["warnings"].to_list() == ["UserWarning: nearly singular"]


def test_what_cannot_be_sent_to_a_worker_is_refused_at_construction() -> None:
    with pytest.raises(InputError, match=r"worker process.*top of a module"):
        CallableWeights(lambda history: None, 2, time_limit=1.0)
    for wrong in (0.0, -1.0, float("inf"), "1", True):
        with pytest.raises(ConfigError, match="time_limit="):
            CallableWeights(half, 2, time_limit=wrong)


# ---------------------------------------------------------------- strategy


@pytest.mark.parametrize("wrong", [None, half, EqualWeights, {"A": 1.0}])
def test_what_is_no_provider_is_refused_at_construction(wrong: Any) -> None:
    with pytest.raises(InputError, match=r"provider: .*get_weights\(data, broker\)"):
        WeightStrategy(wrong)
    with pytest.raises(InputError, match=r"provider: .*get_weights\(data, broker\)"):
        run_provider(FEED, wrong)


def test_what_takes_other_arguments_is_refused_at_construction() -> None:
    class TooFew:
        def get_weights(self, data: Any) -> dict[str, float]:
            return {}

    class TooMany:
        def get_weights(self, data: Any, broker: Any, more: Any) -> dict[str, float]:
            return {}

    class ByName:
        def get_weights(self, data: Any, *, broker: Any) -> dict[str, float]:
            return {}

    for wrong in (TooFew(), TooMany(), ByName()):
        for what, build in (
            ("provider", WeightStrategy),
            ("on_failure", lambda wrong: CallableWeights(half, 2, on_failure=wrong)),
        ):
            with pytest.raises(InputError, match=rf"^{what}: .*get_weights\(self, data, broker\)"):
                build(wrong)

    class Enough:
        def get_weights(self, *args: Any, **options: Any) -> dict[str, float]:
            return {}

    WeightStrategy(Enough())


def test_a_provider_of_ones_own() -> None:
    class Own:
        def get_weights(self, data: Any, broker: Broker) -> dict[str, float]:
            if data["A"]["close"] == 11.0:
                raise NoDecisionError("not today")
            return {"A": 0.5 if broker.cash == 1_000.0 else 0.0}

    result = run(Own())
    # Bought with all cash there, sold at the third bar; then there is 500 + 50 * 12 in cash
    assert requested(result) == [(day(0), 0.5), (day(2), 0.0), (day(3), 0.0)]
    found = result.optimizations
    assert found["provider"].unique().to_list() == ["Own"]
    assert found["status"].to_list() == ["ok", "no_decision", "ok", "ok"]
    assert found["message"][1] == "not today"


@pytest.mark.parametrize("uses_account", [False, True])
def test_an_asset_that_is_not_in_the_feed_is_named(uses_account: bool) -> None:
    provider = FixedWeights({"AA": 1.0})
    provider.uses_account = uses_account
    with pytest.raises(WeightsError, match="'AA' \\(nearest: 'A'\\) are not assets of the feed"):
        run(provider)


def test_the_executor_is_the_one_that_was_given() -> None:
    executor = TargetWeightExecutor(RebalanceConfig(max_single_weight=0.1))
    strategy = WeightStrategy(FixedWeights({"A": 0.5}), every(9), executor)
    result = Engine(FEED, strategy, CONFIG).run()
    assert result.rebalances["target_weight"].to_list() == [0.1]
    with pytest.raises(InputError, match="executor: "):
        WeightStrategy(EqualWeights(), executor=3)  # type: ignore[arg-type]


def test_a_trigger_trades_between_the_decisions() -> None:
    feed = feed_of({"A": [10.0, 11.0, 20.0, 20.0], "B": [10.0] * 4})
    halves = FixedWeights({"A": 0.5, "B": 0.5})
    trigger = DriftTrigger(absolute=0.1)
    result = run_provider(feed, halves, every(9), CONFIG, trigger)
    # 50 of each; 550 of 1050 is inside the band, 1000 of 1500 is not: 750 of each are left.
    found = result.fills.select("timestamp", "asset", "side", "quantity").rows()
    assert found == [
        (day(0), "A", "buy", 50.0),
        (day(0), "B", "buy", 50.0),
        (day(2), "A", "sell", 12.5),
        (day(2), "B", "buy", 25.0),
    ]
    assert result.optimizations.height == 1


@pytest.mark.parametrize("combine", ["or", "and"])
@pytest.mark.parametrize("trade_to", ["target", "edge"])
@pytest.mark.parametrize(
    ("weights", "rules"),
    [
        ({"A": 0.5, "B": 0.1}, {"max_single_weight": 0.3}),
        ({"A": 0.6, "B": 0.6}, {}),
        ({"A": 0.75, "B": 0.25}, {"max_net_exposure": 0.8}),
        ({"A": 0.9, "B": -0.4}, {}),
    ],
)
def test_what_the_rules_cut_is_no_drift(
    weights: dict[str, float], rules: dict[str, Any], trade_to: str, combine: str
) -> None:
    """Prices stand still, so the first plan is the last one: nothing can drift."""
    feed = feed_of({"A": [10.0] * 5, "B": [20.0] * 5})
    config = BacktestConfig(
        rebalance=RebalanceConfig(
            allow_fractional=True, min_trade_value=0.0, min_weight_change=0.0, **rules
        )
    )
    schedule = every(9) if combine == "or" else "every_bar"
    trigger = DriftTrigger(absolute=0.05, trade_to=trade_to, combine=combine)
    result = run_provider(feed, FixedWeights(weights), schedule, config, trigger)
    assert result.rebalances["timestamp"].unique().to_list() == [day(0)]


def test_a_capped_weight_is_rebalanced_as_often_as_the_cap() -> None:
    rng = np.random.default_rng(11)
    paths = {name: (10 * np.cumprod(1 + rng.normal(0, 0.02, 250))).tolist() for name in "ABC"}
    config = BacktestConfig(
        rebalance=RebalanceConfig(
            allow_fractional=True, min_trade_value=0.0, min_weight_change=0.0, max_single_weight=0.3
        )
    )
    fills = [
        run_provider(
            feed_of(paths),
            FixedWeights({"A": asked, "B": 0.2, "C": 0.1}),
            every(60),
            config,
            DriftTrigger(absolute=0.03),
        ).fills
        for asked in (0.5, 0.3)
    ]
    assert fills[0].equals(fills[1])
    # More than the five decisions, and far fewer than the bars
    assert 6 <= fills[0]["timestamp"].n_unique() <= 25


def test_a_trigger_may_hold_the_schedule_back() -> None:
    feed = feed_of({"A": [10.0, 11.0, 20.0, 20.0], "B": [10.0] * 4})
    trigger = DriftTrigger(absolute=0.1, combine="and")
    result = run_provider(feed, FixedWeights({"A": 0.5, "B": 0.5}), "every_bar", CONFIG, trigger)
    assert result.fills["timestamp"].unique().sort().to_list() == [day(0), day(2)]
    assert result.optimizations.height == 4


def test_a_trigger_leaves_alone_what_the_rebalance_does() -> None:
    class Held(WeightStrategy):
        def on_start(self, broker: Broker) -> None:
            super().on_start(broker)
            broker.submit_order("B", 10)

    strategy = Held(
        FixedWeights({"A": 0.5}),
        every(9),
        TargetWeightExecutor(RebalanceConfig(unmentioned="hold", min_trade_value=0.0)),
        DriftTrigger(absolute=0.01, trade_to="edge"),
    )
    feed = feed_of({"A": [10.0, 10.0, 10.0], "B": [10.0, 10.0, 30.0]})
    result = Engine(feed, strategy, CONFIG).run()
    # B makes 1000 to 1200 at the last bar, so A has drifted to 500 / 1200; the edge is 0.49, which
    # is 58 whole shares. B is no drift: it would be sold.
    found = result.fills.select("timestamp", "asset", "side", "quantity").rows()
    assert sorted(found) == [
        (day(0), "A", "buy", 50.0),
        (day(0), "B", "buy", 10.0),
        (day(2), "A", "buy", 8.0),
    ]
    with pytest.raises(InputError, match="trigger: "):
        WeightStrategy(EqualWeights(), trigger=0.05)  # type: ignore[arg-type]


# ---------------------------------------------------------------- both roads, and skfolio

skfolio = pytest.importorskip("skfolio")


@pytest.fixture(scope="module")
def sp500() -> Any:
    from skfolio.datasets import load_sp500_dataset  # noqa: PLC0415

    return load_sp500_dataset().loc["2020":"2021"]


@pytest.fixture(scope="module")
def real_feed(sp500: Any) -> Any:
    return DataFeed.from_wide(sp500)


def _inverse_volatility(history: Any) -> Any:
    weights = 1.0 / history.std()
    return weights / weights.sum()


@pytest.mark.filterwarnings("ignore::ml4t.backtest.errors.RebalanceWarning")
@pytest.mark.parametrize(
    "provider",
    [
        EqualWeights(),
        FixedWeights({"AAPL": 0.5, "MSFT": 0.25}),
        CallableWeights(_inverse_volatility, 63),
        CallableWeights(
            lambda history: None if len(history) % 2 else {}, 63, on_failure=EqualWeights()
        ),
    ],
)
def test_both_roads_give_the_same_account(real_feed: Any, provider: Any) -> None:
    compiled = run_provider(real_feed, provider)
    engine = Engine(real_feed, WeightStrategy(provider)).run()
    assert not provider.uses_account
    assert compiled.fills.height > 0
    for name in ("equity", "orders", "fills", "trades", "positions", "rebalances"):
        assert getattr(compiled, name).equals(getattr(engine, name)), name
    columns = ["timestamp", "provider", "status", "message", "fallback"]
    assert compiled.optimizations.select(columns).equals(engine.optimizations.select(columns))


def test_skfolio_is_fitted_on_the_returns_up_to_now(sp500: Any, real_feed: Any) -> None:
    from skfolio.optimization import MeanRisk  # noqa: PLC0415
    from skfolio.preprocessing import prices_to_returns  # noqa: PLC0415

    estimator = MeanRisk()
    bar = 300
    found = SkfolioWeights(estimator, 252).get_weights(BarData(real_feed.bars, bar))
    expected = MeanRisk().fit(prices_to_returns(sp500).iloc[bar - 252 : bar])
    assert list(found) == list(expected.feature_names_in_)
    assert np.array(list(found.values())) == pytest.approx(expected.weights_, abs=1e-12)
    assert not hasattr(estimator, "weights_")


def test_a_fitted_weight_below_the_cutoff_is_an_exit() -> None:
    """5 of B are bought at 10 and worth 2 then: 10 of 960 is less than the threshold of 3 %."""
    feed = feed_of({"A": [10.0, 10.0], "B": [10.0, 2.0]})
    config = BacktestConfig(
        initial_cash=1_000.0,
        execution_mode="same_bar",
        rebalance={"min_weight_change": 0.03, "min_trade_value": 0.0},
    )

    def solver(history: Any) -> dict[str, float]:
        return {"A": 0.8, "B": 0.05 if history["B"].iloc[-1] == 10.0 else 2e-7}

    bought = (day(0), "buy", 5.0)
    for cutoff, asked, fills in (
        (0.0, 2e-7, [bought]),
        (1e-5, 0.0, [bought, (day(1), "sell", 5.0)]),
    ):
        provider = CallableWeights(solver, 1, "prices", cutoff=cutoff)
        result = run_provider(feed, provider, "every_bar", config)
        assert result.weights("requested")["B"].to_list() == [0.05, asked]
        found = result.fills.filter(asset="B").select("timestamp", "side", "quantity").rows()
        assert found == fills


def test_a_cutoff_that_leaves_nothing_says_so() -> None:
    provider = CallableWeights(half, 1, "prices", cutoff=0.6)
    with pytest.warns(OptimizationWarning, match=r"no weight of cutoff=0.6 or more at 2024-01-01"):
        assert provider.get_weights(at(0)) == {"A": 0.0}


def test_what_is_no_cutoff() -> None:
    for wrong in (-1e-9, 1.0, float("nan"), float("inf"), "0", True, None):
        with pytest.raises(ConfigError, match="cutoff="):
            CallableWeights(half, 2, cutoff=wrong)  # type: ignore[arg-type]


def test_skfolio_with_a_cutoff(real_feed: Any) -> None:
    """Without one, the weights are those of the estimator (the test above)."""
    from skfolio.optimization import MeanRisk  # noqa: PLC0415

    data = BarData(real_feed.bars, 300)
    every_weight, found = (
        SkfolioWeights(MeanRisk(), 252, cutoff=cutoff).get_weights(data) for cutoff in (0.0, 1e-4)
    )
    dust = {asset for asset, weight in every_weight.items() if abs(weight) < 1e-4}
    assert len(dust) > 5
    assert found == every_weight | dict.fromkeys(dust, 0.0)


def test_an_estimator_may_say_how_it_is_cloned(real_feed: Any) -> None:
    """A plain one is copied, which is what a clone is; others are left to scikit-learn."""
    from skfolio.optimization import InverseVolatility, MeanRisk  # noqa: PLC0415
    from skfolio.prior import EmpiricalPrior  # noqa: PLC0415
    from sklearn.base import clone  # noqa: PLC0415

    class Noted(EmpiricalPrior):  # type: ignore[misc]
        """Is not cloned, and so knows what it was fitted on."""

        def __sklearn_clone__(self) -> Any:
            return self

    class Followed(InverseVolatility):  # type: ignore[misc]
        def fit(self, X: Any, y: Any = None) -> Any:  # noqa: N803
            seen.append(getattr(self, "_skl_callbacks", None))
            return super().fit(X, y)

    data = BarData(real_feed.bars, 100)
    noted = Noted()
    assert list(SkfolioWeights(MeanRisk(prior_estimator=noted), 63).get_weights(data))
    assert noted.n_features_in_ == 20
    plain = EmpiricalPrior()
    SkfolioWeights(MeanRisk(prior_estimator=plain), 63).get_weights(data)
    assert not hasattr(plain, "n_features_in_")
    seen: list[Any] = []
    followed = Followed()
    followed._skl_callbacks = [object()]
    SkfolioWeights(followed, 63).get_weights(data)
    assert seen == [getattr(clone(followed), "_skl_callbacks", None)]


def test_skfolio_is_told_what_the_account_holds() -> None:
    from skfolio.optimization import InverseVolatility, MeanRisk  # noqa: PLC0415
    from skfolio.pre_selection import DropCorrelated  # noqa: PLC0415
    from sklearn.pipeline import Pipeline  # noqa: PLC0415

    costly = MeanRisk(transaction_costs=0.01)
    pipeline = Pipeline([("drop", DropCorrelated()), ("optimize", costly)])
    assert SkfolioWeights(costly, 100).uses_account
    assert SkfolioWeights(pipeline, 100).uses_account
    assert not SkfolioWeights(MeanRisk(), 100).uses_account
    assert not SkfolioWeights(InverseVolatility(), 100).uses_account


def test_a_turnover_limit_of_skfolio_is_one_of_the_account(real_feed: Any) -> None:
    from skfolio.optimization import MeanRisk  # noqa: PLC0415

    limited = SkfolioWeights(MeanRisk(max_turnover=0.05), 63)
    config = BacktestConfig(
        execution_mode="same_bar",
        rebalance={"allow_fractional": True, "min_trade_value": 0.0, "min_weight_change": 0.0},
    )
    result = run_provider(real_feed, limited, "month_end", config)
    # In skfolio it is a bound of each asset's change. The first plan starts from nothing held.
    later = result.rebalances.filter(pl.col("plan_idx") > 0)
    change = (later["target_weight"] - later["current_weight"]).abs().to_numpy()
    assert 0.04 < change.max() <= 0.05 + 1e-4


def test_an_infeasible_problem_is_a_failure(real_feed: Any) -> None:
    from skfolio.optimization import MeanRisk  # noqa: PLC0415

    for raises in (True, False):
        impossible = MeanRisk(min_weights=0.5, raise_on_failure=raises)  # 20 halves are not 1
        provider = SkfolioWeights(impossible, 63, on_failure="equal")
        found = provider.get_weights(BarData(real_feed.bars, 100))
        assert found == dict.fromkeys(real_feed.assets, 1 / 20)


def test_what_is_no_estimator_is_refused() -> None:
    from skfolio.optimization import MeanRisk  # noqa: PLC0415

    class NoEstimator:
        def fit(self, returns: Any) -> None:
            """Cannot be cloned."""

    for wrong in (None, MeanRisk, 3):
        with pytest.raises(InputError, match="is not an estimator"):
            SkfolioWeights(wrong, 252)
    with pytest.raises(InputError, match="cannot be cloned"):
        SkfolioWeights(NoEstimator(), 252)


def test_a_time_limit_with_skfolio(real_feed: Any) -> None:
    from skfolio.optimization import InverseVolatility  # noqa: PLC0415

    here = SkfolioWeights(InverseVolatility(), 63).get_weights(BarData(real_feed.bars, 100))
    there = SkfolioWeights(InverseVolatility(), 63, time_limit=60.0)
    assert there.get_weights(BarData(real_feed.bars, 100)) == here
    there.reset()


def test_searches_and_pipelines_trade(sp500: Any) -> None:
    from skfolio.optimization import InverseVolatility, MeanRisk  # noqa: PLC0415
    from skfolio.pre_selection import DropCorrelated  # noqa: PLC0415
    from sklearn.model_selection import GridSearchCV, TimeSeriesSplit  # noqa: PLC0415
    from sklearn.pipeline import Pipeline  # noqa: PLC0415

    feed = DataFeed.from_wide(sp500.loc["2020":"2020-06"])
    costly = MeanRisk(transaction_costs=0.001)
    pipeline = Pipeline([("drop", DropCorrelated(threshold=0.8)), ("optimize", costly)])
    search = GridSearchCV(costly, {"l2_coef": [0.0, 0.1]}, cv=TimeSeriesSplit(2))
    for estimator in (pipeline.set_output(transform="pandas"), search):
        result = run_provider(feed, SkfolioWeights(estimator, 63), "month_end", CONFIG)
        assert result.optimizations["status"].to_list().count("ok") == 2
        assert result.fills.height > 0
    own = MeanRisk(min_weights=0.5, fallback=InverseVolatility())
    result = run_provider(feed, SkfolioWeights(own, 63), "month_end", CONFIG)
    message = result.optimizations["message"][-1]
    assert message == "skfolio's own fallback answered: InverseVolatility()"


def test_progress_goes_to_the_error_stream(capsys: Any) -> None:
    pytest.importorskip("rich")
    run_provider(FEED, EqualWeights(), "every_bar", CONFIG, progress=True)
    found = capsys.readouterr()
    assert "decisions" in found.err
    assert found.out == ""
