"""A slow, plain reference of the rule book, to be compared with the engine.

Written from ``semantics.md`` alone and importing nothing of the project: parts 2 (a cash account)
and 3 (the rebalance plan) in plain loops over dicts. Every name is a string as in the rule book,
every time the index of a bar, every order id the index of its submission (from 0). Sums run over
assets in alphabetical order, or over orders in the order of the sequence.
"""

import math
import numbers
from collections.abc import Callable
from dataclasses import dataclass, field

NAN = math.nan
ZERO_QTY = 1e-9
STOPS = ("stop", "stop_limit", "trailing_stop")

REBALANCE_DEFAULTS = {
    "min_trade_value": 100.0,
    "min_weight_change": 0.01,
    "allow_fractional": False,
    "round_lots": False,
    "lot_size": 100,
    "rounding": "position",
    "allow_short": False,
    "max_single_weight": 1.0,
    "max_net_exposure": 1.0,
    "max_gross_exposure": None,
    "unmentioned": "close",
    "cancel_before_rebalance": True,
    "account_for_pending": True,
    "keep_protective_orders": True,
    "ignore_if_cost_exceeds_bps": None,
}
ACCOUNT_DEFAULTS = {
    "initial_cash": 100_000.0,
    "execution_mode": "NEXT_BAR",  # or SAME_BAR
    # A rate, or ("per_share", fee, minimum, maximum rate or None), or ("fixed", fee).
    "commission": 0.0,
    "slippage": 0.0,  # a rate, or ("per_share", amount)
    "fill_price": "open",
    "insufficient_cash": "scale",
    "max_participation": None,
    "delisting": "hold",  # or liquidate, write_off
    "multipliers": {},
    "rebalance": {},
}


# ---------------------------------------------------------------- numbers and records


def clean(quantity: float) -> float:
    """Return the quantity, or 0.0 if it is too small to be one."""
    return 0.0 if abs(quantity) < ZERO_QTY else quantity


def round_down(x: float, step: float) -> float:
    """Round toward zero to a multiple of step (0: continuous), forgiving float noise."""
    if step == 0 or x == 0:
        return x
    n = abs(x) / step
    size = math.floor(n + 1e-9 + 1e-12 * n) * step
    return size if x > 0 else 0.0 - size


def on_grid(x: float, step: float) -> bool:
    """Whether x is a multiple of step, up to the noise that ``round_down`` forgives."""
    n = abs(x) / step
    return abs(n - round(n)) <= 1e-9 + 1e-12 * n


def usable(price: float | None) -> bool:
    """Whether a price is there, finite and above zero."""
    return price is not None and math.isfinite(price) and price > 0


def reduces(signed: float, quantity: float) -> bool:
    """Whether a signed trade is opposite to a quantity and not larger than it."""
    return signed * quantity < 0 and abs(signed) - abs(quantity) < ZERO_QTY


def slipped(price: float, sign: int, slippage) -> float:
    """Return the price after adverse slippage of a buy (sign 1) or a sell (-1)."""
    if isinstance(slippage, tuple):
        return max(price + sign * slippage[1], 0.0)
    return price * (1 + sign * slippage)


def commission_due(quantity: float, notional: float, commission) -> float:
    """Return what all fills of an order together are charged."""
    if quantity == 0:
        return 0.0
    if not isinstance(commission, tuple):
        return notional * commission
    if commission[0] == "fixed":
        return commission[1]
    _, per_share, minimum, maximum_rate = commission
    due = max(quantity * per_share, minimum)
    return due if maximum_rate is None else min(due, maximum_rate * notional)


def trade_cost(delta: float, price: float, multiplier: float, cost) -> float:
    """Estimate slippage and commission, in currency, of trading delta units at a price."""
    commission, slippage = cost
    after = slipped(price, 1 if delta > 0 else -1, slippage)
    size = abs(delta) * multiplier
    return size * abs(after - price) + commission_due(abs(delta), size * after, commission)


@dataclass
class Order:
    """An order as the plan and the account see it; quantities are positive."""

    asset: str
    side: str
    quantity: float
    filled_quantity: float = 0.0
    order_type: str = "market"
    limit_price: float | None = None
    stop_price: float | None = None
    triggered: bool = False
    reduce_only: bool = False
    status: str = "pending"
    order_id: int | None = None
    # The account's own: the plan does not read these.
    step: float = 0.0
    plan_idx: int = -1
    created: int = -1
    finished: int | None = None
    reason: str | None = None
    average_fill_price: float = NAN
    notional: float = 0.0  # of all fills, after slippage
    paid: float = 0.0  # commission of all fills

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell."""
        return 1 if self.side == "buy" else -1

    @property
    def remaining(self) -> float:
        """What is left to fill, never negative."""
        return max(clean(self.quantity - self.filled_quantity), 0.0)

    @property
    def pending(self) -> float:
        """The signed remaining."""
        return self.sign * self.remaining

    @property
    def protective(self) -> bool:
        """An untriggered stop of any kind, or anything reduce-only."""
        return self.reduce_only or (self.order_type in STOPS and not self.triggered)

    @property
    def cancel_requested(self) -> bool:
        """Whether a cancel is on its way and not acknowledged."""
        return self.status == "pending_cancel"

    @property
    def working(self) -> bool:
        """Accepted, not yet done."""
        return self.status in ("pending", "partially_filled", "pending_cancel")


@dataclass
class Row:
    """One asset of a plan; weights are NaN without equity, quantities NaN where undefined."""

    asset: str
    requested_weight: float = NAN
    target_weight: float = 0.0
    current_weight: float = NAN
    effective_weight: float = NAN
    weight_delta: float = NAN
    target_quantity: float = NAN
    quantity: float = 0.0
    reason: str = ""
    adjustments: list[str] = field(default_factory=list)
    # Workings of the planner.
    held: float = 0.0
    effective: float = 0.0
    price: float | None = None  # today's close, if usable
    mark: float | None = None
    multiplier: float = 1.0
    unrounded: float = NAN
    is_exit: bool = False
    orders: list[int] = field(default_factory=list)
    counted: list[int] = field(default_factory=list)
    cancels: set[int] = field(default_factory=set)


@dataclass
class PlanAnswer:
    """What a rebalance would do now."""

    rows: list[Row]
    cancels: list[int]  # indices into the orders given, ascending
    orders: list[tuple[str, float, float]]  # (asset, signed quantity, step), in sequence
    equity: float


# ---------------------------------------------------------------- the plan (part 3)


def plan(
    targets,
    cash,
    positions,
    prices,
    marks=None,
    orders=(),
    multipliers=None,
    config=None,
    cost=(0.0, 0.0),
):
    """Answer what a rebalance to the target weights would do now.

    Parameters
    ----------
    targets, positions, prices, marks, multipliers : dict of str to float
    cash : float
    orders : sequence of Order or dict of its fields, in the order of submission
    config : dict of RebalanceConfig fields that differ from the defaults
    cost : (commission, slippage), each a rate or as in ``ACCOUNT_DEFAULTS``

    Raises
    ------
    ValueError
        What rule 1 refuses, and under ``unmentioned="error"`` a held asset outside the targets.
    """
    marks, multipliers = marks or {}, multipliers or {}
    cfg = {**REBALANCE_DEFAULTS, **(config or {})}
    orders = [Order(**o) if isinstance(o, dict) else o for o in orders]
    _validate(targets, cash, positions, prices, marks, orders, multipliers, cfg, cost)

    rows = _universe(targets, positions, prices, marks, orders, multipliers, cfg)
    _adjust([row for row in rows if row.reason != "held"], cfg)
    equity = cash
    for row in rows:
        if row.held != 0:
            equity = equity + row.held * row.mark * row.multiplier

    step = cfg["lot_size"] if cfg["round_lots"] else 0 if cfg["allow_fractional"] else 1
    for row in rows:
        row.is_exit = row.reason != "held" and row.target_weight == 0
        _count_orders(row, orders, cfg)
        _weigh(row, equity)
        _early_reason(row, equity, cfg)
        _size(row, equity, step, cfg)
    if cfg["rounding"] == "min_tracking_error" and step > 0 and equity > 0:
        _spend_leftover(rows, cash, equity, step, cost)
    for row in rows:
        _decide(row, orders, step, cfg, cost)
        _protective_cancels(row, orders, cfg)
        if equity <= 0:
            row.target_weight = row.current_weight = row.effective_weight = row.weight_delta = NAN

    trading = [row for row in rows if row.quantity != 0]
    trading.sort(key=lambda row: (not reduces(row.quantity, row.effective), row.asset))
    sent = []
    for row in trading:
        off_grid = row.is_exit and step > 0 and not on_grid(row.quantity, step)
        sent.append((row.asset, row.quantity, 0 if off_grid else step))
    return PlanAnswer(rows, sorted(i for row in rows for i in row.cancels), sent, equity)


def _finite(x) -> bool:
    return isinstance(x, numbers.Real) and not isinstance(x, bool) and math.isfinite(x)


def _validate(targets, cash, positions, prices, marks, orders, multipliers, cfg, cost):
    """Rule 1; duplicates cannot occur in a dict."""
    bad = [
        f"name {a!r}"
        for a in (*targets, *positions, *(o.asset for o in orders))
        if not isinstance(a, str)
    ]
    bad += [f"weight of {a}" for a, w in targets.items() if not _finite(w)]
    bad += [f"position {a}" for a, q in positions.items() if not _finite(q)]
    bad += [f"multiplier of {a}" for a, m in multipliers.items() if not (_finite(m) and m > 0)]
    bad += [
        f"order of {o.asset}"
        for o in orders
        if not (_finite(o.quantity) and _finite(o.filled_quantity))
    ]
    bad += [] if _finite(cash) else ["cash"]
    for a, q in positions.items():
        if _finite(q) and clean(q) != 0 and not usable(prices.get(a)) and not usable(marks.get(a)):
            bad.append(f"no price and no mark of {a}")
    bad += [f"config {k}" for k in cfg if k not in REBALANCE_DEFAULTS]
    bps = cfg["ignore_if_cost_exceeds_bps"]
    figures = []
    for model in cost:
        figures += [x for x in model[1:] if x is not None] if isinstance(model, tuple) else [model]
    for name, x in (
        *(("cost", x) for x in figures),
        ("ignore_if_cost_exceeds_bps", 0 if bps is None else bps),
    ):
        bad += [] if x >= 0 else [name]
    bad += [k for k in ("min_trade_value", "min_weight_change") if not cfg[k] >= 0]
    bad += [k for k in ("max_single_weight", "max_net_exposure") if not cfg[k] > 0]
    bad += (
        []
        if cfg["max_gross_exposure"] is None or cfg["max_gross_exposure"] > 0
        else ["max_gross_exposure"]
    )
    bad += [] if cfg["lot_size"] >= 1 else ["lot_size"]
    bad += [] if cfg["rounding"] in ("position", "trade", "min_tracking_error") else ["rounding"]
    bad += [] if cfg["unmentioned"] in ("close", "hold", "error") else ["unmentioned"]
    if bad:
        raise ValueError("not a plan: " + ", ".join(bad))


def _universe(targets, positions, prices, marks, orders, multipliers, cfg):
    """Rule 2: one row an asset, alphabetical; those to be left alone get their reason here."""
    held = {a: q for a, q in positions.items() if clean(q) != 0}
    rows = []
    for asset in sorted({*targets, *held, *(o.asset for o in orders)}):
        row = Row(asset, held=float(held.get(asset, 0.0)), multiplier=multipliers.get(asset, 1.0))
        row.price = prices[asset] if usable(prices.get(asset)) else None
        row.mark = (
            row.price
            if row.price is not None
            else marks.get(asset)
            if usable(marks.get(asset))
            else None
        )
        row.orders = [i for i, o in enumerate(orders) if o.asset == asset]
        if asset in targets:
            row.requested_weight = row.target_weight = float(targets[asset])
        elif cfg["unmentioned"] == "hold":
            row.reason = "held"
        elif cfg["unmentioned"] == "error" and row.held != 0:
            raise ValueError(f"held and not in the targets: {asset}")
        rows.append(row)
    return rows


def _adjust(rows, cfg):
    """Rule 3: shorts, cap, net exposure, gross exposure, in this order."""
    cap = cfg["max_single_weight"]
    for row in rows:
        if row.target_weight < 0 and not cfg["allow_short"]:
            row.target_weight = 0.0
            row.adjustments.append("short_not_allowed")
        if abs(row.target_weight) > cap:
            row.target_weight = math.copysign(cap, row.target_weight)
            row.adjustments.append("capped")
    for limit, size in ((cfg["max_net_exposure"], lambda w: w), (cfg["max_gross_exposure"], abs)):
        total = 0.0
        for row in rows:
            total += size(row.target_weight)
        if limit is not None and abs(total) > limit + 1e-6:
            factor = limit / abs(total)
            for row in rows:
                if row.target_weight != 0:
                    row.target_weight *= factor
                    if "scaled" not in row.adjustments:
                        row.adjustments.append("scaled")


def _count_orders(row, orders, cfg):
    """Rule 4 without the protective orders: what counts, and what a cancelling rebalance cancels.

    Orders that rules 2 and 5 leave alone stay, whatever the mode, and count as those that stay.
    """
    left_alone = row.reason == "held" or row.price is None
    for i in row.orders:
        if orders[i].protective:
            continue
        if cfg["cancel_before_rebalance"] and not left_alone:
            if orders[i].cancel_requested:
                row.counted.append(i)
            else:
                row.cancels.add(i)
        elif cfg["account_for_pending"] and not (left_alone and _stray(row, orders[i])):
            row.counted.append(i)
    row.effective = _effective(row, orders)


def _stray(row, order):
    """Rule 5: whether an order is cancelled although its asset has no price."""
    unwanted = row.is_exit and not reduces(order.pending, row.held)
    return unwanted and not order.cancel_requested


def _effective(row, orders):
    total = row.held
    for i in row.counted:
        total += orders[i].pending
    return clean(total)


def _weigh(row, equity):
    """Fill in the weights of a row, at the price or else the mark."""
    if equity <= 0:
        return

    def weight_of(quantity):
        if quantity == 0:
            return 0.0
        return NAN if row.mark is None else quantity * row.mark * row.multiplier / equity

    row.current_weight = weight_of(row.held)
    row.effective_weight = weight_of(row.effective)
    if row.reason == "held":  # nobody asked for a weight: what is there is what is wanted
        row.target_weight, row.target_quantity = row.effective_weight, row.effective
    row.weight_delta = row.target_weight - row.effective_weight


def _early_reason(row, equity, cfg):
    """Rules 5, 6 and the part of 8 that does not look at the quantity."""
    if row.reason:
        return
    change = row.weight_delta
    if row.price is None:
        row.reason = "no_price"
    elif row.is_exit:
        pass
    elif equity <= 0:
        row.reason = "no_equity"
    elif abs(change) <= 1e-12:
        row.reason = "at_target"
    elif abs(change) < cfg["min_weight_change"] - 1e-12:
        row.reason = "weight_change_too_small"
    elif abs(change) * equity < cfg["min_trade_value"] - 1e-9:
        row.reason = "trade_value_too_small"


def _size(row, equity, step, cfg):
    """Rule 7, the target quantity."""
    if row.is_exit:
        row.target_quantity = 0.0
    elif row.reason not in ("held", "no_price", "no_equity"):
        row.unrounded = row.target_weight * equity / (row.price * row.multiplier)
        row.target_quantity = (
            row.unrounded if cfg["rounding"] == "trade" else round_down(row.unrounded, step)
        )


def _spend_leftover(rows, cash, equity, step, cost):
    """Rule 10: raise the target quantities of the rows that may trade, one step at a time."""
    leftover = cash
    for row in rows:
        if row.reason or row.is_exit:  # takes no part; an exit that can trade goes to zero
            final = 0.0 if row.is_exit and not row.reason else row.effective
        else:
            final = row.effective + round_down(clean(row.target_quantity - row.effective), step)
        if not (row.is_exit or row.reason in ("held", "no_price")):
            row.target_quantity = final
        if row.mark is not None:
            leftover -= (final - row.held) * row.mark * row.multiplier
            leftover -= trade_cost(final - row.effective, row.mark, row.multiplier, cost)

    def miss(row, quantity):
        return (quantity * row.price * row.multiplier / equity - row.target_weight) ** 2

    while True:
        best, best_gain = None, 0.0
        for row in rows:
            if row.reason or row.is_exit:
                continue
            sign = 1 if row.target_weight > 0 else -1
            now, new = row.target_quantity, row.target_quantity + sign * step
            price = sign * step * row.price * row.multiplier
            price += trade_cost(new - row.effective, row.price, row.multiplier, cost)
            price -= trade_cost(now - row.effective, row.price, row.multiplier, cost)
            gain = miss(row, now) - miss(row, new)
            if gain > best_gain and price <= leftover and sign * (new - row.unrounded) < step:
                best, best_gain, best_new, best_price = row, gain, new, price
        if best is None:
            return
        best.target_quantity = best_new
        leftover -= best_price


def _decide(row, orders, step, cfg, cost):
    """Rules 8 and 9: the delta, the reason, and never both sides."""

    def delta_now():
        delta = clean(row.target_quantity - row.effective)
        return delta if row.is_exit else round_down(delta, step)

    if row.reason:
        if row.reason == "held":
            row.cancels.clear()
        return
    delta = delta_now()
    if row.is_exit and delta == 0:
        waiting = 0.0
        for i in row.counted:
            waiting += orders[i].pending if orders[i].cancel_requested else 0.0
        row.reason = "at_target" if clean(waiting) == 0 else "awaiting_cancel"
    elif delta == 0:
        row.reason = "rounds_to_zero_shares"
    else:
        limit = cfg["ignore_if_cost_exceeds_bps"]
        bps = (
            trade_cost(delta, row.price, row.multiplier, cost)
            / (abs(delta) * row.price * row.multiplier)
            * 1e4
        )
        dear = limit is not None and bps > limit and not row.is_exit
        row.reason = "cost_too_high" if dear else "ordered"
    while row.reason == "ordered":
        opposite = [i for i in row.counted if orders[i].pending * delta < 0]
        if not opposite:
            row.quantity = delta
            break
        if any(orders[i].cancel_requested for i in opposite):
            row.reason = "awaiting_cancel"
            break
        newest = max(opposite)
        row.counted.remove(newest)
        row.cancels.add(newest)
        row.effective = _effective(row, orders)
        delta = delta_now()
        if delta == 0:
            row.reason = "cancelled_only"
    if row.reason == "awaiting_cancel":
        row.cancels.clear()


def _protective_cancels(row, orders, cfg):
    """Rule 4 for the protective orders, and rule 5 for all orders of an asset without a price."""
    if row.reason in ("held", "awaiting_cancel"):
        return
    if row.reason == "no_price":
        row.cancels = {i for i in row.orders if _stray(row, orders[i])}
        return
    flips = row.reason == "ordered" and row.target_weight * row.held < 0
    if row.is_exit or flips or not cfg["keep_protective_orders"]:
        row.cancels |= {
            i for i in row.orders if orders[i].protective and not orders[i].cancel_requested
        }


# ---------------------------------------------------------------- the market (part 2)


@dataclass
class Fill:
    """One execution: signed quantity, price after slippage, costs as money >= 0."""

    bar: int
    order_id: int
    asset: str
    quantity: float
    price: float
    commission: float
    slippage: float


@dataclass
class End:
    """The end of an asset: its last bar, the bar after it, and what was held of it then."""

    asset: str
    bar: int
    last_bar: int
    quantity: float
    market_value: float  # at the mark; 0 if nothing is held, NaN if what is held has no mark


def has_bar(bar: dict, asset: str) -> bool:
    """Whether the asset has a bar now: NaN close means none."""
    return asset in bar and math.isfinite(bar[asset]["close"])


def ends_of(bars: list[dict]) -> dict[int, list[str]]:
    """Return the assets that do not come back although the feed goes on.

    They are by the bar at which the end takes effect, the one after their last. An asset that
    never has a bar has none that could be its last.
    """
    last = {asset: t for t, bar in enumerate(bars) for asset in bar if has_bar(bar, asset)}
    ends: dict[int, list[str]] = {}
    for asset in sorted(last):
        if last[asset] < len(bars) - 1:
            ends.setdefault(last[asset] + 1, []).append(asset)
    return ends


def price_of_bar(candle: dict, name: str) -> float:
    """Return open, high, low or vwap; the close stands in where it is missing or NaN.

    Without an open column there is no high and no low either.
    """
    if name in ("open", "high", "low") and "open" not in candle:
        return candle["close"]
    price = candle.get(name)
    return price if price is not None and math.isfinite(price) else candle["close"]


@dataclass
class Prices:
    """What a pass matches an asset against."""

    market: float
    o: float
    h: float
    l: float  # noqa: E741
    c: float


def prices_of(candle: dict, fill_price: str) -> Prices:
    """Return the prices of a bar."""
    o, h, l = (price_of_bar(candle, name) for name in ("open", "high", "low"))  # noqa: E741
    c = candle["close"]
    choices = {"open": o, "close": c, "hl2": (h + l) / 2, "vwap": price_of_bar(candle, "vwap")}
    return Prices(choices[fill_price], o, h, l, c)


def price_in_table(order: Order, now: Prices) -> float | None:
    """Return the price before slippage at which an order of this group fills, None: not now."""
    buying = order.side == "buy"
    if order.order_type == "market" or order.triggered:
        return now.market
    if order.order_type == "market_on_close":
        return now.c
    if order.order_type == "limit":
        limit = order.limit_price
        if buying:
            return min(now.o, limit) if now.l <= limit else None
        return max(now.o, limit) if now.h >= limit else None
    stop = order.stop_price
    if buying:
        return max(now.o, stop) if now.h >= stop else None
    return min(now.o, stop) if now.l <= stop else None


def group_of(order: Order) -> str:
    """Return "a", "b" or "c"."""
    if order.order_type == "market" or order.triggered:
        return "a"
    return "c" if order.order_type == "market_on_close" else "b"


def scale(
    buys: list[tuple[float, float]], cost_of: Callable, cash: float, tol: float
) -> list[float]:
    """Cut granted buys, pairs of (granted, step), by one common factor until cash pays for them."""
    f = 1.0
    quantities = [granted for granted, _ in buys]
    for _ in range(51):
        total = 0.0
        for i, quantity in enumerate(quantities):
            total += cost_of(i, quantity)
        if not total > cash + tol:
            return quantities
        if total <= 0:  # cash is below zero and nothing is bought already
            break
        f *= min(max(cash, 0.0) / total, 1 - 2e-9)
        quantities = [clean(round_down(f * granted, step)) for granted, step in buys]
    return [0.0] * len(buys)


def trim(buys, cost_of, cash, tol):
    """Cut each in sequence to the largest quantity of its step that is affordable."""
    quantities = []
    for i, (granted, step) in enumerate(buys):
        quantity = granted
        if cost_of(i, granted) > cash + tol:
            quantity = largest(lambda q, i=i: cost_of(i, q), granted, step, cash, tol)
        quantities.append(quantity)
        cash -= cost_of(i, quantity)
    return quantities


def largest(cost, granted, step, cash, tol):
    """Return the largest affordable quantity of a step, by halving; cost grows with quantity."""
    low, high = 0.0, granted
    if step > 0:
        low, high = 0, round(granted / step) + 1
        while high - low > 1:
            middle = (low + high) // 2
            if cost(middle * step) <= cash + tol:
                low = middle
            else:
                high = middle
        return low * step
    for _ in range(200):
        middle = (low + high) / 2
        if cost(middle) <= cash:
            low = middle
        else:
            high = middle
    return clean(low)


def reject(buys, cost_of, cash, tol):
    """Refuse each in sequence that is not affordable whole."""
    quantities = []
    for i, (granted, _) in enumerate(buys):
        quantity = 0.0 if cost_of(i, granted) > cash + tol else granted
        quantities.append(quantity)
        cash -= cost_of(i, quantity)
    return quantities


POLICIES = {"scale": scale, "trim": trim, "reject": reject}


class Account:
    """A cash account and the market it trades in, one bar at a time.

    Call ``end(t, assets)``, then ``match(t, bar)``, then ``mark(bar)``, then submit and cancel at
    will, then ``settle(bar)`` under SAME_BAR, then ``record()``.
    """

    def __init__(self, config=None):
        self.config = {**ACCOUNT_DEFAULTS, **(config or {})}
        unknown = set(self.config) - set(ACCOUNT_DEFAULTS)
        if unknown:
            raise ValueError(f"unknown: {sorted(unknown)}")
        self.cost = (self.config["commission"], self.config["slippage"])
        self.cash = float(self.config["initial_cash"])
        self.positions: dict[
            str, tuple[float, float]
        ] = {}  # asset -> (quantity, average entry price)
        self.marks: dict[str, float] = {}
        self.orders: list[Order] = []
        self.fills: list[Fill] = []
        self.ends: list[End] = []
        self.equities: list[float] = []
        self.cashes: list[float] = []
        self.t = -1
        self.volume_used: dict[str, float] = {}

    # -- what a strategy sees and does

    def working(self) -> list[Order]:
        """Return the working orders by submission."""
        return [o for o in self.orders if o.working]

    def held(self, asset: str) -> float:
        """Return the quantity held of an asset."""
        return self.positions.get(asset, (0.0, NAN))[0]

    def multiplier(self, asset: str) -> float:
        """Return the multiplier of an asset, 1 if none is set."""
        return self.config["multipliers"].get(asset, 1.0)

    def equity(self) -> float:
        """Cash plus the positions at their marks."""
        total = self.cash
        for asset in sorted(self.positions):
            total = total + self.held(asset) * self.marks[asset] * self.multiplier(asset)
        return total

    def submit(
        self,
        asset: str,
        quantity: float,
        order_type: str = "market",
        price: float | None = None,
        reduce_only: bool = False,
        step: float | None = None,
        plan_idx: int = -1,
    ) -> Order:
        """Accept an order, signed; its step comes from a plan or from its wholeness."""
        if not math.isfinite(quantity) or clean(quantity) == 0:
            raise ValueError(f"order of {asset}: {quantity}")
        if step is None:
            step = 1.0 if on_grid(quantity, 1.0) else 0.0
        order = Order(
            asset, "buy" if quantity > 0 else "sell", abs(quantity), order_id=len(self.orders)
        )
        order.order_type, order.reduce_only = order_type, reduce_only
        order.limit_price = price if order_type == "limit" else None
        order.stop_price = price if order_type == "stop" else None
        order.step, order.plan_idx, order.created = step, plan_idx, self.t
        self.orders.append(order)
        return order

    def cancel(self, order_id: int, reason: str) -> bool:
        """Cancel an order; False if it is unknown or done."""
        known = 0 <= order_id < len(self.orders)
        if known and self.orders[order_id].working:
            self._end(self.orders[order_id], "cancelled", reason)
            return True
        return False

    def plan(self, targets: dict[str, float], bar: dict, rules: dict | None = None) -> PlanAnswer:
        """Plan at the close of this bar. The cancels are indices into ``working()``.

        ``rules`` override those of the config.
        """
        closes = {asset: candle["close"] for asset, candle in bar.items() if has_bar(bar, asset)}
        held = {asset: quantity for asset, (quantity, _) in self.positions.items()}
        rules = {**self.config["rebalance"], **(rules or {})}
        settings = (self.config["multipliers"], rules, self.cost)
        return plan(targets, self.cash, held, closes, self.marks, self.working(), *settings)

    def apply(self, answer: PlanAnswer, plan_idx: int, reason: str = "rebalance"):
        """Apply a plan: cancels first, then orders in sequence."""
        working = self.working()
        for i in answer.cancels:
            self.cancel(working[i].order_id, reason)
        for asset, quantity, step in answer.orders:
            self.submit(asset, quantity, step=step, plan_idx=plan_idx)

    # -- the life of a bar

    def end(self, t: int, assets: list[str]):
        """Step 1: end the assets that had their last bar at t - 1."""
        self.t = t
        for asset in sorted(assets):
            for order in self.working():
                if order.asset == asset:
                    self._end(order, "cancelled", "delisted")
            held, mark = self.held(asset), self.marks.get(asset, NAN)
            value = 0.0 if held == 0 else held * mark * self.multiplier(asset)
            self.ends.append(End(asset, t, t - 1, held, value))
            policy = self.config["delisting"]
            if policy != "hold" and held != 0 and usable(mark):
                self._settle_end(asset, held, mark if policy == "liquidate" else 0.0)

    def _settle_end(self, asset, held, price):
        """Pay a position out. Nobody could have traded it, so this costs nothing."""
        order = self.submit(asset, -held)
        order.filled_quantity, order.average_fill_price = held, price
        order.notional = held * price * self.multiplier(asset)
        self._end(order, "filled", "delisted")
        self.cash = self.cash + order.notional
        self.fills.append(Fill(self.t, order.order_id, asset, -held, price, 0.0, 0.0))
        del self.positions[asset]

    def match(self, t: int, bar: dict):
        """Step 2: match the orders that were working before t against bar t."""
        self.t = t
        self.volume_used = {}
        fill_price = self.config["fill_price"]
        self._pass(
            self.working(),
            bar,
            {a: prices_of(candle, fill_price) for a, candle in bar.items() if has_bar(bar, a)},
        )

    def mark(self, bar: dict):
        """Step 4: the last close seen that was finite and above zero."""
        for asset, candle in bar.items():
            if usable(candle["close"]):
                self.marks[asset] = candle["close"]

    def settle(self, bar: dict):
        """Step 6 of SAME_BAR: match what was submitted at this bar, at its close."""
        closes = {a: candle["close"] for a, candle in bar.items() if has_bar(bar, a)}
        self._pass(
            [o for o in self.working() if o.created == self.t],
            bar,
            {asset: Prices(c, c, c, c, c) for asset, c in closes.items()},
        )

    def record(self):
        """Step 7."""
        self.equities.append(self.equity())
        self.cashes.append(self.cash)

    # -- matching

    def _pass(self, orders, bar, prices):
        """Go through one matching pass, `prices` by asset."""
        ended = {end.asset for end in self.ends}
        for order in orders:
            if order.asset in ended:
                self._end(order, "cancelled", "delisted")
        held_at_start = set(self.positions)
        orders = [o for o in orders if o.asset in prices]
        groups = [(name, [o for o in orders if group_of(o) == name]) for name in "abc"]
        for name, group in groups:
            self._group(name, group, bar, prices, held_at_start)

    def _group(self, name, orders, bar, prices, held_at_start):
        """Sells in sequence, then buys with what cash there is after the sells."""
        tol = 1e-6 + 1e-12 * max(self.cash, 0.0)

        def place(order):
            if order.asset not in held_at_start:
                return 2
            return 1 if name == "b" and order.order_type == "limit" else 0

        sells = [o for o in orders if o.side == "sell"]
        for order in sorted(sells, key=place):  # stable: inside each by submission
            if order.working:  # a sell before it may have ended it
                price = self._fills_at(order, prices)
                if price is not None:
                    self._sell(order, bar, price)
        buys = []
        for order in orders:
            price = self._fills_at(order, prices) if order.side == "buy" else None
            if price is not None:
                granted = self._grant(order, order.remaining, bar)
                if granted > 0:
                    buys.append((order, granted, price))

        def cost_of(i, quantity):
            order, _, price = buys[i]
            _, notional, commission, _ = self._execution(order, quantity, price)
            return notional + commission

        pairs = [(granted, order.step) for order, granted, _ in buys]
        total = 0.0
        for i, (granted, _) in enumerate(pairs):
            total += cost_of(i, granted)
        quantities = [granted for granted, _ in pairs]
        if total > self.cash + tol:
            policy = self.config["insufficient_cash"]
            policy = "trim" if name == "b" and policy == "scale" else policy
            quantities = POLICIES[policy](pairs, cost_of, self.cash, tol)
        for (order, granted, price), quantity in zip(buys, quantities, strict=True):
            if quantity > 0:
                self._fill(order, quantity, price)
            if quantity < granted:
                self._cut_by_cash(order)

    def _fills_at(self, order, prices):
        """Return the price in the table, None if it does not fill; a stop that does triggers."""
        price = price_in_table(order, prices[order.asset])
        if price is not None and order.order_type == "stop":
            order.triggered = True
        return price

    def _sell(self, order, bar, price):
        held = self.held(order.asset)
        if held == 0:
            self._end(order, "rejected", "short_not_allowed")
            return
        granted = self._grant(order, min(order.remaining, held), bar)
        if granted == 0:
            return
        _, notional, commission, _ = self._execution(order, granted, price)
        if commission > self.cash + notional:
            self._cut_by_cash(order)
            return
        self._fill(order, granted, price)

    def _grant(self, order, demand, bar) -> float:
        """Return what the volume cap grants of a demand; what is granted is used up."""
        if self.config["max_participation"] is None:
            return demand
        volume = bar[order.asset]["volume"]
        cap = self.config["max_participation"] * (0.0 if math.isnan(volume) else volume)
        used = self.volume_used.get(order.asset, 0.0)
        left = max(cap - used, 0.0)
        granted = demand if demand <= left else clean(round_down(left, order.step))
        granted = min(
            granted, demand
        )  # rounding forgives noise, but never grants more than was asked
        self.volume_used[order.asset] = used + granted
        return granted

    def _execution(self, order, quantity, price):
        """Return price after slippage, notional, commission and slippage money of a fill."""
        multiplier = self.multiplier(order.asset)
        after = price
        if order.order_type != "limit":
            after = slipped(price, order.sign, self.cost[1])
        notional = quantity * after * multiplier
        commission = 0.0
        if quantity > 0:
            due = commission_due(
                order.filled_quantity + quantity, order.notional + notional, self.cost[0]
            )
            commission = max(due - order.paid, 0.0)
        return after, notional, commission, quantity * abs(after - price) * multiplier

    def _fill(self, order, quantity, price):
        after, notional, commission, slippage = self._execution(order, quantity, price)
        self.cash = self.cash - order.sign * notional - commission
        held, entry = self.positions.get(order.asset, (0.0, 0.0))
        if order.side == "buy":
            entry = (held * entry + quantity * after) / (held + quantity)
        held = clean(held + order.sign * quantity)
        self.positions[order.asset] = (held, entry)

        paid = quantity * after + (
            order.filled_quantity * order.average_fill_price if order.filled_quantity else 0.0
        )
        order.filled_quantity += quantity
        order.notional += notional
        order.paid += commission
        order.average_fill_price = paid / order.filled_quantity
        order.status = "partially_filled"
        if order.remaining == 0:
            order.filled_quantity = order.quantity
            self._end(order, "filled", None)
        self.fills.append(
            Fill(
                self.t,
                order.order_id,
                order.asset,
                order.sign * quantity,
                after,
                commission,
                slippage,
            )
        )
        if held == 0:
            self._closed(order.asset)

    def _closed(self, asset):
        """Forget a position that went to zero, and end what has nothing more to sell."""
        del self.positions[asset]
        for order in self.working():
            if order.asset != asset:
                continue
            if order.reduce_only:
                self._end(order, "cancelled", "position_closed")
            elif order.side == "sell" and order.filled_quantity > 0:
                self._end(order, "cancelled", "short_not_allowed")

    def _cut_by_cash(self, order):
        if order.working:
            self._end(
                order, "cancelled" if order.filled_quantity > 0 else "rejected", "insufficient_cash"
            )

    def _end(self, order, status, reason):
        order.status, order.reason, order.finished = status, reason, self.t


# ---------------------------------------------------------------- the loop


@dataclass
class Answer:
    """What a run leaves behind; lists of money have one entry a bar."""

    orders: list[Order]
    fills: list[Fill]
    equity: list[float]
    cash: list[float]
    positions: dict[str, tuple[float, float]]
    plans: dict[int, PlanAnswer]
    ends: list[End]


def follow(bars, act, config=None) -> Account:
    """Take an account through all bars; ``act(account, t)`` is what is done at the close of t."""
    account = Account(config)
    ends = ends_of(bars)
    for t, bar in enumerate(bars):
        account.end(t, ends.get(t, []))
        account.match(t, bar)
        account.mark(bar)
        act(account, t)
        if account.config["execution_mode"] == "SAME_BAR":
            account.settle(bar)
        account.record()
    return account


def run(bars, decisions, config=None, manual=None) -> Answer:
    """Run an account over bars.

    Parameters
    ----------
    bars : list of dict of asset to dict(open, high, low, close, volume); an absent asset has no bar
    decisions : dict of bar index to target weights, planned at that bar's close and applied
    config : dict of ``ACCOUNT_DEFAULTS`` fields that differ from the defaults
    manual : dict of bar index to a list of order ids to cancel or (asset, signed quantity)
        with optionally type, limit or stop price, and reduce_only
        Done after the plan.
    """
    plans: dict[int, PlanAnswer] = {}

    def act(account, t):
        if decisions.get(t) is not None:
            plans[t] = account.plan(decisions[t], bars[t])
            account.apply(plans[t], len(plans) - 1)
        for item in (manual or {}).get(t, ()):
            if isinstance(item, int):
                account.cancel(item, "cancelled")
            else:
                account.submit(*item)

    account = follow(bars, act, config)
    return Answer(
        account.orders,
        account.fills,
        account.equities,
        account.cashes,
        account.positions,
        plans,
        account.ends,
    )
