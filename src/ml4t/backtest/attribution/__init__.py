"""What trading did to the promise of the weights, and which friction to fix."""

from ml4t.backtest.attribution.bridge import Bridge
from ml4t.backtest.attribution.curves import account_size_curve, threshold_curve

__all__ = ["Bridge", "account_size_curve", "threshold_curve"]
