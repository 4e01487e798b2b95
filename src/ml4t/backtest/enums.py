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
    SELL = "sell"


class OrderType(Coded):
    """How an order finds its price.

    The simulated broker fills the first four. The planner knows the last two as well, from the
    working orders of a live broker: a stop that has not triggered is not counted as pending.
    """

    MARKET = "market"
    MARKET_ON_CLOSE = "market_on_close"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"
    TRAILING_STOP = "trailing_stop"


class OrderStatus(Coded):
    """Where an order stands. The last three are final."""

    PENDING = "pending"
    PARTIALLY_FILLED = "partially_filled"
    PENDING_CANCEL = "pending_cancel"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"


class ExecutionMode(Coded):
    """When an order that a decision submits can first fill: at the next bar, or at this close."""

    NEXT_BAR = "next_bar"
    SAME_BAR = "same_bar"


class Reason(Coded):
    """Why a plan row trades or does not, and why an order ended."""

    NONE = ""
    # rows of a plan
    ORDERED = "ordered"
    AT_TARGET = "at_target"
    WEIGHT_CHANGE_TOO_SMALL = "weight_change_too_small"
    TRADE_VALUE_TOO_SMALL = "trade_value_too_small"
    ROUNDS_TO_ZERO_SHARES = "rounds_to_zero_shares"
    COST_TOO_HIGH = "cost_too_high"
    AWAITING_CANCEL = "awaiting_cancel"
    CANCELLED_ONLY = "cancelled_only"
    NO_PRICE = "no_price"
    NO_EQUITY = "no_equity"
    HELD = "held"
    # ends of an order
    INSUFFICIENT_CASH = "insufficient_cash"
    SHORT_NOT_ALLOWED = "short_not_allowed"
    POSITION_CLOSED = "position_closed"
    CANCELLED = "cancelled"
    REBALANCE = "rebalance"


class Adjustment(Coded):
    """What was done to a requested weight. A plan row stores a set of them as bits."""

    SHORT_NOT_ALLOWED = "short_not_allowed"
    CAPPED = "capped"
    SCALED = "scaled"

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
    TRADE = "trade"
    MIN_TRACKING_ERROR = "min_tracking_error"


class Unmentioned(Coded):
    """What happens to an asset that is held or has orders but is not in the targets."""

    CLOSE = "close"
    HOLD = "hold"
    ERROR = "error"


class CostKind(Coded):
    """The commission and slippage models that the kernel knows."""

    NONE = "none"
    PERCENT = "percent"
    PER_SHARE = "per_share"
    FIXED = "fixed"


class CashPolicy(Coded):
    """What happens to purchases that cost more than there is."""

    SCALE = "scale"
    TRIM = "trim"
    REJECT = "reject"


class FillPrice(Coded):
    """Which price of its bar a market order gets."""

    OPEN = "open"
    CLOSE = "close"
    HL2 = "hl2"
    VWAP = "vwap"
