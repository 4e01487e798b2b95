"""``init``: an example that runs, small enough to read."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from ml4t.backtest.cli.output import Quiet, note, show
from ml4t.backtest.errors import InputError, listed

EXAMPLES = ("init", "init studies/first")

_CONFIG = """\
# What `ml4t-backtest run config.toml` trades, and the rules of `ml4t-backtest preview`.
# Paths are relative to this file.

# A column per asset (closes), or a row per time and asset (close, and open, high, low, volume
# where you have them); csv or parquet.
prices = "prices.csv"
# checks = "warn"  # take prices that make no sense as missing; "raise" refuses them

# A row per decision, a column per asset, fractions of equity; or rows of time, asset and weight.
# What is missing to 1 is cash.
weights = "weights.csv"
# align = "next"  # a decision at a time without a bar moves to the next one; "exact" refuses it

# Instead of weights: an object with get_weights(data, broker), or what makes one, in mymodule.py.
# provider = "mymodule:name"
# When it is asked: "every_bar", "week_end", "month_start", "month_end", "quarter_end",
# 21 (every 21 bars), or dates such as [2024-03-28, 2024-06-28].
# schedule = "month_end"

# Where the result is saved; without it the figures are only shown.
output = "results"

# The account. What stands behind a # is the default.
[backtest]
initial_cash = 100_000.0
# execution_mode = "next_bar"    # orders fill from the next bar on; "same_bar": at the close
# fill_price = "open"            # of market orders: "open", "close", "hl2", "vwap"
# insufficient_cash = "scale"    # purchases beyond the cash: "scale", "trim", "reject"
# max_participation = 0.1        # at most this fraction of a bar's volume; without it no limit
# delisting = "hold"             # of an asset that ends: "hold", "liquidate", "write_off"

[backtest.commission]
kind = "percent"    # "none", "percent" (rate), "per_share" (per_share), "fixed" (per_order)
rate = 0.001        # 10 bps of what is traded

[backtest.slippage]
kind = "percent"    # "none", "percent" (rate), "fixed" (per_share)
rate = 0.0005

[backtest.rebalance]
# min_trade_value = 100.0         # currency; a smaller change is skipped
# min_weight_change = 0.01        # fraction of equity; a smaller change is skipped
# allow_fractional = false        # whole shares
# round_lots = false
# lot_size = 100
# rounding = "position"           # "position", "trade", "min_tracking_error"
# allow_short = false             # negative weights count as 0
# max_single_weight = 1.0
# max_net_exposure = 1.0
# max_gross_exposure = 2.0        # without it no limit
# unmentioned = "close"           # held assets without a weight: "close", "hold", "error"
# cancel_before_rebalance = true
# account_for_pending = true
# keep_protective_orders = true
# ignore_if_cost_exceeds_bps = 50.0  # without it no limit
"""
_PRICES = """\
date,BONDS,GOLD,STOCKS
2024-05-28,99.80,201.20,503.50
2024-05-29,99.60,200.80,499.00
2024-05-30,99.90,201.60,494.30
2024-05-31,100.10,199.10,498.20
2024-06-03,100.40,198.90,496.10
2024-06-04,100.50,197.70,495.40
2024-06-05,100.30,200.20,501.30
2024-06-06,100.20,201.50,498.10
2024-06-07,100.00,200.00,500.00
"""
_WEIGHTS = """\
date,BONDS,GOLD,STOCKS
2024-05-29,0.40,0.10,0.45
2024-06-03,0.40,0.15,0.42
2024-06-07,0.40,0.20,0.35
"""
_HOLDINGS = """\
asset,quantity
cash,2000
BONDS,400
GOLD,80
STOCKS,84
"""
#: By name, what `init` writes.
FILES = {
    "config.toml": _CONFIG,
    "prices.csv": _PRICES,
    "weights.csv": _WEIGHTS,
    "holdings.csv": _HOLDINGS,
}


def command(
    folder: Annotated[Path, typer.Argument(help="Made if it is not there.")] = Path(),
    quiet: Quiet = False,
) -> int:
    """Write an example config and its csv files.

    The config has every setting, with what it means. Nothing that is there is overwritten.
    """
    there = [name for name in FILES if os.path.lexists(folder / name)]
    if there:
        raise InputError(
            f"init: {listed(there)} are in {str(folder.resolve())!r} already, and nothing was "
            "written; name another folder"
        )
    _write(folder)
    for name in FILES:
        show(str(folder / name))
    where = "" if folder == Path() else f"cd {folder} && "
    note(f"now try: {where}ml4t-backtest preview, and ml4t-backtest run config.toml", quiet)
    return 0


def _write(folder: Path) -> None:
    """Write all files, or none."""
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in FILES.items():
            path = folder / name
            with path.open("x", encoding="utf-8", newline="\n") as file:  # "x": never over another
                written.append(path)
                file.write(text)
    except OSError as error:
        with suppress(OSError):
            for path in written:
                path.unlink()
            for place in made:
                place.rmdir()
        raise InputError(
            f"init: nothing can be written in {str(folder)!r} ({error.strerror}); name another "
            "folder"
        ) from None
