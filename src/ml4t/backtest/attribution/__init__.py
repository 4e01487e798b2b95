"""What trading did to the promise of the weights, and which friction to fix."""

from ml4t.backtest.attribution.bridge import Bridge

__all__ = ["Bridge"]
