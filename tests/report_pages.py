"""What the tests of reports share: one small run whose numbers are known, and what a page holds.

The run: 1,000 in cash, A and B at 10 each, half in each, decided at bar 0, 1 % commission, next
bar. The plan is 50 shares of each, 1,000 in all; with commission they cost 1,010, so cash scales
both to floor(50 * 1000 / 1010) = floor(49.50) = 49. They fill at bar 1 at 10: 980 and 9.80
commission, which leaves 10.20 in cash. The closes after that are 20 and 10, then 20 and 5:

    bar      0        1        2        3
    A       10       10       20       20
    B       10       10       10        5
    equity  1,000    990.20   1,480.20  1,235.20
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from helpers import day, feed_of
from ml4t.backtest import BacktestConfig, BacktestResult, RebalanceConfig, run_weights
from ml4t.backtest.costs import PercentCommission

CLOSES = {"A": [10.0, 10.0, 20.0, 20.0], "B": [10.0, 10.0, 10.0, 5.0]}
EQUITY = [1_000.0, 990.2, 1_480.2, 1_235.2]
NO_THRESHOLDS = RebalanceConfig(min_trade_value=0.0, min_weight_change=0.0)
CONFIG = BacktestConfig(
    initial_cash=1_000.0, commission=PercentCommission(0.01), rebalance=NO_THRESHOLDS
)


def small_run() -> BacktestResult:
    """The run above."""
    return run_weights(feed_of(CLOSES), {day(0): {"A": 0.5, "B": 0.5}}, CONFIG)


def packed(page: str, name: str = "payload") -> bytes:
    """What a page holds compressed under an id."""
    found = re.search(rf'<script type="application/octet-stream" id="{name}">(.*?)</script>', page)
    assert found is not None
    return gzip.decompress(base64.b64decode(found.group(1)))


def payload(path: Path) -> dict[str, Any]:
    """What the scripts of a page read, with its arrays in their places."""
    content = json.loads(packed(path.read_text(encoding="utf-8")))
    arrays = [_array(**found) for found in content.pop("arrays")]

    def resolved(value: Any) -> Any:
        if isinstance(value, list):
            return [resolved(part) for part in value]
        if not isinstance(value, dict):
            return value
        if "$" in value:
            return arrays[value["$"]]
        return {key: resolved(part) for key, part in value.items()}

    return {key: resolved(part) for key, part in content.items()}


def _array(dtype: str, bdata: str) -> list[float]:
    raw = base64.b64decode(bdata)
    if dtype == "dt":
        return np.cumsum(np.frombuffer(raw, "<f8")).tolist()
    return np.frombuffer(raw, f"<{dtype}").tolist()


def text_of(path: Path) -> str:
    """What somebody reads of a page without scripts: no tags, one blank between words."""
    page = path.read_text(encoding="utf-8")
    page = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())
