"""Round trips and contributions of small runs, by hand."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from helpers import Action, Script, Values, buy, day, feed_of, long_frame, run_script, sell
from ml4t.backtest import BacktestConfig, BacktestResult, DataFeed, Engine
from ml4t.backtest.costs import FixedCommission, FixedSlippage
from ml4t.backtest.feed.bars import Bars
from ml4t.backtest.storage import StoredFrames

#: Bars of one asset.
BARS: dict[str, Values] = {
    "close": {"A": [10.0, 11.0, 12.0, 14.0]},
    "open": {"A": [10.0, 10.0, 11.0, 12.0]},
    "high": {"A": [10.0, 12.0, 13.0, 15.0]},
    "low": {"A": [10.0, 9.0, 8.0, 11.0]},
}
CASH = 1_000.0
COLUMNS = [
    *("asset", "side", "quantity", "entry_time", "exit_time", "entry_price", "exit_price", "pnl"),
    *("pnl_before_costs", "commission", "slippage", "return", "n_fills", "n_bars"),
    *("holding_time", "mae", "mfe", "is_open"),
]


def run(
    actions: dict[int, Action], bars: dict[str, Values] | None = None, **settings: Any
) -> BacktestResult:
    config = BacktestConfig(initial_cash=CASH, **settings)
    return run_script(actions, config=config, **(bars or BARS))


def submit(quantity: float, side: str, order_type: str = "market", **prices: float) -> Action:
    return lambda data, broker: broker.submit_order(
        "A", quantity, side, order_type=order_type, **prices
    )


def both(*actions: Action) -> Action:
    return lambda data, broker: [action(data, broker) for action in actions]


def check(frame: pl.DataFrame, **columns: list[Any]) -> None:
    for name, expected in columns.items():
        found = frame[name].to_list()
        if all(isinstance(value, float) for value in expected):
            assert found == pytest.approx(expected, rel=1e-12, abs=1e-12), name
        else:
            assert found == expected, name


#: 10 bought at 10 and 10 at 11, 5 of them sold at 12; the last mark is 14.
SCALED = {0: buy("A", 10), 1: buy("A", 10), 2: sell("A", 5)}


def test_average_cost() -> None:
    frame = run(SCALED).round_trips()
    assert frame.columns == COLUMNS
    check(
        frame,
        asset=["A"],
        side=["long"],
        quantity=[20.0],
        entry_time=[day(1)],
        exit_time=[None],
        # (10 * 10 + 10 * 11) / 20; (5 * 12 + 15 * 14) / 20
        entry_price=[10.5],
        exit_price=[13.5],
        # 20 * (13.5 - 10.5); 60 / (20 * 10.5)
        pnl=[60.0],
        pnl_before_costs=[60.0],
        n_fills=[3],
        n_bars=[2],
        holding_time=[timedelta(days=2)],
        is_open=[True],
        # Bar 1, at a cost of 10: 9 to 12. Bar 2, at 10.5: 8 to 13. Sold at 12. Bar 3: 11 to 15.
        mae=[8 / 10.5 - 1],
        mfe=[15 / 10.5 - 1],
    )
    check(frame, **{"return": [60 / 210]})


def test_first_in_first_out() -> None:
    check(
        run(SCALED).round_trips("fifo"),
        quantity=[5.0, 5.0, 10.0],
        entry_time=[day(1), day(1), day(2)],
        exit_time=[day(3), None, None],
        entry_price=[10.0, 10.0, 11.0],
        exit_price=[12.0, 14.0, 14.0],
        # 5 * 2, 5 * 4, 10 * 3
        pnl=[10.0, 20.0, 30.0],
        n_fills=[2, 1, 1],
        n_bars=[2, 2, 1],
        is_open=[False, True, True],
        # Bars 1 and 2: 8 to 13, and then 12; bars 1 to 3: 8 to 15; bars 2 and 3: 8 to 15
        mae=[-0.2, -0.2, 8 / 11 - 1],
        mfe=[0.3, 0.5, 15 / 11 - 1],
    )


def test_costs() -> None:
    result = run(SCALED, commission=FixedCommission(4.0), slippage=FixedSlippage(0.5))
    # bought at 10.5 and 11.5, sold at 11.5; without costs as above
    check(
        result.round_trips("fifo"),
        entry_price=[10.5, 10.5, 11.5],
        exit_price=[11.5, 14.0, 14.0],
        # 5 of 10 and 5 of 5 units; 5 of 10; 10 of 10
        commission=[2.0 + 4.0, 2.0, 4.0],
        slippage=[2.5 + 2.5, 2.5, 5.0],
        # 5 * 1 - 6, 5 * 3.5 - 2, 10 * 2.5 - 4
        pnl=[-1.0, 15.5, 21.0],
        pnl_before_costs=[10.0, 20.0, 30.0],
    )
    frame = result.round_trips()
    # (10 * 10.5 + 10 * 11.5) / 20; (5 * 11.5 + 15 * 14) / 20
    check(frame, entry_price=[11.0], exit_price=[13.375], commission=[12.0], slippage=[12.5])
    # 20 * (13.375 - 11) - 12; the costs are 24.5
    check(frame, pnl=[35.5], pnl_before_costs=[60.0])
    assert result.metrics["final_equity"] == pytest.approx(CASH + 35.5)


def test_an_increase_is_judged_by_what_it_all_has_cost_by_then() -> None:
    """10 at 10; then the price doubles, and 10 more are bought at 20: nothing was ever lost."""
    closes: Values = {"A": [10.0, 10.0, 20.0, 20.0, 20.0]}
    result = run({0: buy("A", 10), 2: buy("A", 10)}, {"close": closes})
    (row,) = result.round_trips().rows(named=True)
    # at the end (10 * 10 + 10 * 20) / 20 = 15, of which the first close would be a third less
    assert row["entry_price"] == 15.0
    assert (row["mae"], row["mfe"]) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("actions", "settings", "mae", "mfe"),
    [
        # Open to open: all of bar 1 (9 to 12) and nothing of bar 2 but its open, 11.
        ({0: buy("A", 10), 1: sell("A", 10)}, {}, 9 / 10 - 1, 12 / 10 - 1),
        # Close of bar 1 (11) to close of bar 3 (14): all of bars 2 and 3, 8 to 15.
        (
            {1: buy("A", 10), 3: sell("A", 10)},
            {"execution_mode": "same_bar"},
            8 / 11 - 1,
            15 / 11 - 1,
        ),
        # The same, as market orders fill at the close of the next bar.
        (
            {0: buy("A", 10), 2: sell("A", 10)},
            {"fill_price": "close"},
            8 / 11 - 1,
            15 / 11 - 1,
        ),
        # Open of bar 1 to the close of bar 2: 8 to 13.
        (
            {0: buy("A", 10), 1: submit(10, "sell", "market_on_close")},
            {},
            8 / 10 - 1,
            13 / 10 - 1,
        ),
        # A limit fills at 9.5 inside bar 1, all of which counts; sold at the open of bar 2, 11.
        (
            {0: submit(10, "buy", "limit", limit_price=9.5), 1: sell("A", 10)},
            {},
            9 / 9.5 - 1,
            12 / 9.5 - 1,
        ),
        # A stop at 8.5 inside bar 2, of which nothing counts but that; before it, bar 1.
        (
            {0: buy("A", 10), 1: submit(10, "sell", "stop", stop_price=8.5)},
            {},
            8.5 / 10 - 1,
            12 / 10 - 1,
        ),
        # Bought at the open of bar 1, stopped out in it.
        (
            {0: both(buy("A", 10), submit(10, "sell", "stop", stop_price=9.5))},
            {},
            9.5 / 10 - 1,
            0.0,
        ),
        # Not touched by the close of bar 0; fills at 9.9 inside bar 1, all of which counts.
        (
            {
                0: submit(10, "buy", "limit", limit_price=9.9),
                1: sell("A", 10),
            },
            {"execution_mode": "same_bar"},
            9 / 9.9 - 1,
            # sold at the close of bar 1
            12 / 9.9 - 1,
        ),
        # Bought at the last close: no bar at all.
        ({3: buy("A", 10)}, {"execution_mode": "same_bar"}, 0.0, 0.0),
    ],
)
def test_which_bars_count(
    actions: dict[int, Action], settings: dict[str, Any], mae: float, mfe: float
) -> None:
    result = run(actions, **settings)
    for method in ("average", "fifo"):
        check(result.round_trips(method), mae=[mae], mfe=[mfe])


#: 11 at every close but the first; in bar 2 from 5 to 20.
SWING: dict[str, Values] = {
    "close": {"A": [10.0, 11.0, 11.0, 11.0]},
    "open": {"A": [10.0, 11.0, 11.0, 11.0]},
    "high": {"A": [10.0, 11.0, 20.0, 11.0]},
    "low": {"A": [10.0, 11.0, 5.0, 11.0]},
}
ALL_OF_IT = (5 / 11 - 1, 20 / 11 - 1)


@pytest.mark.parametrize(
    ("actions", "lots", "trips"),
    [
        # 10 of bar 1 are sold inside bar 2, and 5 bought at its close: neither saw it.
        (
            {0: buy("A", 10), 1: both(submit(10, "sell", "limit", limit_price=12.0), buy("A", 5))},
            [(0.0, 12 / 11 - 1), (0.0, 0.0)],
            [(0.0, 12 / 11 - 1)],
        ),
        # Only 3 of them are sold: the other 7 saw all of it.
        (
            {0: buy("A", 10), 1: both(submit(3, "sell", "limit", limit_price=12.0), buy("A", 5))},
            [(0.0, 12 / 11 - 1), ALL_OF_IT, (0.0, 0.0)],
            [ALL_OF_IT],
        ),
        # 10 are bought inside it at 6, before 5 at its close, which come first in sequence.
        (
            {1: both(submit(10, "buy", "limit", limit_price=6.0), buy("A", 5))},
            [(0.0, 0.0), (5 / 6 - 1, 20 / 6 - 1)],
            [(5 / 6 - 1, 20 / 6 - 1)],
        ),
        # 5 are bought inside it before 10 are sold at its close: two trips, both saw it.
        (
            {0: buy("A", 10), 1: both(submit(5, "buy", "limit", limit_price=6.0), sell("A", 10))},
            [ALL_OF_IT, (5 / 6 - 1, 20 / 6 - 1)],
            [ALL_OF_IT, (5 / 6 - 1, 20 / 6 - 1)],
        ),
        # 5 are bought at its close and sold inside it: by the clock they were never there.
        (
            {1: both(buy("A", 5), submit(5, "sell", "limit", limit_price=12.0))},
            [(0.0, 12 / 11 - 1)],
            [(0.0, 12 / 11 - 1)],
        ),
    ],
)
def test_a_bar_in_which_orders_fill_before_its_close_and_at_it(
    actions: dict[int, Action], lots: list[tuple[float, float]], trips: list[tuple[float, float]]
) -> None:
    result = run(actions, SWING, fill_price="close")
    for method, expected in (("fifo", lots), ("average", trips)):
        found = result.round_trips(method)
        check(found, mae=[worst for worst, _ in expected], mfe=[best for _, best in expected])


def test_ratios_beyond_all_floats_are_not_known() -> None:
    # bought at 1e-300; 1e300 is 1e600 times as much
    result = run({0: buy("A", 10)}, {"close": {"A": [1e-300, 1e-300, 1e300]}})
    for method in ("average", "fifo"):
        frame = result.round_trips(method)
        check(frame, mae=[0.0], mfe=[None], exit_price=[1e300])
        assert frame["return"].to_list() == [None]


def test_a_gap_to_the_exit_counts() -> None:
    bars = {**BARS, "open": {"A": [10.0, 10.0, 7.0, 12.0]}, "low": {"A": [10.0, 9.0, 7.0, 11.0]}}
    # sold at 7, below all that was seen before
    check(run({0: buy("A", 10), 1: sell("A", 10)}, bars).round_trips(), mae=[-0.3], mfe=[0.2])


def test_in_and_out_in_one_bar() -> None:
    actions = {0: both(buy("A", 10), submit(10, "sell", "stop", stop_price=9.5))}
    check(
        run(actions).round_trips(),
        entry_time=[day(1)],
        exit_time=[day(1)],
        n_bars=[0],
        holding_time=[timedelta(0)],
        pnl=[-5.0],
        is_open=[False],
    )


GONE: dict[str, Values] = {"close": {"A": [10.0, 10.0, 8.0, None], "B": [5.0] * 4}}


@pytest.mark.parametrize(
    ("delisting", "exit_price", "mae"),
    [("write_off", 0.0, -1.0), ("liquidate", 8.0, -0.2), ("hold", 8.0, -0.2)],
)
def test_an_asset_that_ends(delisting: str, exit_price: float, mae: float) -> None:
    result = run({0: buy("A", 10), 1: buy("B", 2)}, GONE, delisting=delisting)
    pnl = 10 * (exit_price - 10)
    for method in ("average", "fifo"):
        frame = result.round_trips(method)
        check(frame, exit_price=[exit_price, 5.0], pnl=[pnl, 0.0], mae=[mae, 0.0], mfe=[0.0, 0.0])
        check(frame, is_open=[delisting == "hold", True])
    is_settled = delisting != "hold"
    check(
        result.contributions(),
        asset=["A", "B"],
        pnl=[pnl, 0.0],
        contribution=[pnl / CASH, 0.0],
        n_fills=[1 + is_settled, 1],
        n_round_trips=[1, 1],
        bars_held=[2 if is_settled else 3, 2],
    )


def test_contributions() -> None:
    bars: dict[str, Values] = {
        "close": {"A": [10.0, 10.0, 12.0, 12.0], "B": [20.0, 20.0, 20.0, 15.0], "C": [1.0] * 4}
    }
    actions = {
        0: both(buy("A", 20), buy("B", 10)),
        1: sell("A", 20),
        2: buy("A", 5),
    }
    result = run(actions, bars, commission=FixedCommission(1.0), slippage=FixedSlippage(0.1))
    # A: 20 bought at 10.1, sold at 11.9, 5 bought at 12.1, mark 12, three commissions;
    # B: 10 bought at 20.1, mark 15, one commission. C was never traded.
    a = 20 * (11.9 - 10.1) + 5 * (12.0 - 12.1) - 3.0
    b = 10 * (15.0 - 20.1) - 1.0
    assert (a, b) == pytest.approx((32.5, -52.0))
    frame = result.contributions()
    assert frame.columns == [
        *("asset", "pnl", "contribution", "commission", "slippage"),
        *("n_fills", "n_round_trips", "bars_held", "average_weight"),
    ]
    # Equity at the closes: 1 000; cash 595 and 200 + 200; cash 595 + 238 - 1 = 832 and 200; cash
    # 832 - 61.5 = 770.5, 60 and 150
    equity = [1_000.0, 995.0, 1_032.0, 980.5]
    assert result.equity["equity"].to_list() == pytest.approx(equity)
    check(
        frame,
        asset=["A", "B"],
        pnl=[a, b],
        contribution=[a / CASH, b / CASH],
        commission=[3.0, 1.0],
        slippage=[20 * 0.1 + 20 * 0.1 + 5 * 0.1, 1.0],
        n_fills=[3, 1],
        n_round_trips=[2, 1],
        bars_held=[2, 3],
        average_weight=[
            (200 / 995 + 60 / 980.5) / 4,
            (200 / 995 + 200 / 1_032 + 150 / 980.5) / 4,
        ],
    )
    assert frame["contribution"].sum() == pytest.approx(result.metrics["total_return"], abs=1e-15)


def test_shorts_and_flips() -> None:
    """No account has them yet: from frames that are written by hand."""
    times = pl.Series("timestamp", [day(t) for t in range(4)]).cast(pl.Datetime("ns"))
    # 10 sold short at 10; 16 bought back at 8, so that 6 are long; they are worth 9 at the end
    fills = pl.DataFrame(
        {
            "timestamp": times.gather([0, 2]),
            "order_id": [0, 1],
            "plan_idx": [-1, -1],
            "asset": ["A", "A"],
            "side": ["sell", "buy"],
            "quantity": [10.0, 16.0],
            "price": [10.0, 8.0],
            "commission": [1.0, 3.2],
            "slippage": [0.0, 1.6],
        }
    )
    orders = pl.DataFrame(
        {"order_id": [0, 1], "created_at": times.gather([0, 1]), "order_type": ["market"] * 2}
    )
    # 1 000 + 100 - 1 - 128 - 3.2 + 6 * 9
    equity = pl.DataFrame({"timestamp": times, "equity": [999.0, 990.0, 1_015.8, 1_021.8]})
    positions = pl.DataFrame(
        {
            "timestamp": times,
            "asset": ["A"] * 4,
            "quantity": [-10.0, -10.0, 6.0, 6.0],
            "market_value": [-100.0, -110.0, 48.0, 54.0],
            "weight": [-0.1, -0.11, 0.05, 0.05],
        }
    )
    close = np.array([[10.0], [11.0], [8.0], [9.0]])
    fields = {"close": close, "open": close, "high": close + 1.0, "low": close - 1.0}
    bars = Bars.from_fields(("A",), times.to_physical().to_numpy(), None, fields, {})
    none = pl.DataFrame()
    frames = StoredFrames(
        equity=equity, orders=orders, fills=fills, trades=none, positions=positions,
        rebalances=none, ends=none, n_plans=0, fingerprint="", bars=bars,
    )  # fmt: skip
    result = BacktestResult(BacktestConfig(initial_cash=CASH), frames)
    for method in ("average", "fifo"):
        frame = result.round_trips(method)
        check(
            frame,
            side=["short", "long"],
            quantity=[10.0, 6.0],
            entry_price=[10.0, 8.0],
            exit_price=[8.0, 9.0],
            exit_time=[day(2), None],
            # 10 and 6 of the 16 units
            commission=[1.0 + 2.0, 1.2],
            slippage=[1.0, 0.6],
            pnl=[20.0 - 3.0, 6.0 - 1.2],
            pnl_before_costs=[21.0, 6.6],
            n_bars=[2, 1],
            # Short over bars 0 and 1: at 12 a fifth is lost, at 9 a tenth gained, at 8 a fifth.
            # Long over bars 2 and 3: 7 to 10.
            mae=[-0.2, 7 / 8 - 1],
            mfe=[0.2, 10 / 8 - 1],
        )
        check(frame, **{"return": [17 / 100, 4.8 / 48]})
        assert frame["pnl"].sum() == pytest.approx(21.8)


# ---------------------------------------------------------------- results of every kind


def test_a_loaded_result(tmp_path: Path) -> None:
    result = run(SCALED)
    result.save(tmp_path / "run")
    loaded = BacktestResult.load(tmp_path / "run")
    prices = long_frame(**BARS)
    for method in ("average", "fifo"):
        whole = result.round_trips(method)
        assert_frame_equal(loaded.round_trips(method, prices), whole)
        # the same prices may be passed where they are known
        assert_frame_equal(result.round_trips(method, prices=prices), whole)
        without = loaded.round_trips(method)
        assert without["mae"].to_list() == without["mfe"].to_list() == [None] * without.height
        assert without.schema == whole.schema
        assert_frame_equal(without.drop("mae", "mfe"), whole.drop("mae", "mfe"))
    assert_frame_equal(loaded.contributions(), result.contributions())


def test_without_a_trade() -> None:
    traded = run(SCALED)
    for result in (run({}), run({}, {"close": {"A": [10.0]}})):
        for method in ("average", "fifo"):
            frame = result.round_trips(method)
            assert frame.is_empty()
            assert frame.schema == traded.round_trips(method).schema
        assert result.contributions().is_empty()
        assert result.contributions().schema == traded.contributions().schema


def test_one_bar() -> None:
    result = run({0: buy("A", 3)}, {"close": {"A": [10.0]}}, execution_mode="same_bar")
    check(result.round_trips(), pnl=[0.0], n_bars=[0], is_open=[True], mae=[0.0], mfe=[0.0])
    check(result.contributions(), pnl=[0.0], bars_held=[1], average_weight=[0.03])


def test_a_run_that_was_stopped() -> None:
    def stop(data: Any, broker: Any) -> None:
        raise RuntimeError("stopped")

    def stopped(actions: dict[int, Action]) -> BacktestResult:
        engine = Engine(feed_of(**BARS), Script(actions), BacktestConfig(initial_cash=CASH))
        with pytest.raises(RuntimeError, match="stopped"):
            engine.run()
        return engine.result

    nothing = stopped({0: stop})
    assert nothing.equity.is_empty()
    assert nothing.round_trips("fifo").schema == run(SCALED).round_trips("fifo").schema
    assert nothing.contributions().is_empty()
    # two bars are complete, and what was bought at 10 is worth 11: 9 to 12
    check(
        stopped({0: buy("A", 10), 2: stop}).round_trips(),
        pnl=[10.0],
        n_bars=[0],
        mae=[-0.1],
        mfe=[0.2],
    )


def test_equity_that_reaches_zero() -> None:
    gone: Values = {"A": [10.0, 10.0, None, None], "B": [5.0] * 4}
    result = run({0: buy("A", 100)}, {"close": gone}, delisting="write_off")
    assert result.metrics["final_equity"] == 0.0
    check(result.round_trips(), pnl=[-CASH], mae=[-1.0])
    # one of the two closes that have equity
    check(result.contributions(), contribution=[-1.0], bars_held=[1], average_weight=[0.5])


def test_the_clock_of_another_zone() -> None:
    zone = "America/New_York"
    prices = long_frame(**BARS).with_columns(pl.col("timestamp").dt.replace_time_zone(zone))
    result = Engine(DataFeed(prices), Script(SCALED), BacktestConfig(initial_cash=CASH)).run()
    frame = result.round_trips("fifo")
    assert frame.schema["entry_time"] == frame.schema["exit_time"] == pl.Datetime("ns", zone)
    naive = [None if t is None else t.replace(tzinfo=None) for t in frame["exit_time"]]
    assert naive == [day(3), None, None]


def test_times_between_microseconds() -> None:
    """The last close is found although no `datetime` can say when it is."""
    times = pl.Series([1, 2, 3, 4]).cast(pl.Datetime("ns"))
    prices = long_frame(**BARS).with_columns(timestamp=times)
    result = Engine(DataFeed(prices), Script(SCALED), BacktestConfig(initial_cash=CASH)).run()
    check(result.round_trips(), pnl=[60.0], exit_price=[13.5])
    check(result.contributions(), pnl=[60.0])


def test_an_order_from_before_the_first_bar() -> None:
    class Early(Script):
        def on_start(self, broker: Any) -> None:
            super().on_start(broker)
            broker.submit_order("A", 10, "buy")

    config = BacktestConfig(initial_cash=CASH, execution_mode="same_bar")
    result = Engine(feed_of(**BARS), Early(), config).run()
    assert result.orders["created_at"].to_list() == [None]
    # filled at the open of bar 0, at 10, and not at its close: 8 to 15
    check(result.round_trips(), entry_price=[10.0], mae=[-0.2], mfe=[0.5])


def test_a_result_is_not_changed_by_reading() -> None:
    result = run(SCALED)
    before = {name: getattr(result, name).clone() for name in ("fills", "trades", "equity")}
    result.round_trips()
    result.round_trips("fifo")
    result.contributions()
    for name, frame in before.items():
        assert_frame_equal(getattr(result, name), frame)
