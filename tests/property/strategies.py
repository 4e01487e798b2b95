"""What tests draw: anything at all, and the cases of `differential.markets`, which shrink so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from differential.markets import PlanCase, market, plan_case

T = TypeVar("T")


class DrawnSource:
    """A source of values that hypothesis chooses; the simplest are the first options."""

    def __init__(self, draw: Callable[[st.SearchStrategy[T]], T]) -> None:
        self.draw = draw

    def chance(self, probability: float) -> bool:
        return self.draw(st.integers(0, 99)) >= 100 - round(100 * probability)

    def pick(self, options: Sequence[T]) -> T:
        return self.draw(st.sampled_from(options))

    def whole(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def real(self, low: float, high: float) -> float:
        return self.draw(st.floats(low, high, allow_subnormal=False))


def _drawn(make: Callable[[DrawnSource], T]) -> st.SearchStrategy[T]:
    return st.composite(lambda draw: make(DrawnSource(draw)))()


def _is_valid(case: PlanCase) -> bool:
    """Whether rule 1 takes the case; by the oracle, not by what is tested."""
    try:
        case.answer()
    except ValueError:
        return False
    return True


plan_cases = _drawn(plan_case).filter(_is_valid)
markets = _drawn(market)

ODD_NUMBERS = st.sampled_from(
    [
        *(0, -0.0, -1, 1, 5e-324, 1e-10, 1e308, float("nan"), float("inf"), -float("inf")),
        *(10**400, 2**31, 2**63, np.float32(0.5), np.int64(7), 1j),
    ]
)
#: What a careless caller may pass.
ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    ODD_NUMBERS,
    st.text(max_size=8),
    st.sampled_from(
        [np.True_, b"x", (), [], {}, [1.0], np.ones(2), pd.NaT, object, {"kind": "none"}]
    ),
)
