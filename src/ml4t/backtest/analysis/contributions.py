"""What each asset added to the outcome of a run."""

from __future__ import annotations

import numpy as np
import polars as pl

from ml4t.backtest.analysis.fill_records import fill_records, values_at_end
from ml4t.backtest.config import BacktestConfig
from ml4t.backtest.frames import RunFrames
from ml4t.backtest.records import Floats


def contributions_frame(frames: RunFrames, config: BacktestConfig) -> pl.DataFrame:
    """Return a row for each asset that was traded; see `BacktestResult.contributions`.

    Parameters
    ----------
    frames : RunFrames
    config : BacktestConfig
        Of the run.
    """
    fills, assets = fill_records(frames)
    asset = fills["asset"]

    def summed(values: Floats) -> Floats:
        totals: Floats = np.bincount(asset, weights=values, minlength=len(assets)).astype(float)
        return totals

    # Cash in less cash out, and what is held is worth what its mark says. A settlement is a fill.
    paid = summed(fills["quantity"] * fills["price"])
    commission = summed(fills["commission"])
    pnl = values_at_end(frames, assets) - paid - commission
    equity = frames.equity["equity"].to_numpy()
    n_closes = max(int(np.count_nonzero(equity > 0.0)), 1)
    found = pl.DataFrame(
        {
            "asset": pl.Series(assets, dtype=pl.String),
            "pnl": pnl,
            "contribution": pnl / config.initial_cash,
            "commission": commission,
            "slippage": summed(fills["slippage"]),
            "n_fills": np.bincount(asset, minlength=len(assets)),
        }
    )
    trips = frames.trades.group_by("asset").agg(n_round_trips=pl.len().cast(pl.Int64))
    held = frames.positions.group_by("asset").agg(
        bars_held=pl.len().cast(pl.Int64),
        # There is no weight where there is no equity.
        average_weight=pl.col("weight").fill_nan(None).sum() / n_closes,
    )
    return (
        found.join(trips, on="asset", how="left", maintain_order="left")
        .join(held, on="asset", how="left", maintain_order="left")
        .with_columns(
            pl.col("n_round_trips", "bars_held").fill_null(0),
            pl.col("average_weight").fill_null(0.0),
        )
    )
