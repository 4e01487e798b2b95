"""Fits side by side: the same result as one after the other, and no process is left."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from numba import config as numba_config

from helpers import day
from ml4t.backtest import BacktestConfig, BacktestResult, DataFeed, Engine, run_provider
from ml4t.backtest.errors import (
    ConfigError,
    InputError,
    OptimizationWarning,
    WeightsError,
)
from ml4t.backtest.optimizers import (
    CallableWeights,
    DriftTrigger,
    EqualWeights,
    FixedWeights,
    WeightStrategy,
    every,
)
from ml4t.backtest.optimizers.ahead import n_processes
from tests.unit.optimizers.fits import (
    Smoothed,
    dies_once,
    fickle,
    half,
    signs_and_sleeps,
    sleeps_once,
)

#: Fits know nothing of the kernel.
processes = pytest.mark.skipif(
    bool(numba_config.DISABLE_JIT), reason="tried once, where the kernel is compiled"
)
FRAMES = ("equity", "orders", "fills", "trades", "positions", "rebalances")
CONFIG = BacktestConfig(rebalance={"min_trade_value": 0.0, "min_weight_change": 0.0})
N_BARS = 48
EVERY_OTHER = every(2)


def prices() -> pl.DataFrame:
    """Random walks of four assets, of which D begins late and C has gaps."""
    rng = np.random.default_rng(11)
    walks = 50.0 * np.exp(rng.normal(0.0, 0.02, (N_BARS, 4)).cumsum(axis=0))
    walks[:20, 3] = walks[30:32, 2] = np.nan
    days = [day(t) for t in range(N_BARS)]
    return pl.DataFrame({"date": days}).with_columns(
        pl.Series(name, walks[:, i]).fill_nan(None) for i, name in enumerate("ABCD")
    )


FEED = DataFeed.from_wide(prices())


def provider_of(on_failure: Any = "raise", **settings: Any) -> CallableWeights:
    return CallableWeights(fickle, 5, "prices", "polars", on_failure=on_failure, **settings)


def run(provider: Any, n_jobs: int, feed: DataFeed = FEED, schedule: Any = EVERY_OTHER) -> Any:
    """A result and what was warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = run_provider(feed, provider, schedule, CONFIG, n_jobs=n_jobs)
    assert multiprocessing.active_children() == []
    return result, [(one.category, str(one.message)) for one in caught]


def assert_same(one: BacktestResult, other: BacktestResult) -> None:
    """Hold everything but the seconds of two results to be the same to the last bit."""
    for name in FRAMES:
        assert getattr(one, name).equals(getattr(other, name)), name
    assert one.optimizations.drop("seconds").equals(other.optimizations.drop("seconds"))
    assert one.tables["excluded_assets"].equals(other.tables["excluded_assets"])


# ---------------------------------------------------------------- the same


@processes
@pytest.mark.parametrize("policy", ["hold", "previous", "equal", "cash", "provider"])
def test_failures_are_dealt_with_in_order(policy: str) -> None:
    on_failure = FixedWeights({"B": 0.5}) if policy == "provider" else policy
    (one, warned), (two, warned_too) = (run(provider_of(on_failure), n) for n in (1, 2))
    assert_same(one, two)
    assert warned == warned_too
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OptimizationWarning)
        assert_same(
            two, Engine(FEED, WeightStrategy(provider_of(on_failure), EVERY_OTHER), CONFIG).run()
        )
    # All that can happen does happen.
    assert {"no_decision", "failed", "ok"} <= set(one.optimizations["status"])
    assert one.optimizations["warnings"].drop_nulls().len() > 0
    assert one.tables["excluded_assets"]["asset"].unique().sort().to_list() == ["C", "D"]
    assert OptimizationWarning in [category for category, _ in warned]
    assert two.optimizations.filter(status="ok", provider="fickle")["seconds"].min() > 0.0


@pytest.mark.filterwarnings("ignore::ml4t.backtest.errors.OptimizationWarning")
@processes
def test_the_first_failure_in_time_raises() -> None:
    raised = []
    for n_jobs in (1, 2):
        with pytest.raises((ValueError, WeightsError)) as caught:
            run_provider(FEED, provider_of(), EVERY_OTHER, CONFIG, n_jobs=n_jobs)
        raised.append(caught.value)
        assert multiprocessing.active_children() == []
    one, two = raised
    assert type(one) is type(two)
    assert str(one) == str(two)
    assert one.__notes__[-1] == two.__notes__[-1]
    # Where it arose is told, though no traceback comes out of a process.
    assert "in fickle" in two.__notes__[0] or "as_weights" in two.__notes__[0]


def test_plain_providers_have_nothing_to_fit() -> None:
    one, two = (run(EqualWeights(), n)[0] for n in (1, 2))
    assert_same(one, two)


@processes
def test_a_time_limit_holds_for_each_fit() -> None:
    provider = CallableWeights(
        sleeps_once, 5, "prices", "polars", on_failure="equal", time_limit=2.0
    )
    result, _ = run(provider, 2, schedule=every(4))
    told = result.optimizations.select("status", "fallback").rows()
    # bars 0, 4, 8 ... 44: the first has no five rows, the third sleeps
    assert told == [
        ("no_decision", None),
        ("ok", None),
        ("timed_out", "equal"),
        *[("ok", None)] * 9,
    ]
    assert 2.0 <= result.optimizations["seconds"][2] < 60.0


@processes
def test_a_process_that_dies_is_one_failed_fit() -> None:
    provider = CallableWeights(dies_once, 5, "prices", "polars", on_failure="hold")
    result, _ = run(provider, 2, schedule=every(4))
    failed = result.optimizations.filter(pl.col("status") == "failed")
    assert failed["timestamp"].to_list() == [day(8)]
    assert failed["message"].to_list() == ["the worker process ended, exit code 7"]
    assert result.optimizations.filter(status="ok").height == 10


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize("wrong", [0, -2, 2.0, True, "2", None])
def test_what_is_no_number_of_jobs(wrong: Any) -> None:
    with pytest.raises(ConfigError, match=r"n_jobs=.*integer of 1 or more, or -1"):
        run_provider(FEED, EqualWeights(), n_jobs=wrong)


def test_all_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 5, 6}, raising=False)
    assert n_processes(-1) == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert n_processes(-1) == 7
    assert n_processes(np.int64(4)) == 4


def with_account(history: pl.DataFrame, current_weights: dict[str, float]) -> dict[str, float]:
    return {"A": 0.5}


class Own:
    """A provider that remembers, and does not look at the account."""

    uses_account = False

    def __init__(self) -> None:
        self.asked = 0

    def get_weights(self, data: Any, broker: Any) -> dict[str, float]:
        self.asked += 1
        return {"A": 1.0 / self.asked}


class Halved(CallableWeights):
    """Half of what the function says."""

    def get_weights(self, data: Any, broker: Any = None) -> dict[str, float]:
        return {name: w / 2 for name, w in super().get_weights(data, broker).items()}


class OwnCommission:
    def commission(self, order: Any, price: float) -> float:
        return 1.0


@pytest.mark.parametrize("n_jobs", [2, -1])
@pytest.mark.parametrize(
    ("provider", "settings", "why"),
    [
        (CallableWeights(with_account, 5, frame="polars"), {}, "looks at the account"),
        (provider_of(CallableWeights(with_account, 5, frame="polars")), {}, "looks at the account"),
        (provider_of(), {"trigger": DriftTrigger(absolute=0.05)}, "the trigger looks at"),
        (Own(), {}, "a get_weights of its own"),
        (Halved(fickle, 5, frame="polars"), {}, "a get_weights of its own"),
    ],
)
def test_what_cannot_be_side_by_side(
    provider: Any, settings: dict[str, Any], why: str, n_jobs: int
) -> None:
    with pytest.raises(ConfigError, match=f"n_jobs: decisions cannot be .*{why}.*; leave it out"):
        run_provider(FEED, provider, config=CONFIG, n_jobs=n_jobs, **settings)


def test_a_cost_model_of_ones_own_is_in_the_way() -> None:
    costs = SimpleNamespace(costs=SimpleNamespace(is_compiled=False))
    from ml4t.backtest.optimizers.ahead import check_can_be_parallel  # noqa: PLC0415

    with pytest.raises(ConfigError, match="a cost model of your own"):
        check_can_be_parallel(EqualWeights(), None, costs)  # type: ignore[arg-type]


def test_what_cannot_be_sent_is_refused_before_anything_is_fitted() -> None:
    asked: list[Any] = []

    def local(history: Any) -> None:
        asked.append(history)

    provider = CallableWeights(local, 5, frame="polars")
    with pytest.raises(InputError, match=r"n_jobs: .*top of a module.*leave n_jobs out"):
        run_provider(FEED, provider, EVERY_OTHER, n_jobs=2)
    assert asked == []


@processes
def test_what_a_process_does_not_find(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a notebook, where functions are in a main module that no other process has."""

    def ghost(history: Any) -> dict[str, float]:
        return {"A": 0.5}

    ghost.__module__, ghost.__qualname__ = "__main__", "ghost"
    monkeypatch.setattr(sys.modules["__main__"], "ghost", ghost, raising=False)
    for settings, n_jobs in (({}, 2), ({"time_limit": 60.0}, 1)):
        # Whatever on_failure says: nothing was fitted that could have failed.
        provider = CallableWeights(ghost, 5, frame="polars", on_failure="hold", **settings)
        with pytest.raises(InputError, match=r"does not find it: .*ghost.*not in a notebook"):
            run_provider(FEED, provider, EVERY_OTHER, n_jobs=n_jobs)
    assert multiprocessing.active_children() == []


@processes
def test_a_function_with_a_memory_is_found_out() -> None:
    provider = CallableWeights(Smoothed(), 5, frame="polars", on_failure="hold")
    with pytest.raises(InputError, match="n_jobs: the fit has changed what it was made of"):
        run_provider(FEED, provider, EVERY_OTHER, n_jobs=2)
    assert multiprocessing.active_children() == []


@processes
@pytest.mark.parametrize("call", ["'hold'), n_jobs=2", "'equal', time_limit=30.0)"])
def test_a_script_without_its_guard(call: str, tmp_path: Path) -> None:
    """It would start itself again in each process; no policy answers, and the message helps."""
    import subprocess  # noqa: PLC0415

    script = tmp_path / "study.py"
    script.write_text(
        "from tests.unit.optimizers.test_n_jobs import FEED, provider_of\n"
        "from ml4t.backtest import run_provider\n"
        f"run_provider(FEED, schedule='every_bar', provider=provider_of({call})\n"
    )
    path = os.pathsep.join(each for each in sys.path if each)
    env = os.environ | {"PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, str(script)], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "InputError: the worker process ended, exit code 1, before it could fit" in done.stderr
    assert 'if __name__ == "__main__":' in done.stderr


# ---------------------------------------------------------------- stopped


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@processes
def test_ctrl_c_ends_the_workers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A terminal sends it to all processes; those that fit leave it to the one that asks."""
    monkeypatch.setenv("SIGNS_OF_LIFE", str(tmp_path))
    main = threading.main_thread().ident
    assert main is not None
    alive: list[int | None] = []

    def interrupt() -> None:
        until = time.monotonic() + 120.0
        while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < until:
            time.sleep(0.05)
        for sign in tmp_path.iterdir():
            os.kill(int(sign.name), signal.SIGINT)
        time.sleep(1.5)
        alive.extend(child.pid for child in multiprocessing.active_children())
        signal.pthread_kill(main, signal.SIGINT)

    provider = CallableWeights(signs_and_sleeps, 5, "prices", "polars", on_failure="hold")
    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        run_provider(FEED, provider, every(4), n_jobs=2)
    thread.join()
    assert sorted(str(pid) for pid in alive) == sorted(sign.name for sign in tmp_path.iterdir())
    assert len(alive) == 2
    assert multiprocessing.active_children() == []


# ---------------------------------------------------------------- subclasses


class OddAssets(EqualWeights):
    """Equal weights of A alone."""

    def get_weights(self, data: Any, broker: Any = None) -> dict[str, float]:
        return {"A": super().get_weights(data)["A"]}


@pytest.mark.parametrize("decides_first", [True, False])
def test_a_subclass_that_answers_itself_is_asked(decides_first: bool) -> None:
    """On both roads, and not its base."""
    quarter = Halved(half, 5, "prices", "polars")
    equal = OddAssets()
    assert not quarter.uses_account
    for provider, weight in ((quarter, 0.25), (equal, 1 / 3)):
        if decides_first:
            result = run_provider(FEED, provider, every(45), CONFIG)
        else:
            result = Engine(FEED, WeightStrategy(provider, every(45)), CONFIG).run()
        rows = result.rebalances.filter(pl.col("requested_weight").is_not_nan())
        asked = rows.select("asset", "requested_weight").rows()
        # bars 0 and 45; the history of five rows is not there at bar 0, and D at bar 45 is
        expected = [("A", weight)] if provider is quarter else [("A", 1 / 3), ("A", 1 / 4)]
        assert asked == expected
        statuses = ["no_decision", "ok"] if provider is quarter else ["ok", "ok"]
        assert result.optimizations["status"].to_list() == statuses


@pytest.mark.filterwarnings("ignore::ml4t.backtest.errors.OptimizationWarning")
def test_rows_of_plain_providers_are_what_they_say() -> None:
    """Also where assets, and at one bar all of them, have no price."""
    frame = prices()
    nobody = frame.with_columns(
        pl.when(pl.col("date") == day(40)).then(None).otherwise(pl.col(name)).alias(name)
        for name in "ABCD"
    )
    feed = DataFeed.from_wide(nobody)
    for provider in (EqualWeights(), FixedWeights({"A": 0.5, "D": 0.25})):
        result = run_provider(feed, provider, "every_bar", CONFIG)
        engine = Engine(feed, WeightStrategy(provider, "every_bar"), CONFIG).run()
        assert_same(result, engine)
        assert result.optimizations.height == N_BARS
    # A, B and C; then all four; at bar 31 without C; at bar 40 nothing is to be held.
    rows = run_provider(feed, EqualWeights(), "every_bar", CONFIG).weights("requested")
    third, quarter = 1 / 3, 0.25
    assert rows.row(19)[1:] == (third, third, third, None)
    assert rows.row(20)[1:] == (quarter,) * 4
    assert rows.row(31)[1:] == (third, third, None, third)
    assert rows.row(40)[1:] == (0.0,) * 4


def test_an_asset_that_is_not_in_the_feed_is_told_with_its_time() -> None:
    with pytest.raises(WeightsError, match=r"'E' .*are not assets of the feed") as raised:
        run_provider(FEED, FixedWeights({"E": 1.0}), every(7), CONFIG)
    assert raised.value.__notes__ == [f"ml4t.backtest: FixedWeights failed at {day(0)}"]
