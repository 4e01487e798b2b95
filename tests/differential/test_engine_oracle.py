"""Random markets: the engine against the oracle, fill by fill."""

from __future__ import annotations

import itertools
import math

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
    "delisted",
)
SETTINGS: dict[str, set[object]] = {
    "execution_mode": {"NEXT_BAR", "SAME_BAR"},
    "fill_price": {"open", "close", "hl2", "vwap"},
    "insufficient_cash": {"scale", "trim", "reject"},
    "max_participation": {None, 0.1, 0.25, 0.5, 1.0},
    "delisting": {"hold", "liquidate", "write_off"},
}
N_ENDS = 300
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
    records = broker.ledger.all_orders()
    assert records["created"].tolist() == [o.created for o in expected.orders]
    ended = [None if n < 0 else n for n in records["finished"].tolist()]
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
    ends = result.ends
    times = result.equity["timestamp"]
    assert ends["asset"].to_list() == [e.asset for e in expected.ends]
    assert ends["timestamp"].to_list() == [times[e.bar] for e in expected.ends]
    assert ends["last_bar"].to_list() == [times[e.last_bar] for e in expected.ends]
    for name in ("quantity", "market_value"):
        wanted = [getattr(e, name) for e in expected.ends]
        assert ends[name].to_list() == pytest.approx(wanted, **CLOSE), name
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


def test_assets_end_in_every_way() -> None:
    """Asked of the oracle alone, since this is about the markets."""
    ends: set[tuple[object, ...]] = set()
    cancelled: set[tuple[object, ...]] = set()
    seen: set[str] = set()
    for number in range(N_ENDS):
        case = market(NumpySource(number // N_MARKETS, number % N_MARKETS))
        found = case.answer()
        policy, mode = case.config["delisting"], case.config["execution_mode"]
        ended_at = {end.asset: end.bar for end in found.ends}
        has_bar = [{a for a, c in bar.items() if math.isfinite(c["close"])} for bar in case.bars]
        listed = {asset for bar in case.bars for asset in bar}
        ends |= {(policy, mode, end.quantity > 0.0) for end in found.ends}

        settlements = [o for o in found.orders if (o.status, o.reason) == ("filled", "delisted")]
        bars = [order.created for order in settlements]
        seen |= {"several settled at one bar"} if len(bars) > len(set(bars)) else set()
        paid = {order.created for order in settlements if order.average_fill_price > 0.0}
        seen |= {"a purchase after it" for f in found.fills if f.bar in paid and f.quantity > 0.0}
        if settlements and case.config["commission"] != 0.0 and case.config["slippage"] != 0.0:
            seen.add("settled where trades cost")
        if settlements and case.config["max_participation"] is not None:
            seen.add("settled where volume is short")

        for order in found.orders:
            if (order.status, order.reason) == ("cancelled", "delisted"):
                is_later = order.created >= ended_at[order.asset]
                cancelled.add((order.order_type, mode, is_later))
                if order.filled_quantity > 0.0:
                    cancelled.add((order.order_type, "partly filled"))
                seen |= {"a stop that had triggered"} if order.triggered else set()
                seen |= {"reduce only"} if order.reduce_only else set()
            elif order.working and order.asset in ended_at:
                seen.add("sent after the end, at the last bar")
            elif order.working and not any(order.asset in now for now in has_bar):
                seen.add("an order for what never listed")
        for asset in listed:
            bars = [t for t, now in enumerate(has_bar) if asset in now]
            if bars and bars[-1] == len(has_bar) - 1 and len(bars) < bars[-1] - bars[0] + 1:
                seen.add("a gap that is no end")

    modes = ("NEXT_BAR", "SAME_BAR")
    assert ends == set(itertools.product(SETTINGS["delisting"], modes, (False, True)))
    types = ("market", "market_on_close", "limit", "stop")
    assert cancelled == {
        *itertools.product(types, modes, (False, True)),
        *((kind, "partly filled") for kind in types),
    }
    assert seen == {
        "several settled at one bar",
        "a purchase after it",
        "settled where trades cost",
        "settled where volume is short",
        "a stop that had triggered",
        "reduce only",
        "sent after the end, at the last bar",
        "an order for what never listed",
        "a gap that is no end",
    }


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
        ("filled", "delisted"),
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
