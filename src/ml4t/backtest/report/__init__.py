"""Figures of a result, its tearsheet, and pages that compare results: the extra ``report``."""

from ml4t.backtest.report.compare import compare_report
from ml4t.backtest.report.curves import account_size_figure, threshold_figure
from ml4t.backtest.report.plots import ResultPlots

__all__ = ["ResultPlots", "account_size_figure", "compare_report", "threshold_figure"]
