"""``report``: the tearsheet of a saved result."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ml4t.backtest.cli.inputs import read_feed
from ml4t.backtest.cli.output import Quiet, note, show, working
from ml4t.backtest.result import BacktestResult

EXAMPLES = (
    "report results --prices prices.csv",
    "report runs/monthly --prices prices.parquet --benchmark SPY -o monthly.html",
)


def command(
    folder: Annotated[Path, typer.Argument(help="A saved result.")],
    prices: Annotated[
        Path | None,
        typer.Option(help="The prices of the run; without them there is no bridge in the report."),
    ] = None,
    benchmark: Annotated[
        str | None,
        typer.Option(
            help="An asset of the prices, a file with a time and one column of levels, or the "
            "folder of another result."
        ),
    ] = None,
    title: Annotated[str | None, typer.Option(help="The heading of the page.")] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The file; one that is there is replaced.")
    ] = Path("report.html"),
    quiet: Quiet = False,
) -> int:
    """Write the report of a saved result, one HTML file.

    Needs the extra report.
    """
    result = BacktestResult.load(folder)
    feed = None
    if prices is not None:
        with working(f"reading {prices}", quiet):
            # Of whatever made no sense in them, the run has decided already.
            feed = read_feed(prices, checks="warn")
    other: object = benchmark
    if benchmark is not None and Path(benchmark).is_dir():
        other = BacktestResult.load(benchmark)
    with working(f"writing {output}", quiet):
        result.report(output, other, title, feed)
    show(str(output))
    if prices is None:
        note("it has no bridge from paper to account, for which it needs --prices", quiet)
    return 0
