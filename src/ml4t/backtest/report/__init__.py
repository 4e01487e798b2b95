"""Figures of a result, its tearsheet, and pages that compare results: the extra ``report``."""

from ml4t.backtest.report.compare import compare_report
from ml4t.backtest.report.plots import ResultPlots

__all__ = ["ResultPlots", "compare_report"]
