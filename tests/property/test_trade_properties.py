"""Round trips, contributions and tracking of every run, against plain Python."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from dataclasses import fields
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from polars.testing import assert_frame_equal

from differential.markets import Market, run
from ml4t.backtest import BacktestResult
from ml4t.backtest.execution.triggers import DriftTrigger
from ml4t.backtest.storage import StoredFrames
from property.strategies import markets

checked = settings(deadline=None, derandomize=True, max_examples=120)

pytestmark = pytest.mark.filterwarnings("ignore::ml4t.backtest.errors.RebalanceWarning")

METHODS = ("average", "fifo")
Rows = list[dict[str, Any]]


def loaded(result: BacktestResult) -> BacktestResult:
    """What a result is after it was saved and read again, without a disk between."""
    known = {field.name for field in fields(StoredFrames)} - {"bars", "holdings"}
    frames = {name: getattr(result._frames, name) for name in known}
    return BacktestResult(result.config, StoredFrames(**frames))


def scale_of(result: BacktestResult) -> float:
    """Money that a rounding error is measured against: all that was there and was traded."""
    fills = result.fills
    return result.config.initial_cash + float((fills["quantity"] * fills["price"]).sum())


@checked
@given(case=markets)
def test_the_rows_add_up_to_the_outcome(case: Market) -> None:
    result, _ = run(case)
    gained = result.metrics["final_equity"] - result.config.initial_cash
    fills, tolerance = result.fills, 1e-9 * scale_of(result)
    for method in METHODS:
        trips = result.round_trips(method)
        assert trips["pnl"].sum() == pytest.approx(gained, rel=0, abs=tolerance)
        for name in ("commission", "slippage"):
            assert trips[name].sum() == pytest.approx(fills[name].sum(), rel=1e-9, abs=1e-9)
        costs = trips["commission"].sum() + trips["slippage"].sum()
        before = trips["pnl_before_costs"].sum()
        assert before == pytest.approx(gained + costs, rel=0, abs=tolerance)
        # what a trip made is the difference of its prices, less its commission
        for row in trips.iter_rows(named=True):
            sign = 1.0 if row["side"] == "long" else -1.0
            gain = sign * row["quantity"] * (row["exit_price"] - row["entry_price"])
            assert row["pnl"] == pytest.approx(gain - row["commission"], rel=0, abs=tolerance)
            assert row["mae"] <= 0.0 <= row["mfe"]
            assert (row["exit_time"] is None) == row["is_open"]
    found = result.contributions()
    assert found["pnl"].sum() == pytest.approx(gained, rel=0, abs=tolerance)
    total = result.metrics["total_return"]
    assert found["contribution"].sum() == pytest.approx(
        total, rel=0, abs=tolerance / result.config.initial_cash
    )
    for method in METHODS:
        by_asset = result.round_trips(method).group_by("asset").agg(pl.col("pnl").sum())
        other = dict(by_asset.iter_rows())
        for asset, pnl in found.select("asset", "pnl").iter_rows():
            assert other[asset] == pytest.approx(pnl, rel=0, abs=tolerance)


@checked
@given(case=markets)
def test_average_cost_is_that_of_the_trades(case: Market) -> None:
    result, _ = run(case)
    trades, trips = result.trades, result.round_trips()
    same = ["asset", "entry_time", "exit_time", "entry_price", "commission", "slippage"]
    assert_frame_equal(trips.select(same), trades.select(same), check_exact=True)
    is_closed = ~trips["is_open"]
    for name in ("pnl", "exit_price"):
        assert trips.filter(is_closed)[name].to_list() == trades.filter(is_closed)[name].to_list()
    assert trips["quantity"].to_list() == trades["quantity"].abs().to_list()
    assert trips["n_fills"].to_list() == trades["n_fills"].to_list()


def pairs(result: BacktestResult) -> list[tuple[str, int, int, float]]:
    """Pair purchases with sales, oldest first: asset, the two fills (-1: none), units."""
    lots: dict[str, deque[list[float]]] = defaultdict(deque)
    found = []
    for k, fill in enumerate(result.fills.iter_rows(named=True)):
        queue, units = lots[fill["asset"]], fill["quantity"]
        if fill["side"] == "buy":
            queue.append([k, units])
            continue
        while units >= 1e-9 and queue:
            taken = min(units, queue[0][1])
            found.append((fill["asset"], int(queue[0][0]), k, taken))
            units -= taken
            queue[0][1] -= taken
            if queue[0][1] < 1e-9:
                queue.popleft()
    found += [(a, int(k), -1, units) for a, queue in lots.items() for k, units in queue]
    return sorted(found, key=lambda row: (row[1], math.inf if row[2] < 0 else row[2]))


@checked
@given(case=markets)
def test_first_in_first_out(case: Market) -> None:
    result, _ = run(case)
    fills = result.fills.rows(named=True)
    expected = pairs(result)
    trips = result.round_trips("fifo")
    assert trips.height == len(expected)
    for row, (asset, entry, exit_, units) in zip(
        trips.iter_rows(named=True), expected, strict=True
    ):
        assert (row["asset"], row["side"]) == (asset, "long")
        assert row["quantity"] == pytest.approx(units, rel=1e-9, abs=1e-8)
        assert row["entry_time"] == fills[entry]["timestamp"]
        assert row["entry_price"] == fills[entry]["price"]
        assert row["exit_time"] == (None if exit_ < 0 else fills[exit_]["timestamp"])
        if exit_ >= 0:
            assert row["exit_price"] == fills[exit_]["price"]


def is_at_close(result: BacktestResult, fill: dict[str, Any]) -> bool:
    """Whether a fill happened when its bar ended, as the rules of a bar say."""
    order = result.orders.row(fill["order_id"], named=True)
    decided_now = order["created_at"] == fill["timestamp"]
    if result.config.execution_mode == "same_bar" and decided_now:
        return True
    if order["order_type"] == "market_on_close":
        return True
    return order["order_type"] == "market" and result.config.fill_price == "close"


@checked
@given(case=markets)
def test_excursions_bar_by_bar(case: Market) -> None:
    """The bars that a lot, and a trip at average cost, went through, one after the other."""
    result, _ = run(case)
    bars = result.bars()
    at = {time: t for t, time in enumerate(result.equity["timestamp"].to_list())}
    fills = result.fills.rows(named=True)
    n_bars = len(at)

    # The first bar of which what is bought sees all, and what is sold nothing any more.
    edge = [at[fill["timestamp"]] + is_at_close(result, fill) for fill in fills]

    def gains(asset: str, cost: float, start: int, stop: int) -> list[float]:
        i = bars.index[asset]
        prices = [p for t in range(start, stop) for p in (bars.low[t, i], bars.high[t, i])]
        return [price / cost - 1.0 for price in prices if not math.isnan(price)]

    trips = result.round_trips("fifo").rows(named=True)
    for row, (asset, entry, exit_, _) in zip(trips, pairs(result), strict=True):
        cost = fills[entry]["price"]
        stop = n_bars if exit_ < 0 else edge[exit_]
        seen = [0.0, *gains(asset, cost, edge[entry], stop)]
        if exit_ >= 0:
            seen.append(fills[exit_]["price"] / cost - 1.0)
        assert row["mae"] == pytest.approx(min(seen), rel=1e-12, abs=1e-12)
        assert row["mfe"] == pytest.approx(max(seen), rel=1e-12, abs=1e-12)

    by_asset: dict[str, list[int]] = defaultdict(list)
    for k, fill in enumerate(fills):
        by_asset[fill["asset"]].append(k)

    def over_time(asset: str, of_trip: list[int]) -> list[float]:
        """What was seen of a trip bar by bar, its fills in the order of the clock."""
        held, cost, seen = 0.0, 0.0, []
        coming = deque(sorted(of_trip, key=lambda k: (edge[k], k)))
        for t in range(n_bars):
            while coming and edge[coming[0]] <= t:
                fill = fills[coming.popleft()]
                units, price = fill["quantity"], fill["price"]
                if fill["side"] == "sell":
                    held -= units
                else:
                    # what was sold before it was bought is bought back
                    before = max(held, 0.0)
                    held += units
                    cost = (before * cost + (held - before) * price) / held if held > 0 else 0.0
                held = held if abs(held) >= 1e-9 else 0.0
            if held > 0.0:
                seen += gains(asset, cost, t, t + 1)
        return seen

    expected = []
    for asset, numbers in by_asset.items():
        held, cost, seen = 0.0, 0.0, [0.0]
        of_trip: list[int] = []
        for k in numbers:
            units, price = fills[k]["quantity"], fills[k]["price"]
            of_trip.append(k)
            if fills[k]["side"] == "buy":
                cost = (held * cost + units * price) / (held + units)
                held += units
            else:
                seen.append(price / cost - 1.0)
                held = held - units if held - units >= 1e-9 else 0.0
            if held == 0.0 or k == numbers[-1]:
                seen += over_time(asset, of_trip)
                expected.append((of_trip[0], min(seen), max(seen)))
                of_trip, seen = [], [0.0]
    found = [(row["mae"], row["mfe"]) for row in result.round_trips().iter_rows(named=True)]
    assert found == [
        pytest.approx((worst, best), rel=1e-9, abs=1e-9) for _, worst, best in sorted(expected)
    ]


@checked
@given(case=markets)
def test_a_loaded_result_says_the_same(case: Market) -> None:
    result, _ = run(case)
    again = loaded(result)
    for method in METHODS:
        whole, without = result.round_trips(method), again.round_trips(method)
        assert_frame_equal(again.round_trips(method, case.feed()), whole, check_exact=True)
        needed = ["mae", "mfe"]
        assert without.select(pl.col(needed).is_null().all()).row(0) == (True, True)
        assert_frame_equal(without.drop(needed), whole.drop(needed), check_exact=True)
    assert_frame_equal(again.contributions(), result.contributions(), check_exact=True)
    ours, other = result.tracking(), again.tracking()
    for name in ("over_time", "by_rebalance", "skipped"):
        assert_frame_equal(getattr(other, name), getattr(ours, name), check_exact=True)
    assert repr(other) == repr(ours)


@checked
@given(case=markets)
def test_tracking_close_by_close(case: Market) -> None:
    result, _ = run(case)
    band = 0.05
    found = result.tracking(band)
    held: dict[Any, dict[str, float]] = defaultdict(dict)
    for time, asset, _, _, weight in result.positions.iter_rows():
        held[time][asset] = weight
    plans: dict[int, Rows] = defaultdict(list)
    for row in result.rebalances.iter_rows(named=True):
        plans[row["plan_idx"]].append(row)
    rows = found.over_time.rows(named=True)
    closes = result.equity.select("timestamp", "equity").rows()
    decided = [row[0]["timestamp"] for row in plans.values()]
    later = [close for close in closes if decided and close[0] >= decided[0]]
    assert [row["timestamp"] for row in rows] == [time for time, _ in later]
    for row, (time, equity) in zip(rows, later, strict=True):
        last = max(k for k, plan in plans.items() if plan[0]["timestamp"] <= time)
        assert row["plan_idx"] == last
        plan = {line["asset"]: line for line in plans[last]}
        if equity <= 0.0 or any(math.isnan(p["current_weight"]) for p in plan.values()):
            assert (row["distance"], row["largest_drift"], row["out_of_band"]) == (None,) * 3
            continue
        targets = {a: p["target_weight"] for a, p in plan.items() if p["reason"] != "held"}
        drift = {
            asset: held[time].get(asset, 0.0) - targets.get(asset, 0.0)
            for asset in {*targets, *held[time]} - {a for a in plan if a not in targets}
        }
        assert row["distance"] == pytest.approx(
            0.5 * sum(map(abs, drift.values())), rel=1e-12, abs=1e-12
        )
        largest = max(map(abs, drift.values()), default=0.0)
        assert abs(row["largest_drift"]) == pytest.approx(largest, rel=0, abs=0)
        if row["asset"] is None:
            assert largest == 0.0
        else:
            assert drift[row["asset"]] == row["largest_drift"]
        # The trigger of the same band, and the one of the same distance, say the same.
        seen = {asset: weight for asset, weight in held[time].items() if asset in drift}
        fires = DriftTrigger(absolute=band).weights_to_send(targets, seen)
        assert row["out_of_band"] == (fires is not None)
        if row["distance"] > 1e-6:
            above = DriftTrigger(distance=row["distance"] * (1 + 1e-6))
            below = DriftTrigger(distance=row["distance"] * (1 - 1e-6))
            assert above.weights_to_send(targets, seen) is None
            assert below.weights_to_send(targets, seen) is not None
    days = {row["timestamp"].date() for row in rows if row["out_of_band"]}
    assert found.days_out_of_band == len(days)


@checked
@given(case=markets)
def test_what_became_of_every_rebalance(case: Market) -> None:
    result, broker = run(case)
    found = result.tracking()
    rows = found.by_rebalance.rows(named=True)
    summary, metrics = found.summary, result.metrics
    done = summary["executed"] + summary["executed_in_part"]
    assert done == metrics["rebalances_executed"]
    # a plan without rows is in no frame
    assert len(rows) == result.rebalances["plan_idx"].n_unique()
    assert summary["rebalances"] == len(rows)
    plans = broker.ledger.plans.records()
    lines = defaultdict(list)
    for line in result.rebalances.iter_rows(named=True):
        lines[line["plan_idx"]].append(line)
    for row in rows:
        plan = plans[row["plan_idx"]]
        assert row["n_ordered"] == plan["n_orders"]
        assert row["n_filled"] + row["n_filled_in_part"] <= row["n_ordered"] <= row["n_requested"]
        if not plan["equity"] > 0.0:
            assert row["turnover_planned"] is None
            assert row["distance_before"] is None
            continue
        # as the plan itself has recorded it, by its own equity
        assert row["turnover_planned"] == pytest.approx(plan["turnover"], rel=1e-9, abs=1e-12)
        own = result.fills.filter(pl.col("plan_idx") == row["plan_idx"])
        traded = 0.5 * float((own["quantity"] * own["price"]).sum()) / plan["equity"]
        assert row["turnover_executed"] == pytest.approx(traded, rel=1e-9, abs=1e-12)
        changes = [
            abs(line["target_weight"] - line["effective_weight"])
            for line in lines[row["plan_idx"]]
            # held back; or with orders before its first bar, so that they weigh nobody knows what
            if line["reason"] != "held" and not math.isnan(line["effective_weight"])
        ]
        assert row["turnover_requested"] == pytest.approx(0.5 * sum(changes), abs=1e-12)
    skipped = found.skipped
    n_skipped = sum(row["n_requested"] - row["n_ordered"] for row in rows)
    assert summary["skipped_rows"] == n_skipped == skipped["n_rows"].sum()
    assert set(skipped["reason"]) <= {
        "weight_change_too_small",
        "trade_value_too_small",
        "rounds_to_zero_shares",
        "cost_too_high",
        "awaiting_cancel",
        "no_price",
        "no_equity",
    }
    shares = skipped["share_of_requested"].drop_nulls()
    assert ((shares >= 0.0) & (shares <= 1.0 + 1e-12)).all()
    assert all(np.isfinite(list(summary.values())) | np.isnan(list(summary.values())))
