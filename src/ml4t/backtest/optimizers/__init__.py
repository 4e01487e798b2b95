"""From what produces weights to decisions, and a check that they know nothing of the future."""

from ml4t.backtest.execution.decision_times import decision_bars, every, on_dates
from ml4t.backtest.execution.triggers import DriftTrigger
from ml4t.backtest.optimizers.lookahead import LookaheadReport, check_lookahead
from ml4t.backtest.optimizers.providers import CallableWeights, EqualWeights, FixedWeights
from ml4t.backtest.optimizers.skfolio_weights import SkfolioWeights
from ml4t.backtest.optimizers.walk_forward import from_cross_val_predict
from ml4t.backtest.optimizers.weight_strategy import WeightStrategy

__all__ = [
    "CallableWeights",
    "DriftTrigger",
    "EqualWeights",
    "FixedWeights",
    "LookaheadReport",
    "SkfolioWeights",
    "WeightStrategy",
    "check_lookahead",
    "decision_bars",
    "every",
    "from_cross_val_predict",
    "on_dates",
]
