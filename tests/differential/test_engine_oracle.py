"""Random markets: the engine against the oracle, fill by fill."""

from __future__ import annotations

import pytest

from differential.markets import CostSpec, Market, NumpySource, market, run

N_SEEDS = 25
N_MARKETS = 60
REASONS = (
    "insufficient_cash",
    "short_not_allowed",
    "position_closed",
    "cancelled",
    "rebalance",
)
SETTINGS: dict[str, set[object]] = {
    "execution_mode": {"NEXT_BAR", "SAME_BAR"},
    "fill_price": {"open", "close", "hl2", "vwap"},
    "insufficient_cash": {"scale", "trim", "reject"},
    "max_participation": {None, 0.1, 0.25, 0.5, 1.0},
}
CLOSE = {"rel": 1e-9, "abs": 1e-9}

pytestmark = pytest.mark.filterwarnings("ignore::ml4t.backtest.errors.RebalanceWarning")


def check(case: Market) -> None:
    expected = case.answer()
    result, broker = run(case)

    fills = broker.ledger.fills.records()
    assets = broker.ledger.assets
    assert [(f["bar"], f["order_id"], assets[f["asset"]]) for f in fills] == [
        (f.bar, f.order_id, f.asset) for f in expected.fills
    ]
    for name in ("quantity", "price", "commission", "slippage"):
        wanted = [getattr(f, name) for f in expected.fills]
        assert fills[name].tolist() == pytest.approx(wanted, **CLOSE), name

    orders = broker.orders
    assert [(o.order_id, o.asset, o.side, o.status, o.reason, o.plan_idx) for o in orders] == [
        (o.order_id, o.asset, o.side, o.status, o.reason, o.plan_idx) for o in expected.orders
    ]
    ended = [None if n < 0 else n for n in broker.ledger.all_orders()["finished"].tolist()]
    assert ended == [o.finished for o in expected.orders]
    assert [(o.order_type, o.limit_price, o.stop_price) for o in orders] == [
        (o.order_type, o.limit_price, o.stop_price) for o in expected.orders
    ]
    # The rule book does not say whether a stop that goes with its position had triggered.
    ended_alone = [o.order_id for o in expected.orders if o.reason != "position_closed"]
    assert [orders[n].triggered for n in ended_alone] == [
        expected.orders[n].triggered for n in ended_alone
    ]
    for name in ("quantity", "filled_quantity"):
        wanted = [getattr(o, name) for o in expected.orders]
        assert [getattr(o, name) for o in orders] == pytest.approx(wanted, **CLOSE), name
    averages = [o.average_fill_price for o in orders if o.average_fill_price is not None]
    wanted = [o.average_fill_price for o in expected.orders if o.filled_quantity > 0.0]
    assert averages == pytest.approx(wanted, **CLOSE)

    assert result.equity["cash"].to_list() == pytest.approx(expected.cash, **CLOSE)
    assert result.equity["equity"].to_list() == pytest.approx(expected.equity, **CLOSE)
    held = {name: (p.quantity, p.entry_price) for name, p in broker.positions.items()}
    assert held.keys() == expected.positions.keys()
    for name, (quantity, entry_price) in held.items():
        assert (quantity, entry_price) == pytest.approx(expected.positions[name], **CLOSE)


@pytest.mark.parametrize("seed", range(N_SEEDS))
def test_runs_are_those_of_the_oracle(seed: int) -> None:
    for number in range(N_MARKETS):
        case = market(NumpySource(seed, number))
        try:
            check(case)
        except AssertionError as error:
            raise AssertionError(f"market {seed}, {number}: {case}") from error


def test_every_type_end_and_setting_occurs() -> None:
    seen: dict[str, set[object]] = {"status": set(), "reason": set(), "type": set(), "ends": set()}
    settings: set[tuple[str, object]] = set()
    reduce_only = 0
    for number in range(2 * N_MARKETS):
        case = market(NumpySource(number // N_MARKETS, number % N_MARKETS))
        settings |= {(k, v) for k, v in case.config.items() if k in SETTINGS}
        settings |= {(k, kind_of(case.config[k])) for k in ("commission", "slippage")}
        _, broker = run(case)
        for order in broker.orders:
            seen["status"].add(str(order.status))
            seen["reason"].add(None if order.reason is None else str(order.reason))
            seen["type"].add(str(order.order_type))
            seen["ends"].add((str(order.status), str(order.reason)))
            reduce_only += order.reduce_only
    assert seen["status"] == {"pending", "partially_filled", "filled", "cancelled", "rejected"}
    assert seen["reason"] == {None, *REASONS}
    assert seen["type"] == {"market", "market_on_close", "limit", "stop"}
    assert seen["ends"] >= {("cancelled", reason) for reason in REASONS}
    assert seen["ends"] >= {
        ("rejected", "insufficient_cash"),
        ("rejected", "short_not_allowed"),
    }
    assert reduce_only > 0
    for name, wanted in SETTINGS.items():
        assert {value for key, value in settings if key == name} == wanted
    for name, kinds in (
        ("commission", {"none", "rate", "per_share", "fixed"}),
        ("slippage", {"none", "rate", "per_share"}),
    ):
        assert {value for key, value in settings if key == name and isinstance(value, str)} == kinds


def kind_of(spec: CostSpec) -> str:
    if isinstance(spec, tuple):
        return str(spec[0])
    return "rate" if spec > 0.0 else "none"
