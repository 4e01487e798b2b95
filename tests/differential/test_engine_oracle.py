"""Random markets: the engine against the oracle, fill by fill."""

from __future__ import annotations

import pytest

from differential.markets import Market, NumpySource, market, run

N_MARKETS = 40
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


@pytest.mark.parametrize("seed", range(15))
def test_runs_are_those_of_the_oracle(seed: int) -> None:
    for number in range(N_MARKETS):
        case = market(NumpySource(seed, number))
        try:
            check(case)
        except AssertionError as error:
            raise AssertionError(f"market {seed}, {number}: {case}") from error
