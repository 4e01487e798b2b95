"""What a run says of itself to the log, whichever road it takes."""

from __future__ import annotations

import logging
import time

from ml4t.backtest.feed.bars import Bars
from ml4t.backtest.ledger.ledger import Ledger


class RunLog:
    """Logs the start of a run when it is made, and the end when it is told.

    Parameters
    ----------
    log : logging.Logger
    bars : Bars
        What the run follows.
    """

    def __init__(self, log: logging.Logger, bars: Bars) -> None:
        self._log = log
        self._n_bars, n_assets = bars.close.shape
        self._begun = time.perf_counter()
        log.info("run started: %d assets, %d bars", n_assets, self._n_bars)

    def end(self, n_complete: int, ledger: Ledger) -> None:
        """Log how much happened in how many bars, and the seconds since the start."""
        self._log.info(
            "run ended: %d of %d bars, %d orders, %d fills, %.3f seconds",
            n_complete,
            self._n_bars,
            ledger.n_submitted,
            len(ledger.fills),
            time.perf_counter() - self._begun,
        )
