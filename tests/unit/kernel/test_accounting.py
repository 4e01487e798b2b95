"""Round trips and the value of an account, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from ml4t.backtest.kernel import accounting
from ml4t.backtest.records import ACCOUNT, EQUITY, FILL, HOLDING, TRADE, TRIP_STATE

NAN = float("nan")
Fills = list[tuple[int, int, float, float, float, float]]


def trades_of(fills: Fills, n_assets: int = 1) -> np.ndarray:
    """Round trips of fills (bar, asset, signed quantity, price, commission, slippage)."""
    records = np.zeros(len(fills), FILL)
    for record, values in zip(records, fills, strict=True):
        for name, value in zip(
            ("bar", "asset", "quantity", "price", "commission", "slippage"), values, strict=True
        ):
            record[name] = value
    room, states = np.zeros(2 * len(fills), TRADE), np.zeros(len(fills), TRIP_STATE)
    return room[: accounting.round_trips(records, n_assets, room, states)]


def test_one_round_trip() -> None:
    (trade,) = trades_of([(1, 0, 10.0, 5.0, 0.5, 0.1), (3, 0, -10.0, 7.0, 0.7, 0.2)])
    assert (trade["entry"], trade["exit"], trade["n_fills"]) == (1, 3, 2)
    assert (trade["quantity"], trade["entry_price"], trade["exit_price"]) == (10.0, 5.0, 7.0)
    # 10 * (7 - 5) - 0.5 - 0.7
    assert trade["pnl"] == pytest.approx(18.8)
    assert (trade["commission"], trade["slippage"]) == pytest.approx((1.2, 0.3))


def test_average_cost_and_partial_exits() -> None:
    (trade,) = trades_of(
        [
            (0, 0, 10.0, 10.0, 1.0, 0.0),
            (1, 0, 10.0, 12.0, 1.0, 0.0),  # 20 at (100 + 120) / 20 = 11
            (2, 0, -5.0, 13.0, 0.5, 0.0),  # 5 * (13 - 11) = 10
            (4, 0, -15.0, 9.0, 1.0, 0.0),  # 15 * (9 - 11) = -30
        ]
    )
    assert (trade["quantity"], trade["entry_price"]) == (20.0, 11.0)
    # (5 * 13 + 15 * 9) / 20 = 200 / 20
    assert trade["exit_price"] == 10.0
    # 10 - 30 - 3.5 commission
    assert trade["pnl"] == pytest.approx(-23.5)
    assert (trade["entry"], trade["exit"], trade["n_fills"]) == (0, 4, 4)


def test_an_increase_after_a_partial_exit() -> None:
    (trade,) = trades_of(
        [
            (0, 0, 10.0, 10.0, 0.0, 0.0),
            (1, 0, -5.0, 12.0, 0.0, 0.0),  # 5 * 2 = 10; 5 are left at 10
            (2, 0, 5.0, 20.0, 0.0, 0.0),  # 10 at (5 * 10 + 5 * 20) / 10 = 15
            (3, 0, -10.0, 15.0, 0.0, 0.0),  # nothing gained
        ]
    )
    # in cash: -100 + 60 - 100 + 150 = 10
    assert trade["pnl"] == pytest.approx(10.0)
    assert trade["quantity"] == 15.0
    # all that was entered: (10 * 10 + 5 * 20) / 15; all that left: (5 * 12 + 10 * 15) / 15 = 14
    assert trade["entry_price"] == pytest.approx(40 / 3)
    assert trade["exit_price"] == pytest.approx(14.0)


def test_reopening_begins_a_new_trade() -> None:
    first, second = trades_of(
        [
            (0, 0, 10.0, 10.0, 0.1, 0.0),
            (1, 0, -10.0, 11.0, 0.1, 0.0),
            (1, 0, 4.0, 8.0, 0.2, 0.0),
            (2, 0, -1.0, 10.0, 0.3, 0.0),
        ]
    )
    assert (first["entry"], first["exit"]) == (0, 1)
    assert first["pnl"] == pytest.approx(10 - 0.2)
    assert (second["entry"], second["exit"], second["n_fills"]) == (1, -1, 2)
    assert (second["quantity"], second["entry_price"], second["exit_price"]) == (4.0, 8.0, 10.0)
    # what was closed: 1 * (10 - 8), less 0.2 and 0.3
    assert second["pnl"] == pytest.approx(1.5)


def test_a_trade_that_is_open_has_no_exit() -> None:
    (trade,) = trades_of([(2, 0, 3.0, 10.0, 0.6, 0.0)])
    assert (trade["exit"], trade["pnl"]) == (-1, -0.6)
    assert np.isnan(trade["exit_price"])


def test_a_short_round_trip() -> None:
    (trade,) = trades_of([(0, 0, -10.0, 10.0, 0.0, 0.0), (1, 0, 10.0, 8.0, 0.0, 0.0)])
    assert (trade["quantity"], trade["pnl"]) == (-10.0, 20.0)
    assert (trade["entry_price"], trade["exit_price"]) == (10.0, 8.0)


def test_assets_do_not_mix() -> None:
    trades = trades_of(
        [
            (0, 1, 1.0, 10.0, 0.0, 0.0),
            (0, 0, 2.0, 20.0, 0.0, 0.0),
            (1, 1, -1.0, 12.0, 0.0, 0.0),
            (2, 0, -2.0, 19.0, 0.0, 0.0),
        ],
        n_assets=2,
    )
    # in the order of their entries
    assert trades["asset"].tolist() == [1, 0]
    assert trades["pnl"].tolist() == [2.0, -2.0]


def test_dust_is_flat() -> None:
    thirds = [(0, 0, 1.0, 3.0, 0.0, 0.0)] + [(1, 0, -1 / 3, 3.0, 0.0, 0.0)] * 3
    (trade,) = trades_of(thirds)
    assert trade["exit"] == 1


def holdings_of(*quantities: float) -> np.ndarray:
    holdings = np.zeros(len(quantities), HOLDING)
    holdings["quantity"] = quantities
    return holdings


def test_equity() -> None:
    # an asset that is not held may have no mark
    marks = np.array([10.0, NAN, 5.0])
    quantity = holdings_of(2.0, 0.0, -4.0)["quantity"]
    multiplier = np.array([3.0, 1.0, 1.0])
    assert accounting.equity_of(100.0, quantity, marks, multiplier) == 100 + 60 - 20


def test_record_equity() -> None:
    marks = np.array([[10.0, 5.0], [20.0, 5.0], [0.0, 5.0]])
    equity = np.zeros(3, EQUITY)
    account = np.zeros(1, ACCOUNT)
    account["cash"] = 10.0
    held = holdings_of(1.0, -4.0)
    accounting.record_equity(2, marks, account, held, equity)
    assert account["n_recorded"] == 2
    account["cash"] = 99.0
    accounting.record_equity(2, marks, account, held, equity)  # those are written already
    account["cash"] = 10.0
    accounting.record_equity(3, marks, account, held, equity)
    # 10 + 10 - 20 = 0; 10 + 20 - 20 = 10; 10 + 0 - 20 = -10
    assert equity["equity"].tolist() == [0.0, 10.0, -10.0]
    assert equity["cash"].tolist() == [10.0] * 3
    # without equity there are no fractions of it; (20 + 20) / 10 and (20 - 20) / 10
    np.testing.assert_array_equal(equity["gross_exposure"], [NAN, 4.0, NAN])
    np.testing.assert_array_equal(equity["net_exposure"], [NAN, 0.0, NAN])


def test_replay_positions() -> None:
    fills = np.zeros(3, FILL)
    fills["bar"] = [0, 2, 2]
    fills["asset"] = [1, 1, 0]
    fills["quantity"] = [5.0, -5.0, 2.0]
    marks = np.array([[10.0, 4.0], [11.0, 5.0], [12.0, 6.0]])
    equity = np.array([100.0, 0.0, 48.0])
    n_rows = accounting.replay_positions(fills, marks, equity, 3, True, np.zeros((0, 5)))
    assert n_rows == 3
    rows = np.zeros((n_rows, 5))
    assert accounting.replay_positions(fills, marks, equity, 3, False, rows) == 3
    # bar, asset, quantity, value, weight
    expected = [[0, 1, 5, 20, 0.2], [1, 1, 5, 25, NAN], [2, 0, 2, 24, 0.5]]
    np.testing.assert_array_equal(rows, expected)


def test_a_flip_ends_a_trade_and_begins_another() -> None:
    first, second = trades_of(
        [
            (0, 0, 10.0, 10.0, 1.0, 0.5),
            (2, 0, -16.0, 12.0, 3.2, 1.6),  # 10 of 16 close, 6 are short
            (3, 0, 6.0, 11.0, 0.6, 0.0),
        ]
    )
    assert (first["quantity"], first["entry"], first["exit"], first["n_fills"]) == (10, 0, 2, 2)
    assert (first["entry_price"], first["exit_price"]) == (10.0, 12.0)
    # 10 * 2, less 1 and 10 / 16 of 3.2
    assert first["pnl"] == pytest.approx(20 - 3)
    assert (first["commission"], first["slippage"]) == pytest.approx((3.0, 1.5))
    assert (second["quantity"], second["entry"], second["exit"]) == (-6.0, 2, 3)
    assert (second["entry_price"], second["exit_price"], second["n_fills"]) == (12.0, 11.0, 2)
    # 6 * 1, less 6 / 16 of 3.2 and 0.6
    assert second["pnl"] == pytest.approx(6 - 1.8)
    assert (second["commission"], second["slippage"]) == pytest.approx((1.8, 0.6))


def test_the_state_after_every_fill() -> None:
    fills = np.zeros(6, FILL)
    fills["quantity"] = [10.0, 10.0, -5.0, -15.0, 4.0, -6.0]
    fills["price"] = [10.0, 12.0, 13.0, 9.0, 8.0, 9.0]
    trades, states = np.zeros(12, TRADE), np.zeros(6, TRIP_STATE)
    assert accounting.round_trips(fills, 1, trades, states) == 3
    assert states["trade"].tolist() == [0, 0, 0, 0, 1, 2]
    assert states["quantity"].tolist() == [10.0, 20.0, 15.0, 0.0, 4.0, -2.0]
    # 20 at (100 + 120) / 20; a sale leaves the cost of the rest; the flip is short at 9
    assert states["cost"][[0, 1, 2, 4, 5]].tolist() == [10.0, 11.0, 11.0, 8.0, 9.0]
