"""``data check``: what a feed finds in a file of prices."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from ml4t.backtest.cli.inputs import find_name, is_long
from ml4t.backtest.cli.output import Column, Quiet, moment_text, one_line, show, show_table, working
from ml4t.backtest.errors import DataError, listed
from ml4t.backtest.feed.bars import Bars
from ml4t.backtest.feed.checks import Faults, check_prices
from ml4t.backtest.feed.frames import Loaded, load
from ml4t.backtest.feed.long import read_long
from ml4t.backtest.feed.table import ASSET_COLUMNS, PRICE_COLUMNS, PRICES, TIME_COLUMNS, Table
from ml4t.backtest.feed.wide import read_wide_fields
from ml4t.backtest.formats import counted
from ml4t.backtest.records import Ints

EXAMPLES = ("data check prices.parquet", "data check prices.csv --quiet")
_EXIT_FAULTS = 1
_SHOWN = 10


def command(
    file: Annotated[Path, typer.Argument(help="Prices, long or wide; parquet or csv.")],
    quiet: Quiet = False,
) -> int:
    """List what is wrong with a file of prices, and where bars are missing.

    Exit code 1: there are faults, or the file holds no prices. Assets that begin late or end early
    and missing bars are listed, and are no faults.
    """
    with working(f"reading {file}", quiet):
        loaded = load(file, "prices")
    faults = Faults("prices", "warn")
    try:
        with working(f"checking {file}", quiet):
            table = _read(loaded, faults)
    except DataError as error:
        show(f"fault: {one_line(str(error))}")
        return _EXIT_FAULTS
    _show_columns(loaded)
    if faults.was_unsorted:
        show("the rows are not in the order of time; the feed sorts them")
    has_prices = bool(np.isfinite(table.columns["close"]).any())
    if not has_prices:
        show("fault: not one close is a finite number")
    for fault in faults.found:
        show(f"fault: {fault.kind}: {fault.n:,}")
        for row in fault.rows:
            show(f"  {row}")
        show(f"  {fault.remedy}")
    if faults.leaves_a_way and has_prices:
        _show_bars(Bars.from_fields(table.assets, table.times, table.time_zone, table.columns, {}))
    if faults.found or not has_prices:
        return _EXIT_FAULTS
    show("no faults")
    return 0


def _read(loaded: Loaded, faults: Faults) -> Table:
    """Lay a file out and note what is wrong with it, as a feed does."""
    if is_long(loaded.frame):
        table = read_long(loaded, None, None, faults, PRICES)
    else:
        table = read_wide_fields({"close": loaded}, None, faults)
    check_prices(table, faults)
    return table


def _show_columns(loaded: Loaded) -> None:
    frame = loaded.frame
    if not is_long(frame):
        show(
            f"wide: {counted(frame.height, 'row')}, {counted(frame.width - 1, 'column')} of closes"
        )
        return
    labels = [find_name(frame, names) for names in (TIME_COLUMNS, ASSET_COLUMNS)]
    read = [name for name in frame.columns if name in labels or name.lower() in PRICE_COLUMNS]
    others = [name for name in frame.columns if name not in read]
    show(f"long: {counted(frame.height, 'row')}; columns read: {', '.join(read)}")
    if others:
        show(f"columns not read: {', '.join(others)}")


def _show_bars(bars: Bars) -> None:
    n_bars, n_assets = bars.close.shape
    first, last = bars.timestamps[0], bars.timestamps[-1]
    there = np.isfinite(bars.close)
    show(
        f"{counted(n_assets, 'asset')}, {counted(n_bars, 'time')}, "
        f"{moment_text(first)} to {moment_text(last)}"
        f"{f' ({bars.time_zone})' if bars.time_zone else ''}, {counted(int(there.sum()), 'bar')}"
    )
    begins, ends = bars.first_bars, bars.last_bars
    if (begins < 0).any():
        show(f"without any bar: {listed((bars.assets[i] for i in _where(begins < 0)), _SHOWN)}")
    _show_list("begin late", "first bar", begins, _where(begins > 0), bars)
    early = _where((ends >= 0) & (ends < n_bars - 1))
    _show_list("end early, so the feed infers that they have ended", "last bar", ends, early, bars)
    bar = np.arange(n_bars)[:, None]
    missing = ~there & (bar > begins) & (bar < ends) & (begins >= 0)
    n_missing = missing.sum(axis=0)
    gaps = _where(n_missing > 0)
    first_gaps = missing.argmax(axis=0)
    _show_list("miss bars in between", "first gap", first_gaps, gaps, bars, n_missing)


def _where(found: NDArray[np.bool_]) -> list[int]:
    """Return the numbers of the assets for which something is true."""
    return np.flatnonzero(found).tolist()


def _show_list(
    what: str, label: str, moments: Ints, found: list[int], bars: Bars, counts: Ints | None = None
) -> None:
    """Show the assets of which something was found, each with the time of a bar."""
    if not found:
        return
    show()
    show(f"{what}: {len(found):,} of {len(bars.assets):,} assets")
    columns = [Column("  asset"), Column(label)]
    if counts is not None:
        columns.append(Column("bars missing", is_number=True))
    rows = []
    for asset in found[:_SHOWN]:
        row = [f"  {bars.assets[asset]}", moment_text(bars.timestamps[moments[asset]])]
        rows.append(row if counts is None else [*row, f"{counts[asset]:,}"])
    show_table(columns, rows)
    if len(found) > _SHOWN:
        show(f"  and {len(found) - _SHOWN:,} more")
