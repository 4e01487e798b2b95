"""Every reason, adjustment and state has words, each its own."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import pytest

from ml4t.backtest.enums import Adjustment, OrderStatus, Reason
from ml4t.backtest.errors import InputError
from ml4t.backtest.words import adjustment_in_words, reason_in_words, status_in_words

KINDS: list[tuple[type[StrEnum], Callable[[str], str]]] = [
    (Reason, reason_in_words),
    (Adjustment, adjustment_in_words),
    (OrderStatus, status_in_words),
]


@pytest.mark.parametrize(("kind", "in_words"), KINDS)
def test_every_member_has_words(kind: type[StrEnum], in_words: Callable[[str], str]) -> None:
    members = [member for member in kind if member]
    found = [in_words(member) for member in members]
    assert len(set(found)) == len(members)
    assert [in_words(str(member)) for member in members] == found
    for words in found:
        # A clause: no code, no capital, no full stop.
        assert " " in words
        assert words[0].islower()
        assert not words.endswith(".")


def test_no_reason() -> None:
    assert reason_in_words(None) == reason_in_words("") == ""


@pytest.mark.parametrize(
    ("in_words", "name", "told"),
    [
        (reason_in_words, "no_prise", "reason: no_prise is unknown (nearest: 'no_price')"),
        (adjustment_in_words, "cap", "adjustment: cap is unknown (nearest: 'capped')"),
        (status_in_words, "", "status:  is unknown; there are 'pending'"),
    ],
)
def test_an_unknown_name(in_words: Callable[[str], str], name: str, told: str) -> None:
    with pytest.raises(InputError) as caught:
        in_words(name)
    assert str(caught.value).startswith(told)
