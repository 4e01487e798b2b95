"""``preview``: what a rebalance would do today, asset by asset, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ml4t.backtest.cli.holdings import (
    Holdings,
    Prices,
    Targets,
    read_holdings,
    read_prices,
    read_targets,
    targets_age,
)
from ml4t.backtest.cli.output import Column, moment_text, show, show_json, show_table, warn
from ml4t.backtest.cli.settings import RunSettings, read_settings
from ml4t.backtest.config import BacktestConfig
from ml4t.backtest.enums import OrderSide, Reason
from ml4t.backtest.execution.plan import PlanRow, RebalancePlan, plan_rebalance
from ml4t.backtest.kernel.funding import cash_tolerance
from ml4t.backtest.ledger.snapshot import PortfolioSnapshot
from ml4t.backtest.words import adjustment_in_words, reason_in_words

EXAMPLES = (
    "preview",
    "preview --holdings holdings.csv --prices prices.csv --weights weights.csv --cash 5000",
    "preview --config config.toml --json",
)
_EXIT_SKIPPED = 3
_DONE = (Reason.ORDERED, Reason.AT_TARGET)
# The longest quarter: weights that are older than that are hardly those of today.
_DAYS_APART = 92


def command(
    holdings: Annotated[
        Path, typer.Option(help="Columns asset and quantity; a row cash has the money.")
    ] = Path("holdings.csv"),
    prices: Annotated[
        Path | None,
        typer.Option(
            help="Columns asset and close, or prices by time, of which the last bar is used. "
            "Default: the config's, else prices.csv."
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            help="Columns asset and weight, or weights by time, of which the last row is used. "
            "Default: the config's, else weights.csv."
        ),
    ] = None,
    cash: Annotated[float | None, typer.Option(help="Instead of a row cash.")] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="The rules and costs. Default: config.toml, if it is there."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The plan as JSON.")] = False,
) -> int:
    """Show what a rebalance would do today, and why.

    Sends nothing. Exit code 3: something was skipped or cut, that is, a row has another reason than
    an order or being at its target, a weight was adjusted, or cash does not suffice; or the weights
    are more than 92 days older than the last prices.
    """
    settings = _settings(config)
    last = read_prices(_chosen("prices", prices, settings))
    targets = read_targets(_chosen("weights", weights, settings), last)
    account = read_holdings(holdings, last, cash)
    rules = BacktestConfig() if settings is None else settings.backtest
    plan = plan_rebalance(
        targets.weights,
        PortfolioSnapshot(
            cash=account.cash,
            positions=account.positions,
            prices=last.closes,
            marks=last.marks,
            costs=rules.costs,
        ),
        rules.rebalance,
    )
    plan.warn_if_skipped()
    _warn_of_age(last, targets)
    if as_json:
        show_json(_as_json(plan, account, last, targets))
    else:
        _show(plan, account, last, targets)
    is_as_asked = not (
        _is_short_of_cash(plan, account)
        or any(map(_is_skipped_or_adjusted, plan.rows))
        or _are_old(last, targets)
    )
    return 0 if is_as_asked else _EXIT_SKIPPED


def _settings(config: Path | None) -> RunSettings | None:
    if config is None:
        config = Path("config.toml")
        if not config.exists():
            return None
    return read_settings(config)


def _chosen(what: str, given: Path | None, settings: RunSettings | None) -> Path:
    """Return the file that was named, or that of the config, or the one that `init` writes."""
    if given is None and settings is not None:
        given = getattr(settings, what)
    return Path(f"{what}.csv") if given is None else given


def _are_old(prices: Prices, targets: Targets) -> bool:
    return (targets_age(prices, targets) or 0) > _DAYS_APART


def _warn_of_age(prices: Prices, targets: Targets) -> None:
    if not _are_old(prices, targets):
        return
    assert targets.moment is not None
    assert prices.moment is not None
    warn(
        f"the weights are of {targets.moment.date()}, {targets_age(prices, targets)} days before "
        f"the last prices, {prices.moment.date()}; see whether the files belong together"
    )


def _is_short_of_cash(plan: RebalancePlan, account: Holdings) -> bool:
    """Whether purchases cost more than there is, at the plan's prices and estimated costs."""
    buys = any(order.side is OrderSide.BUY for order in plan.orders)
    return buys and plan.cash_after < -cash_tolerance(account.cash)


def _is_skipped_or_adjusted(row: PlanRow) -> bool:
    return row.reason not in _DONE or bool(row.adjustments)


def _why(row: PlanRow) -> str:
    words = [adjustment_in_words(adjustment) for adjustment in row.adjustments]
    return "; ".join([reason_in_words(row.reason), *words])


def _show(plan: RebalancePlan, account: Holdings, prices: Prices, targets: Targets) -> None:
    columns = [
        Column("asset"),
        *(
            Column(label, is_number=True)
            for label in ("held", "price", "now", "target", "order", "value")
        ),
        Column("why"),
    ]
    # Of a wide file most assets may have nothing to do with the account.
    rows = [row for row in plan.rows if not _is_idle(row, account)]
    if rows:
        show_table(columns, [_cells(row, account) for row in rows])
    if len(rows) < len(plan.rows):
        show(f"and {len(plan.rows) - len(rows):,} that are neither held nor wanted")
    show()
    moments = (("prices of", prices.moment), ("weights of", targets.moment))
    lines = [(label, moment_text(moment)) for label, moment in moments if moment is not None]
    n_orders = len(plan.orders)
    lines += [
        ("equity", f"{plan.equity:,.2f}"),
        ("cash", f"{account.cash:,.2f}"),
        ("orders", f"{n_orders}, turnover {_percent(plan.turnover) or 'n/a'}"),
        ("estimated cost", f"{plan.estimated_cost:,.2f}"),
        ("cash after", f"{plan.cash_after:z,.2f}"),
    ]
    width = max(len(label) for label, _ in lines)
    for label, text in lines:
        show(f"{label:<{width}}  {text}")
    if _is_short_of_cash(plan, account):
        show("cash does not suffice for all orders: the account would cut what it buys")


def _is_idle(row: PlanRow, account: Holdings) -> bool:
    """Whether an asset is at a target of nothing."""
    is_held = account.positions.get(row.asset, 0.0) != 0.0
    return row.reason is Reason.AT_TARGET and row.target_weight == 0.0 and not is_held


def _cells(row: PlanRow, account: Holdings) -> list[str]:
    return [
        row.asset,
        _quantity(account.positions.get(row.asset, 0.0), ""),
        f"{row.price:,.4f}".removesuffix("00") if row.price > 0.0 else "",
        _percent(row.current_weight),
        _percent(row.target_weight),
        _quantity(row.quantity, "+"),
        f"{row.value:+,.2f}" if row.value else "",
        _why(row),
    ]


def _quantity(quantity: float, sign: str) -> str:
    """Write a quantity with up to six decimals; nothing for zero."""
    if not quantity:
        return ""
    text = f"{quantity:{sign},.6f}".rstrip("0")
    return text.removesuffix(".")


def _percent(weight: float) -> str:
    return f"{weight:.2%}" if weight == weight else ""


def _as_json(
    plan: RebalancePlan, account: Holdings, prices: Prices, targets: Targets
) -> dict[str, Any]:
    return {
        "plan_id": plan.plan_id,
        "prices_of": prices.moment,
        "weights_of": targets.moment,
        "are_weights_old": _are_old(prices, targets),
        "equity": plan.equity,
        "cash": account.cash,
        "cash_after": plan.cash_after,
        "is_short_of_cash": _is_short_of_cash(plan, account),
        "turnover": plan.turnover,
        "estimated_cost": plan.estimated_cost,
        "orders": [
            {"asset": order.asset, "side": str(order.side), "quantity": order.quantity}
            for order in plan.orders
        ],
        "rows": [
            {
                "held": account.positions.get(row.asset, 0.0),
                **{name: getattr(row, name) for name in PlanRow.__dataclass_fields__},
                "reason": str(row.reason),
                "adjustments": [str(adjustment) for adjustment in row.adjustments],
                "why": _why(row),
            }
            for row in plan.rows
        ],
    }
