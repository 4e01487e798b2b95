"""The record of what weight providers were asked, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from ml4t.backtest.feed.bars import times_series
from ml4t.backtest.feed.view import BarData, place_of
from ml4t.backtest.frames import OPTIMIZATIONS

_EXCLUDED = {"provider": pl.String, "asset": pl.String, "reason": pl.String}


class FitLog:
    """A row for each time that a provider was asked, and for each asset that it was not given.

    `BacktestResult.optimizations` says what the columns mean.
    """

    def __init__(self) -> None:
        self._asked: list[tuple[Any, ...]] = []
        self._excluded: list[tuple[Any, ...]] = []
        self._zone: str | None = None

    def add(
        self,
        data: object,
        provider: str,
        status: str,
        seconds: float = 0.0,
        message: str | None = None,
        fallback: str | None = None,
        warnings: str | None = None,
        excluded: Mapping[str, str] | None = None,
    ) -> None:
        """Note one answer; data of a live account, which has no times, leaves no trace."""
        if not isinstance(data, BarData):
            return
        bars, row = place_of(data)
        time = bars.times.item(row)
        self._zone = bars.time_zone
        self._asked.append(
            (time, provider, status, seconds, message or None, fallback, warnings or None)
        )
        for asset, reason in (excluded or {}).items():
            self._excluded.append((time, provider, asset, reason))

    def tables(self) -> dict[str, pl.DataFrame]:
        """Return the rows as frames: ``optimizations`` and ``excluded_assets``."""
        return {
            "optimizations": self._frame(self._asked, OPTIMIZATIONS),
            "excluded_assets": self._frame(self._excluded, _EXCLUDED),
        }

    def _frame(self, rows: list[tuple[Any, ...]], columns: Mapping[str, Any]) -> pl.DataFrame:
        by_column = zip(*rows, strict=True) if rows else iter([()] * (len(columns) + 1))
        times = times_series(np.array(next(by_column), np.int64), self._zone)
        return pl.DataFrame(
            [
                times,
                *(
                    pl.Series(name, values, dtype)
                    for (name, dtype), values in zip(columns.items(), by_column, strict=True)
                ),
            ]
        )
