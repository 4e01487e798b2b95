"""A walk-forward study of skfolio, turned into a weight schedule."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

import numpy as np

from ml4t.backtest.errors import WeightsError, shown
from ml4t.backtest.execution.schedule import WeightSchedule
from ml4t.backtest.execution.weights import as_weights

_SAME = "pass the X and the cv of the call of cross_val_predict that made the portfolio"


# X is what skfolio and scikit-learn call it, so that the argument is the same name in both calls.
def from_cross_val_predict(multi_period_portfolio: Any, X: Any, cv: Any) -> WeightSchedule:  # noqa: N803
    """Turn the answer of skfolio's `cross_val_predict` into a weight schedule.

    The weights of each period are stamped with the last bar that its training saw: the row of `X`
    where the training set ends, before the purged rows. A portfolio knows its test rows alone, so
    `cv` splits `X` once more; nothing is fitted again.

    Parameters
    ----------
    multi_period_portfolio : skfolio.MultiPeriodPortfolio
        Of a `cv` that walks forward: `WalkForward`, or scikit-learn's `TimeSeriesSplit`.
    X : pandas.DataFrame, (n_observations, n_assets)
        The returns that `cross_val_predict` had, indexed by time. A row is the return up to the
        close of its time.
    cv : cross-validator
        The one that `cross_val_predict` had. It must split `X` in the same way again.

    Returns
    -------
    WeightSchedule
        A row a period. Assets that a step of the model left out are not in the targets then.

    Raises
    ------
    ValueError
        For a `Population` (several paths, as `CombinatorialPurgedCV` gives), an `X` without
        times, a `cv` that is a number or None (scikit-learn makes folds of it, which do not walk
        forward), an `X` or `cv` that does not make these periods, portfolios without the names of
        their assets, a period that trains on bars after its first test row, and a period whose
        optimization failed (`FailedPortfolio`): its number and its first and last test row are
        named.

    Notes
    -----
    The weights are decided at the close of the stamp. Without purging skfolio holds them from that
    close on, which is `ExecutionMode.SAME_BAR`; `NEXT_BAR` trades at the next bar, as an account
    that needs the close to decide must.

    With ``purged_size=n``, skfolio holds them from the close `n` bars after the stamp on. An
    account has no reason to wait: what purging keeps out of the training is the overlap of returns
    that an estimate of its error must not have, and the weights are known at the stamp. So the
    schedule trades `n` bars earlier than skfolio does, and earns something else.
    ``schedule.shift(n, feed.timestamps)`` trades when skfolio does: use it to compare the account
    with the study, and not to be more careful.

    Examples
    --------
    With a study that exists already::

        portfolio = cross_val_predict(model, X, cv=cv)
        schedule = from_cross_val_predict(portfolio, X, cv)
        result = run_weights(DataFeed.from_wide(prices), schedule)
    """
    periods = _periods(multi_period_portfolio)
    times = _times(X)
    if isinstance(cv, type) or not callable(getattr(cv, "split", None)):
        raise WeightsError(
            f"weights: cv={shown(cv)} cannot split X; pass the cross-validator of the call of "
            "cross_val_predict, such as WalkForward(train_size=252, test_size=21)"
        )
    splits = list(cv.split(X))
    if len(splits) != len(periods):
        raise WeightsError(
            f"weights: the portfolio has {len(periods)} periods, but cv splits X into "
            f"{len(splits)}; {_SAME}"
        )
    rows: dict[Any, dict[str, float]] = {}
    for number, (portfolio, split) in enumerate(zip(periods, splits, strict=True), 1):
        train, test = split[:2]
        where = _name(number, portfolio)
        if not hasattr(getattr(portfolio, "X", None), "columns"):
            raise WeightsError(
                f"weights of {where}: its returns have lost the names of assets and the times, as "
                "the steps of a pipeline give arrays; call "
                'pipeline.set_output(transform="pandas") before cross_val_predict'
            )
        if not np.array_equal(np.asarray(times[np.ravel(test)]), portfolio.observations):
            raise WeightsError(f"weights of {where}: these are not the test rows of cv; {_SAME}")
        end = int(np.max(train))
        if end >= np.min(test):
            raise WeightsError(
                f"weights of {where}: it was trained on bars up to {times[end]}, which nobody knew "
                "when it began; use a cv that walks forward, such as WalkForward"
            )
        if times[end] in rows:
            raise WeightsError(
                f"weights of {where}: the period before was trained up to {times[end]} too; one "
                "bar can have one decision"
            )
        try:
            rows[times[end]] = as_weights(portfolio)
        except WeightsError as error:
            reason = str(error).removeprefix("weights: ")
            raise WeightsError(f"weights of {where}: {reason}") from None
    return WeightSchedule.from_frame(rows)


def _periods(found: Any) -> list[Any]:
    """Return the portfolios of a MultiPeriodPortfolio."""
    if isinstance(found, list):
        raise WeightsError(
            f"weights: a {type(found).__name__} of {len(found)} is no single path through time; "
            "use a cv that walks forward once, and pass the portfolio of one model"
        )
    periods = getattr(found, "portfolios", None)
    if periods is None:
        raise WeightsError(
            f"weights: a {type(found).__name__} has no portfolios; pass what skfolio's "
            "cross_val_predict returns for a cv that walks forward"
        )
    return list(periods)


def _times(X: Any) -> Any:  # noqa: N803
    times = getattr(X, "index", None)
    if times is None or not len(times) or not isinstance(times[0], date):
        raise WeightsError(
            "weights: X has no times; run cross_val_predict on a pandas frame of returns whose "
            "index holds datetimes, and pass that"
        )
    return times


def _name(number: int, portfolio: Any) -> str:
    tested = portfolio.observations
    if not len(tested):
        return f"period {number}"
    return f"period {number} ({_day(tested[0])} to {_day(tested[-1])})"


def _day(time: Any) -> str:
    return re.sub(r"T00:00:00(\.0+)?$", "", str(time))
