"""The vocabularies of the package.

A member compares equal to its plain string (``order.status == "filled"``) and carries a small
integer, its ``code``, which is what the compiled kernel and the record tables store.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Coded(StrEnum):
    """A string enum whose members also have an integer ``code``: their place in the class."""

    code: int

    def __new__(cls, value: str) -> Self:
        """Make a member from its string and give it the next code."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.code = len(cls.__members__)
        return member

    @classmethod
    def from_code(cls, code: int) -> Self:
        """Return the member with this code."""
        return list(cls)[code]


class OrderSide(Coded):
    """Which way an order trades."""

    BUY = "buy"
    """More of an asset."""
    SELL = "sell"
    """Less of it."""


class OrderType(Coded):
    """How an order finds its price.

    The simulated broker fills the first four. The planner knows the last two as well, from the
    working orders of a live broker: a stop that has not triggered is not counted as pending.
    """

    MARKET = "market"
    """At the price there is."""
    MARKET_ON_CLOSE = "market_on_close"
    """At the close of a bar."""
    LIMIT = "limit"
    """At the limit price or better."""
    STOP = "stop"
    """A market order from the moment the price reaches the stop."""
    STOP_LIMIT = "stop_limit"
    """A limit order from that moment."""
    TRAILING_STOP = "trailing_stop"
    """A stop that follows the price."""


class OrderStatus(Coded):
    """Where an order stands. The last three are final."""

    PENDING = "pending"
    """Works; nothing has filled."""
    PARTIALLY_FILLED = "partially_filled"
    """Works; a part has filled."""
    PENDING_CANCEL = "pending_cancel"
    """A cancel was asked for and is not acknowledged yet; it may still fill."""
    FILLED = "filled"
    """All of it has filled."""
    CANCELLED = "cancelled"
    """Ended early; a part may have filled."""
    REJECTED = "rejected"
    """Ended before anything filled."""


class ExecutionMode(Coded):
    """When an order that a decision submits can first fill: at the next bar, or at this close."""

    NEXT_BAR = "next_bar"
    """From the next bar on, at its open."""
    SAME_BAR = "same_bar"
    """At the close of the bar that decided."""


class Reason(Coded):
    """Why a plan row trades or does not, and why an order ended."""

    NONE = ""
    """There is none: the order works or has filled."""
    # rows of a plan
    ORDERED = "ordered"
    """An order is sent."""
    AT_TARGET = "at_target"
    """Nothing to do: the effective weight is the target weight, or nothing is left to close."""
    WEIGHT_CHANGE_TOO_SMALL = "weight_change_too_small"
    """The change of weight is below `min_weight_change`."""
    TRADE_VALUE_TOO_SMALL = "trade_value_too_small"
    """The change of weight times equity is below `min_trade_value`."""
    ROUNDS_TO_ZERO_SHARES = "rounds_to_zero_shares"
    """The change is less than one share, or one lot."""
    COST_TOO_HIGH = "cost_too_high"
    """The estimated cost is above `ignore_if_cost_exceeds_bps`."""
    AWAITING_CANCEL = "awaiting_cancel"
    """An order whose cancel is not acknowledged stands in the way."""
    CANCELLED_ONLY = "cancelled_only"
    """Cancelling working orders was enough."""
    NO_PRICE = "no_price"
    """There is no usable price now."""
    NO_EQUITY = "no_equity"
    """Equity is zero or less."""
    HELD = "held"
    """Not in the targets, and `unmentioned="hold"`."""
    # ends of an order
    INSUFFICIENT_CASH = "insufficient_cash"
    """Cash did not suffice for the order, or for the rest of it."""
    SHORT_NOT_ALLOWED = "short_not_allowed"
    """More would have been sold than is held."""
    POSITION_CLOSED = "position_closed"
    """A reduce-only order whose position was closed."""
    CANCELLED = "cancelled"
    """Somebody cancelled it."""
    REBALANCE = "rebalance"
    """A later plan cancelled it."""
    DELISTED = "delisted"
    """The asset has ended: its orders are cancelled, and its position may be settled."""


class Adjustment(Coded):
    """What was done to a requested weight. A plan row stores a set of them as bits."""

    SHORT_NOT_ALLOWED = "short_not_allowed"
    """A negative weight was set to 0."""
    CAPPED = "capped"
    """The absolute weight was above `max_single_weight`."""
    SCALED = "scaled"
    """All weights were scaled to `max_net_exposure` or `max_gross_exposure`."""

    @property
    def bit(self) -> int:
        """The bit of this adjustment in a plan row."""
        return 1 << self.code

    @classmethod
    def from_bits(cls, bits: int) -> tuple[Self, ...]:
        """Return the adjustments whose bits are set."""
        return tuple(member for member in cls if bits & member.bit)


class Rounding(Coded):
    """What is rounded to whole shares or lots: the position, the trade, or the basket."""

    POSITION = "position"
    """The target position, toward zero."""
    TRADE = "trade"
    """The trade, toward zero."""
    MIN_TRACKING_ERROR = "min_tracking_error"
    """The position, and single steps more where they bring the basket nearest."""


class Unmentioned(Coded):
    """What happens to an asset that is held or has orders but is not in the targets."""

    CLOSE = "close"
    """It is closed."""
    HOLD = "hold"
    """It is left alone."""
    ERROR = "error"
    """It raises a `ValueError`."""


class CostKind(Coded):
    """The commission and slippage models that there are."""

    NONE = "none"
    """Free."""
    PERCENT = "percent"
    """A fraction of the money traded, or of the price."""
    PER_SHARE = "per_share"
    """Currency per unit."""
    FIXED = "fixed"
    """Currency per order."""
    PYTHON = "python"
    """A model of the user's own; the kernel does not know what it computes."""


class Delisting(Coded):
    """What happens to a position whose asset has ended."""

    HOLD = "hold"
    """It stays, at its last mark."""
    LIQUIDATE = "liquidate"
    """It is sold at its last mark."""
    WRITE_OFF = "write_off"
    """It is lost."""


class CashPolicy(Coded):
    """What happens to purchases that cost more than there is."""

    SCALE = "scale"
    """Market orders are scaled by one common factor, limits and stops are trimmed."""
    TRIM = "trim"
    """In sequence, each is cut to what can be paid."""
    REJECT = "reject"
    """In sequence, each that cannot be paid whole is rejected."""
    UNLIMITED = "unlimited"
    """All is paid on credit, and what is sold need not be held. It is for portfolios on paper,
    whose plans borrow no more than their weights ask for, and no setting of a run."""
