"""What really happens when target weights are traded."""

import logging

from ml4t.backtest.broker import Broker
from ml4t.backtest.config import BacktestConfig, RebalanceConfig
from ml4t.backtest.engine import Engine, run_backtest
from ml4t.backtest.enums import ExecutionMode, OrderSide, OrderStatus, OrderType
from ml4t.backtest.execution.plan import RebalancePlan, plan_rebalance
from ml4t.backtest.execution.rebalancer import BrokerLike, TargetWeightExecutor, WeightProvider
from ml4t.backtest.execution.schedule import WeightSchedule
from ml4t.backtest.execution.weights import as_weights
from ml4t.backtest.feed.datafeed import DataFeed
from ml4t.backtest.ledger.snapshot import PortfolioSnapshot, WorkingOrder
from ml4t.backtest.optimizers.run import run_provider
from ml4t.backtest.replay import run_weights
from ml4t.backtest.result import BacktestResult
from ml4t.backtest.strategy import Strategy
from ml4t.backtest.types import Fill, Order, Position, Trade
from ml4t.backtest.version import __version__

__all__ = [
    "BacktestConfig",
    "BacktestResult",
    "Broker",
    "BrokerLike",
    "DataFeed",
    "Engine",
    "ExecutionMode",
    "Fill",
    "Order",
    "OrderSide",
    "OrderStatus",
    "OrderType",
    "PortfolioSnapshot",
    "Position",
    "RebalanceConfig",
    "RebalancePlan",
    "Strategy",
    "TargetWeightExecutor",
    "Trade",
    "WeightProvider",
    "WeightSchedule",
    "WorkingOrder",
    "__version__",
    "as_weights",
    "plan_rebalance",
    "run_backtest",
    "run_provider",
    "run_weights",
]

# An application that does not set up logging sees nothing of ours.
logging.getLogger(__name__).addHandler(logging.NullHandler())
