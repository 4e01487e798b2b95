"""Reasons, adjustments and states in words, for whoever reads a table and not the code.

Each is a clause without a capital and without a full stop, so that several fit into one cell.
"""

from __future__ import annotations

from collections.abc import Mapping

from ml4t.backtest.enums import Adjustment, OrderStatus, Reason
from ml4t.backtest.errors import InputError, unknown_name

_REASONS: dict[str, str] = {
    Reason.NONE: "",
    Reason.ORDERED: "an order is sent",
    Reason.AT_TARGET: "at its target already",
    Reason.WEIGHT_CHANGE_TOO_SMALL: "the change of weight is below min_weight_change",
    Reason.TRADE_VALUE_TOO_SMALL: "the change is worth less than min_trade_value",
    Reason.ROUNDS_TO_ZERO_SHARES: "the change is less than one share or lot",
    Reason.COST_TOO_HIGH: "the trade costs more than ignore_if_cost_exceeds_bps allows",
    Reason.AWAITING_CANCEL: "an order that is still being cancelled stands in the way",
    Reason.CANCELLED_ONLY: "cancelling its working orders is enough",
    Reason.NO_PRICE: "there is no price to trade at",
    Reason.NO_EQUITY: "the account is worth nothing, so that no weight can be bought",
    Reason.HELD: "not in the targets, and left alone as unmentioned='hold' says",
    Reason.INSUFFICIENT_CASH: "cash did not suffice",
    Reason.SHORT_NOT_ALLOWED: "more would have been sold than is held",
    Reason.POSITION_CLOSED: "the position that it was to reduce is closed",
    Reason.CANCELLED: "it was cancelled",
    Reason.REBALANCE: "a later rebalance cancelled it",
    Reason.DELISTED: "the asset has ended: it has no bars any more",
}
_ADJUSTMENTS: dict[str, str] = {
    Adjustment.SHORT_NOT_ALLOWED: "the weight was negative and counts as 0",
    Adjustment.CAPPED: "the weight was cut to max_single_weight",
    Adjustment.SCALED: "all weights were scaled to the exposure that is allowed",
}
_STATES: dict[str, str] = {
    OrderStatus.PENDING: "works, and nothing of it has filled",
    OrderStatus.PARTIALLY_FILLED: "works, and a part of it has filled",
    OrderStatus.PENDING_CANCEL: "its cancel was asked for and is not acknowledged",
    OrderStatus.FILLED: "all of it has filled",
    OrderStatus.CANCELLED: "ended before all of it had filled",
    OrderStatus.REJECTED: "refused before anything of it filled",
}


def reason_in_words(reason: str | None) -> str:
    """Say why a row of a plan trades or does not, or why an order ended.

    Parameters
    ----------
    reason : Reason, its string, or None
        As a plan row, an order or a frame has it; None and "": there is none.

    Returns
    -------
    str
        Empty where there is no reason.

    Raises
    ------
    ValueError
        For what is no reason.

    Examples
    --------
    >>> reason_in_words("rounds_to_zero_shares")
    'the change is less than one share or lot'
    """
    return _in_words("reason", reason or "", _REASONS)


def adjustment_in_words(adjustment: str) -> str:
    """Say what was done to a requested weight.

    Parameters
    ----------
    adjustment : Adjustment or its string
        One; a frame has several of them with commas between.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        For what is no adjustment.

    Examples
    --------
    >>> adjustment_in_words("capped")
    'the weight was cut to max_single_weight'
    """
    return _in_words("adjustment", adjustment, _ADJUSTMENTS)


def status_in_words(status: str) -> str:
    """Say where an order stands.

    Parameters
    ----------
    status : OrderStatus or its string

    Returns
    -------
    str

    Raises
    ------
    ValueError
        For what is no status.

    Examples
    --------
    >>> status_in_words("rejected")
    'refused before anything of it filled'
    """
    return _in_words("status", status, _STATES)


def _in_words(what: str, name: str, known: Mapping[str, str]) -> str:
    found = known.get(name)
    if found is None:
        raise InputError(f"{what}: {unknown_name(name, map(str, known))}")
    return found
