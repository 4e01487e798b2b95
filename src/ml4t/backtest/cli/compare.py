"""``compare``: the figures of saved results beside each other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ml4t.backtest.cli.output import Column, show_table
from ml4t.backtest.errors import InputError
from ml4t.backtest.result import BacktestResult

EXAMPLES = ("compare runs/monthly runs/weekly",)


def command(
    folders: Annotated[
        list[Path], typer.Argument(metavar="FOLDER...", help="Saved results, two or more.")
    ],
) -> int:
    """Show the figures of saved results beside each other."""
    if len(folders) < 2:
        raise InputError(f"compare: there is only {str(folders[0])!r}; name two results or more")
    columns = [dict(BacktestResult.load(folder).summary_rows()) for folder in folders]
    labels = list(dict.fromkeys(label for column in columns for label in column))
    show_table(
        [Column(""), *(Column(name, is_number=True) for name in _names(folders))],
        [[label, *(column.get(label, "") for column in columns)] for label in labels],
    )
    return 0


def _names(folders: list[Path]) -> list[str]:
    """Return the names of folders, with those above them where they would not differ."""
    paths = [folder.resolve() for folder in folders]
    for depth in range(1, max(len(path.parts) for path in paths)):
        names = ["/".join(path.parts[-depth:]) for path in paths]
        if len(set(names)) == len(set(paths)):
            return names
    return [str(folder) for folder in folders]
