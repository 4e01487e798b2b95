"""``check-lookahead``: whether a pipeline knows the future."""

from __future__ import annotations

import sys
from contextlib import nullcontext, redirect_stdout
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from ml4t.backtest.cli.imports import load_object, users_code
from ml4t.backtest.cli.inputs import price_frame, schedule_of
from ml4t.backtest.cli.output import (
    Column,
    Quiet,
    moment_text,
    note,
    show,
    show_json,
    show_table,
    shows_progress,
    working,
)
from ml4t.backtest.cli.settings import read_settings
from ml4t.backtest.optimizers import LookaheadReport, check_lookahead
from ml4t.backtest.optimizers.lookahead import before_and_after

EXAMPLES = (
    "check-lookahead mymodule:build prices.parquet",
    "check-lookahead mymodule:build prices.csv --frame pandas --samples 50 --json",
    "check-lookahead mymodule:build prices.csv --config config.toml --schedule week_end",
)
_EXIT_LEAKS = 1
_SHOWN = 20


class Make(StrEnum):
    """What makes the frame that a pipeline gets."""

    POLARS = "polars"
    PANDAS = "pandas"


def command(
    build: Annotated[
        str, typer.Argument(metavar="MODULE:NAME", help="Your pipeline, a function of prices.")
    ],
    prices: Annotated[Path, typer.Argument(help="Prices, long or wide; parquet or csv.")],
    schedule: Annotated[
        str | None,
        typer.Option(
            help="When a provider is asked: month_end, week_end, ..., or a number n for every n-th "
            "bar. Default: the config's, else month_end."
        ),
    ] = None,
    samples: Annotated[int, typer.Option(min=1, help="How many decision times to try.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws of these times.")] = 0,
    config: Annotated[
        Path | None, typer.Option(help="A config.toml, for the runs of strategies and providers.")
    ] = None,
    frame: Annotated[Make, typer.Option(help="The frame that the pipeline gets.")] = Make.POLARS,
    as_json: Annotated[bool, typer.Option("--json", help="All leaks, as JSON.")] = False,
    quiet: Quiet = False,
) -> int:
    """Look for decisions of your pipeline that know the future.

    Everything after some decision times is changed in copies of the prices, and every decision up
    to then must be the same, but for rounding. The module is found in the current folder too. Exit
    code 1: there are leaks.
    """
    settings = None if config is None else read_settings(config)
    chosen = schedule_of("month_end")
    if schedule is not None:
        chosen = schedule_of(schedule)
    elif settings is not None and settings.schedule is not None:
        chosen = settings.schedule
    # What the pipeline prints is no part of the answer.
    with redirect_stdout(sys.stderr) if as_json else nullcontext():
        pipeline = load_object(build, "build", Path())
        with working(f"reading {prices}", quiet):
            table = price_frame(prices, frame is Make.PANDAS)
        if shows_progress(quiet):
            note(f"{build} is called some {2 * samples + 2} times", quiet)
        with users_code(f"build: {build}"):
            report = check_lookahead(
                pipeline,
                table,
                config=None if settings is None else settings.backtest,
                schedule=chosen,
                samples=samples,
                seed=seed,
                progress=shows_progress(quiet),
            )
    if as_json:
        show_json(_as_json(report))
    else:
        _show(report)
    return 0 if report.leaks.is_empty() else _EXIT_LEAKS


def _show(report: LookaheadReport) -> None:
    show(report.headline)
    if report.leaks.is_empty():
        return
    show()
    columns = [
        Column("decision time"),
        Column("asset"),
        Column("what"),
        Column("before", is_number=True),
        Column("after", is_number=True),
        Column("changed"),
    ]
    show_table(columns, [_cells(row) for row in report.leaks.head(_SHOWN).iter_rows(named=True)])
    if report.leaks.height > _SHOWN:
        show(f"and {report.leaks.height - _SHOWN} more; --json has all")


def _cells(row: dict[str, Any]) -> list[str]:
    return [
        moment_text(row["decision_time"]),
        row["asset"],
        row["what"],
        *before_and_after(row),
        f"{row['change']} after {moment_text(row['changed_after'])}",
    ]


def _as_json(report: LookaheadReport) -> dict[str, Any]:
    return {
        "n_decision_times": report.n_decision_times,
        "tried": list(report.tried),
        "n_rounded": report.n_rounded,
        "leaks": report.leaks.to_dicts(),
        "failures": report.failures.to_dicts(),
    }
