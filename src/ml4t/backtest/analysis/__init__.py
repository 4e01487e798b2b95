"""What follows from the tables of a run: trades, contributions, tracking, figures, benchmarks."""

from ml4t.backtest.analysis.benchmark import Benchmark, as_benchmark
from ml4t.backtest.analysis.tracking import Tracking

__all__ = ["Benchmark", "Tracking", "as_benchmark"]
