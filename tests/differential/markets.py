"""Random accounts, weights and markets, and how the library and the oracle are given them.

Values are "nice" as often as not, so that thresholds and whole numbers are met exactly.
"""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

import numpy as np
import polars as pl

from differential import oracle
from ml4t.backtest import (
    BacktestConfig,
    BacktestResult,
    Broker,
    DataFeed,
    Engine,
    PortfolioSnapshot,
    RebalanceConfig,
    Strategy,
    TargetWeightExecutor,
    WorkingOrder,
)
from ml4t.backtest.costs import (
    Commission,
    Costs,
    FixedCommission,
    FixedSlippage,
    NoCommission,
    NoSlippage,
    PercentCommission,
    PercentSlippage,
    PerShareCommission,
    Slippage,
)
from ml4t.backtest.errors import DataWarning
from ml4t.backtest.ledger.ledger import Ledger

T = TypeVar("T")
Weights = dict[str, float]
Bar = dict[str, dict[str, float]]
# A rate, or the name of a model and its numbers, as `oracle.ACCOUNT_DEFAULTS` says.
CostSpec = float | tuple[Any, ...]
# The id of an order to cancel, or asset, signed quantity, type, price and reduce_only.
Item = int | tuple[str, float, str, float | None, bool]

START = datetime(2024, 1, 1)
NAMES = ("A", "B", "C", "D", "E", "F")
ORDER_TYPES = ("market", "market_on_close", "limit", "stop", "stop_limit", "trailing_stop")
WORKING = ("pending", "partially_filled", "pending_cancel")
NO_PRICES = (None, math.nan, math.inf, 0.0, -5.0)
RATES = (0.0, 0.0, 0.0005, 0.001, 0.01)


class Source(Protocol):
    """Where random values come from."""

    def chance(self, probability: float) -> bool: ...
    def pick(self, options: Sequence[T]) -> T: ...
    def whole(self, low: int, high: int) -> int: ...
    def real(self, low: float, high: float) -> float: ...


class NumpySource:
    """A seeded source."""

    def __init__(self, *seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def pick(self, options: Sequence[T]) -> T:
        return options[self.whole(0, len(options) - 1)]

    def whole(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def real(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))


# ---------------------------------------------------------------- values


def quantity(source: Source, nice: bool) -> float:
    if source.chance(0.05):
        return source.pick((0.5, 1.25, 2.25))
    if nice:
        return float(source.pick((1, 7, 10, 20, 50, 100, 150, 200)))
    return source.real(0.5, 300.0) if source.chance(0.5) else float(source.whole(1, 300))


def price(source: Source, nice: bool) -> float:
    if nice:
        return float(source.pick((5.0, 10.0, 12.5, 20.0, 25.0, 50.0, 100.0)))
    return round(source.real(3.0, 200.0), 2) if source.chance(0.5) else source.real(3.0, 200.0)


def weight(source: Source, nice: bool) -> float:
    size = source.whole(0, 12) / 20 if nice else source.real(0.0, 0.7)
    return -size if source.chance(0.15) else size


def off_ties(source: Source, targets: Weights) -> Weights:
    """Move targets off the half steps, where rounding noise says which way is nearer."""
    factor = source.real(0.99, 1.0)
    return {name: factor * wanted for name, wanted in targets.items()}


def rebalance_fields(source: Source) -> dict[str, Any]:
    """Draw all fields of a `RebalanceConfig`."""
    fields = {
        "min_trade_value": source.pick((0.0, 0.0, 100.0, 500.0, 1000.0)),
        "min_weight_change": source.pick((0.0, 0.0, 0.01, 0.05)),
        "allow_fractional": source.chance(0.25),
        "round_lots": source.chance(0.15),
        "lot_size": source.pick((2, 10, 100)),
        "rounding": source.pick(("position", "position", "trade", "min_tracking_error")),
        "allow_short": source.chance(0.3),
        "max_single_weight": source.pick((1.0, 1.0, 0.25, 0.5, source.real(0.05, 1.2))),
        "max_net_exposure": source.pick((1.0, 1.0, 0.5, 1.5, source.real(0.2, 2.0))),
        "max_gross_exposure": source.pick((None, None, 1.0, 2.0, source.real(0.2, 2.0))),
        "unmentioned": source.pick(("close", "close", "hold")),
        "cancel_before_rebalance": source.chance(0.5),
        "account_for_pending": source.chance(0.7),
        "keep_protective_orders": source.chance(0.7),
        "ignore_if_cost_exceeds_bps": source.pick((None, None, None, None, 4.9, 21.0)),
    }
    if fields["rounding"] == "min_tracking_error":
        fields["allow_fractional"] = fields["allow_fractional"] and fields["round_lots"]
        for name in ("max_single_weight", "max_net_exposure", "max_gross_exposure"):
            if fields[name] is not None:
                fields[name] *= source.real(0.99, 1.0)
    return fields


def commission_spec(source: Source) -> CostSpec:
    kind = source.pick(("rate", "rate", "per_share", "fixed"))
    if kind == "rate":
        return source.pick(RATES)
    if kind == "fixed":
        return "fixed", source.pick((1.0, 0.5, 10.0, 200.0))
    least, most = source.pick((0.0, 1.0, 25.0)), source.pick((None, 0.005, 0.02))
    return "per_share", source.pick((0.005, 0.1, 1.0)), least, most


def slippage_spec(source: Source) -> CostSpec:
    if source.chance(0.3):
        return "per_share", source.pick((0.01, 0.25, 7.0))
    return source.pick(RATES)


def commission_of(spec: CostSpec) -> Commission:
    if isinstance(spec, tuple):
        return FixedCommission(spec[1]) if spec[0] == "fixed" else PerShareCommission(*spec[1:])
    return PercentCommission(spec) if spec > 0.0 else NoCommission()


def slippage_of(spec: CostSpec) -> Slippage:
    if isinstance(spec, tuple):
        return FixedSlippage(spec[1])
    return PercentSlippage(spec) if spec > 0.0 else NoSlippage()


def costs(specs: tuple[CostSpec, CostSpec]) -> Costs:
    return Costs(commission_of(specs[0]), slippage_of(specs[1]))


# ---------------------------------------------------------------- plans


@dataclass(frozen=True)
class PlanCase:
    """The arguments of a plan; `orders` are dicts of the fields of an order."""

    targets: Weights
    cash: float
    positions: dict[str, float]
    prices: dict[str, float | None]
    marks: dict[str, float | None]
    orders: list[dict[str, Any]]
    multipliers: dict[str, float]
    config: dict[str, Any]
    cost: tuple[CostSpec, CostSpec]

    @property
    def rules(self) -> RebalanceConfig:
        return RebalanceConfig(**self.config)

    def snapshot(self) -> PortfolioSnapshot:
        return PortfolioSnapshot(
            cash=self.cash,
            positions=self.positions,
            prices=self.prices,
            marks=self.marks,
            open_orders=tuple(WorkingOrder(**order) for order in self.orders),
            multipliers=self.multipliers,
            costs=costs(self.cost),
        )

    def answer(self) -> oracle.PlanAnswer:
        """What the oracle plans."""
        return oracle.plan(
            self.targets,
            self.cash,
            self.positions,
            self.prices,
            self.marks,
            self.orders,
            self.multipliers,
            self.config,
            self.cost,
        )


def plan_case(source: Source) -> PlanCase:
    """Draw an account with working orders, and weights wanted of it."""
    nice = source.chance(0.6)
    names = NAMES[: source.whole(1, 5)]
    config = rebalance_fields(source)
    if source.chance(0.05):
        config["unmentioned"] = "error"
    prices: dict[str, float | None] = {name: price(source, nice) for name in names}
    multipliers = {name: source.pick((1.0, 10.0, 0.1)) for name in names if source.chance(0.15)}
    positions = {}
    for name in names:
        if source.chance(0.6):
            held = quantity(source, nice)
            positions[name] = -held if source.chance(0.2) else held
    cash = source.pick((20_000.0, 20_000.0, 10_000.0, 100_000.0, 0.0, -20_000.0))
    cash = cash if nice else cash * source.real(0.5, 1.5)
    worth = {a: q * (prices[a] or 0.0) * multipliers.get(a, 1.0) for a, q in positions.items()}
    equity = cash + sum(worth.values())

    marks: dict[str, float | None] = {}
    for name in names:
        if source.chance(0.12):
            prices[name] = source.pick(NO_PRICES)
            if source.chance(0.3):
                del prices[name]
        if source.chance(0.95):
            marks[name] = price(source, nice)

    targets = {}
    for name in names:
        if not source.chance(0.85):
            continue
        targets[name] = weight(source, nice)
        if equity > 0 and source.chance(0.3):  # at a threshold, or at the target
            edge = source.pick(
                (0.0, config["min_weight_change"], config["min_trade_value"] / equity)
            )
            targets[name] = worth.get(name, 0.0) / equity + source.pick((1.0, -1.0)) * edge

    if config["rounding"] == "min_tracking_error":
        targets = off_ties(source, targets)

    orders = []
    for k in range(source.pick((0, 0, 1, 2, 3, 5))):
        ordered = quantity(source, nice)
        orders.append(
            {
                "asset": source.pick(names),
                "side": source.pick(("buy", "sell")),
                "quantity": ordered,
                "filled_quantity": ordered * source.pick((0.0, 0.0, 0.5, 1.0)),
                "order_type": source.pick(("market", *ORDER_TYPES)),
                "triggered": source.chance(0.3),
                "reduce_only": source.chance(0.15),
                "status": source.pick(WORKING),
                "order_id": source.pick((None, 100 + k)),
            }
        )
    cost = (commission_spec(source), slippage_spec(source))
    return PlanCase(targets, cash, positions, prices, marks, orders, multipliers, config, cost)


# ---------------------------------------------------------------- markets


@dataclass(frozen=True)
class Market:
    """Bars, decisions and manual orders as `oracle.run` takes them."""

    bars: list[Bar]
    decisions: dict[int, Weights]
    manual: dict[int, list[Item]]
    config: dict[str, Any]

    def frame(self) -> pl.DataFrame:
        rows = [
            {"timestamp": START + timedelta(days=t), "asset": asset, **candle}
            for t, bar in enumerate(self.bars)
            for asset, candle in bar.items()
        ]
        return pl.DataFrame(rows, infer_schema_length=None)

    def feed(self) -> DataFeed:
        return feed_of(self.frame())

    def settings(self) -> BacktestConfig:
        given = dict(self.config)
        return BacktestConfig(
            commission=commission_of(given.pop("commission")),
            slippage=slippage_of(given.pop("slippage")),
            execution_mode=given.pop("execution_mode").lower(),
            rebalance=RebalanceConfig(**given.pop("rebalance")),
            **given,
        )

    def answer(self) -> oracle.Answer:
        """What the oracle makes of it."""
        return oracle.run(self.bars, self.decisions, self.config, self.manual)


def market(source: Source) -> Market:
    """Draw bars with gaps, late listings and early ends, and what is done at them.

    Some assets never list, several may end at one bar, and a gap may reach the end of the feed.
    """
    nice = source.chance(0.5)
    n_bars = source.whole(6, 15)
    has_open, has_volume = source.chance(0.8), source.chance(0.6)
    gap = source.pick((0.0, 0.0, 0.1, 0.3))
    thin = source.chance(0.7)
    has_vwap = source.chance(0.3)
    swing = source.pick((0.0, 0.02, 0.1, 0.5))

    def candle(close: float) -> dict[str, float]:
        made = {"close": close}
        if has_open:
            first = price(source, nice) if nice else close * source.real(0.92, 1.08)
            made["open"] = first
            made["high"] = max(first, close) * (1.0 + swing)
            made["low"] = min(first, close) / (1.0 + swing)
            if source.chance(0.05):
                made[source.pick(("open", "high", "low"))] = math.nan
        if has_vwap:
            size = source.real(0.95, 1.05)
            made["vwap"] = math.nan if source.chance(0.1) else close * size
        if has_volume:
            size = source.whole(0, 100) if thin else 10_000 * source.whole(1, 9)
            made["volume"] = math.nan if source.chance(0.05) else float(size)
        return made

    bars: list[Bar] = [{} for _ in range(n_bars)]
    names = NAMES[: source.whole(2, 6)]
    mortal = source.pick((0.15, 0.0, 0.4))
    crash = source.whole(0, n_bars - 1)
    for name in names:
        lists = source.whole(0, n_bars // 2) if source.chance(0.2) else 0
        last = n_bars - 1
        if source.chance(mortal):
            last = max(crash, lists) if source.chance(0.5) else source.whole(lists, last)
        if source.chance(0.05) and name != names[0]:
            lists = n_bars  # never
        chosen = {lists} if last == n_bars - 1 else {lists, last}  # no gap at a chosen end
        close = price(source, nice)
        for t in range(n_bars):
            close = price(source, nice) if nice else close * source.real(0.9, 1.1)
            if lists <= t <= last and (t in chosen or not source.chance(gap)):
                bars[t][name] = candle(close)
            elif source.chance(0.5):
                bars[t][name] = candle(math.nan)
    for bar in bars:
        if not bar:
            bar[names[0]] = candle(math.nan)  # a time at which nothing has a bar

    listed = sorted({name for bar in bars for name in bar})
    rules = rebalance_fields(source)
    busy = source.pick((0.45, 0.2, 0.0))
    decisions: dict[int, Weights] = {}
    manual: dict[int, list[Item]] = {}
    for t in range(n_bars):
        if source.chance(busy):
            scale = source.pick((1.0, 1.0, 0.5, 2.0))
            wanted = [name for name in listed if source.chance(0.8)]
            decisions[t] = {name: scale * weight(source, nice) for name in wanted}
            if rules["rounding"] == "min_tracking_error":
                decisions[t] = off_ties(source, decisions[t])
        if source.chance(0.6):
            now = {name: candle["close"] for name, candle in bars[t].items()}
            manual[t] = [manual_item(source, listed, now, nice) for _ in range(source.whole(1, 4))]
    initial_cash = source.pick((1_000.0, 10_000.0, 100_000.0, source.real(500.0, 50_000.0)))
    config = {
        "initial_cash": initial_cash,
        "execution_mode": source.pick(("NEXT_BAR", "SAME_BAR")),
        "fill_price": source.pick(("open", "close", "hl2", "vwap" if has_vwap else "open")),
        "insufficient_cash": source.pick(("scale", "trim", "reject")),
        "commission": commission_spec(source),
        "slippage": slippage_spec(source),
        "max_participation": source.pick((None, 0.1, 0.25, 0.5, 1.0)) if has_volume else None,
        "delisting": source.pick(("hold", "liquidate", "write_off")),
        "rebalance": rules,
    }
    return Market(bars, decisions, manual, config)


def manual_item(source: Source, names: Sequence[str], now: Weights, nice: bool) -> Item:
    """Draw an order near the closes of now, or the id of one to cancel."""
    if source.chance(0.2):
        return source.whole(0, 15)
    asset = source.pick(names)
    units = max(quantity(source, nice), 0.01)
    signed = units if source.chance(0.62) else -units
    kind = source.pick(("limit", "stop", "market", "market_on_close", "limit", "stop"))
    level = None
    if kind in ("limit", "stop"):
        close = now.get(asset, math.nan)
        near = math.isfinite(close) and not nice
        level = close * source.real(0.85, 1.15) if near else price(source, nice)
    return asset, signed, kind, level, signed < 0.0 and source.chance(0.4)


# ---------------------------------------------------------------- runs


class Script(Strategy):
    """Does what a market says: `decide(weights, data, broker)`, then the manual orders."""

    def __init__(self, market: Market, decide: Callable[..., object] | None = None) -> None:
        self.market = market
        self.decide = TargetWeightExecutor().execute if decide is None else decide
        self.bar = -1

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
        self.bar += 1
        if self.bar in self.market.decisions:
            self.decide(self.market.decisions[self.bar], data, broker)
        for item in self.market.manual.get(self.bar, ()):
            if isinstance(item, int):
                broker.cancel_order(item)
            else:
                asset, signed, kind, level, reduce_only = item
                broker.submit_order(
                    asset,
                    signed,
                    order_type=kind,
                    limit_price=level if kind == "limit" else None,
                    stop_price=level if kind == "stop" else None,
                    reduce_only=reduce_only,
                )

    def on_end(self, broker: Broker) -> None:
        self.broker = broker


def feed_of(frame: pl.DataFrame) -> DataFeed:
    """A feed of random prices: they hold some that are none, and opens outside of their bar."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        return DataFeed(frame, checks="warn")


def run(
    market: Market, decide: Callable[..., object] | None = None, frame: pl.DataFrame | None = None
) -> tuple[BacktestResult, Broker]:
    """Run a market; returns the result and the broker at the end."""
    script = Script(market, decide)
    feed = market.feed() if frame is None else feed_of(frame)
    result = Engine(feed, script, market.settings()).run()
    return result, script.broker


def tables(ledger: Ledger) -> dict[str, np.ndarray]:
    """Every record table of a run, and what the account is at its end."""
    return {
        "equity": ledger.equity,
        "orders": ledger.all_orders(),
        "fills": ledger.fills.records(),
        "plans": ledger.plans.records(),
        "rows": ledger.plan_rows.records(),
        "ends": ledger.ends.records(),
        "holdings": ledger.holdings,
        "account": ledger.account,
    }


def digests(market: Market) -> dict[str, str]:
    """A hash of every record table of a run."""
    found = tables(run(market)[1].ledger)
    return {name: hashlib.sha256(table.tobytes()).hexdigest() for name, table in found.items()}
