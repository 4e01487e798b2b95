"""run_weights: a whole weight schedule, with the bar loop inside the kernel."""

from __future__ import annotations

from ml4t.backtest.config import BacktestConfig
