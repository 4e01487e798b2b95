"""A ridge regression on lagged returns through 2020: features to scores to weights."""

import numpy as np
import pandas as pd
from skfolio.datasets import load_sp500_dataset
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ml4t.backtest import DataFeed, run_provider
from ml4t.backtest.optimizers import CallableWeights

HORIZON = 21


def ridge(prices):
    """Weights of those whose predicted return is above the median."""
    logs = np.log(prices)
    lagged = np.stack([logs.diff(n) for n in (5, 21, 63)], axis=-1)  # (bars, assets, features)
    ahead = (logs.shift(-HORIZON) - logs).to_numpy()  # NaN in the last 21 bars: not known yet
    known = ~np.isnan(ahead) & ~np.isnan(lagged).any(axis=-1)
    model = make_pipeline(StandardScaler(), Ridge(alpha=100.0)).fit(lagged[known], ahead[known])
    scores = pd.Series(model.predict(lagged[-1]), index=prices.columns)
    above_median = (scores - scores.median()).clip(lower=0.0)
    return above_median / above_median.sum()


PROVIDERS = {"ridge": CallableWeights(ridge, lookback=252, values="prices")}

if __name__ == "__main__":
    feed = DataFeed.from_wide(load_sp500_dataset().loc["2019":"2020"])
    result = run_provider(feed, PROVIDERS["ridge"], "month_end")
    print(f"ridge {result.metrics['total_return']:.2%}")
