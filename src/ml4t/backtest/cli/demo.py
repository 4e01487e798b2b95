"""``demo``: a real optimizer's weights on real prices."""

from __future__ import annotations

from ml4t.backtest.cli.output import Quiet, shows_progress

EXAMPLES = ("demo",)


def command(quiet: Quiet = False) -> int:
    """Trade a real optimizer's weights on real prices.

    Minimum variance over 20 stocks of the S&P 500, which come with skfolio; needs no network.
    """
    # It imports skfolio, for which no other command should wait.
    from ml4t.backtest import demo  # noqa: PLC0415

    return demo.main(progress=shows_progress(quiet))
