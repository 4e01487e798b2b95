"""``compare``: the figures of saved results beside each other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ml4t.backtest.cli.output import Column, Quiet, note, show_table, working
from ml4t.backtest.errors import InputError
from ml4t.backtest.result import BacktestResult

EXAMPLES = (
    "compare runs/monthly runs/weekly",
    "compare runs/monthly runs/weekly --html compare.html",
)


def command(
    folders: Annotated[
        list[Path], typer.Argument(metavar="FOLDER...", help="Saved results, two or more.")
    ],
    html: Annotated[
        Path | None,
        typer.Option(
            help="Write a page too; one that is there is replaced. Needs the extra report."
        ),
    ] = None,
    quiet: Quiet = False,
) -> int:
    """Show the figures of saved results beside each other."""
    if len(folders) < 2:
        raise InputError(f"compare: there is only {str(folders[0])!r}; name two results or more")
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise InputError("compare: a folder is there twice; name different results")
    results = [BacktestResult.load(folder) for folder in folders]
    names = _names(folders)
    if html is not None:
        # It imports plotly, for which no other command should wait.
        from ml4t.backtest.report import compare_report  # noqa: PLC0415

        with working(f"writing {html}", quiet):
            compare_report(results, html, names)
    columns = [dict(result.summary_rows()) for result in results]
    labels = list(dict.fromkeys(label for column in columns for label in column))
    show_table(
        [Column(""), *(Column(name, is_number=True) for name in names)],
        [[label, *(column.get(label, "") for column in columns)] for label in labels],
    )
    if html is not None:
        note(f"the page is in {html}", quiet)
    return 0


def _names(folders: list[Path]) -> list[str]:
    """Return the names of folders, with those above them where they would not differ."""
    paths = [folder.resolve() for folder in folders]
    for depth in range(1, max(len(path.parts) for path in paths)):
        names = ["/".join(path.parts[-depth:]) for path in paths]
        if len(set(names)) == len(paths):
            return names
    return [str(folder) for folder in folders]
