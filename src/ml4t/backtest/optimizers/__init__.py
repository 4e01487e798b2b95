"""What produces weights, made ready to be traded."""

from ml4t.backtest.optimizers.walk_forward import from_cross_val_predict

__all__ = ["from_cross_val_predict"]
