"""How numbers are written for people."""

from __future__ import annotations

from datetime import datetime

import pytest

from ml4t.backtest import formats

NAN = float("nan")
# U+2212 is the minus sign, U+00A0 the blank at which no line ends.
MINUS, BLANK = "\N{MINUS SIGN}", "\N{NO-BREAK SPACE}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (formats.number(1_234_567.8), "1,234,568"),
        (formats.number(-0.25, 1), f"{MINUS}0.2"),
        (formats.number(-0.001, 2), "0.00"),
        (formats.number(2.0, 1, sign=True), "+2.0"),
        (formats.number(0.001, 1, sign=True), "0.0"),
        (formats.number(0.0, 0, sign=True), "0"),
        (formats.number(10.0, 0, sign=True), "+10"),
        (formats.number(NAN), "n/a"),
        (formats.number(float("inf")), "n/a"),
        (formats.money(999.994), "999.99"),
        (formats.money(-1_000.4, sign=True), f"{MINUS}1,000"),
        (formats.percent(0.12345, 2), f"12.35{BLANK}%"),
        (formats.percent(NAN), "n/a"),
        (formats.bps(9.94), f"9.9{BLANK}bps"),
        (formats.bps(-123.4, sign=True), f"{MINUS}123{BLANK}bps"),
        (formats.quantity(1_200.0), "1,200"),
        (formats.quantity(-0.5, sign=True), f"{MINUS}0.5"),
        (formats.quantity(1e-9), "0"),
        (formats.counted(1, "order"), "1 order"),
        (formats.counted(1_200, "order"), "1,200 orders"),
        (formats.counted(2, "asset is", "assets are"), "2 assets are"),
        (formats.day(datetime(2024, 1, 2)), "2024-01-02"),
        (formats.day(datetime(2024, 1, 2, 15, 30)), "2024-01-02 15:30"),
        (formats.listed_words([]), ""),
        (formats.listed_words(["a"]), "a"),
        (formats.listed_words(["a", "b", "c"]), "a, b and c"),
        (formats.span(2.0), "2.0 years"),
        # 39 days are 39 / 365.25 years
        (formats.span(39 / 365.25), "39 days"),
    ],
)
def test_a_number_as_text(text: str, expected: str) -> None:
    assert text == expected
