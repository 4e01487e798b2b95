"""What a command shows: its answer on stdout; notes, progress and faults on stderr."""

from __future__ import annotations

import json
import math
import os
import re
import sys
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import date, datetime, time
from typing import Annotated, Any, NamedTuple

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

#: Of a command that was given something that it cannot use.
EXIT_BAD_INPUT = 2

#: The option of every command that may take a while.
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notes.")]

# Where a message of the library says what to do in Python, and a command has another way.
_REMEDIES = (
    (r"Name it with \w+_column=\.\.\.", "Rename it in the file"),
    (r"pass overwrite=True", "pass --overwrite"),
    (r"pass those of its run as prices=", "pass those of its run with --prices"),
    (
        r"Pass the path of a parquet or csv file, or read it yourself and pass the frame",
        "Save it as parquet or csv",
    ),
    (
        r"; on_failure= says what is to be done then",
        "; set on_failure where your module makes it, to say what is to be done then",
    ),
    (r"read the file yourself and pass the frame", "write all of them in one way"),
    (r"pass the one that a result is in", "name the one that a result was saved to"),
    (r", or use DataFeed\.from_wide for a frame with a column per asset", ""),
    (
        r", and every\(n\), on_dates\(dates\) and functions of the time",
        ", and a number n for every n-th bar",
    ),
)


class Column(NamedTuple):
    """A column of a table: its label, and whether it holds numbers, which go to the right."""

    label: str
    is_number: bool = False


def show(text: str = "") -> None:
    """Write a line of the answer."""
    typer.echo(text)


def show_table(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
    """Write a table: drawn on a terminal, else columns of plain text."""
    cells = [[_printable(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
        for column in columns:
            table.add_column(column.label, justify="right" if column.is_number else "left")
        for row in cells:
            table.add_row(*map(Text, row))
        Console(highlight=False).print(table)
        return
    lines = [[column.label for column in columns], *cells]
    widths = [max(cell_len(line[i]) for line in lines) for i in range(len(columns))]
    for line in lines:
        padded = []
        for cell, width, column in zip(line, widths, columns, strict=True):
            blank = " " * (width - cell_len(cell))
            padded.append(blank + cell if column.is_number else cell + blank)
        show("  ".join(padded).rstrip())


def show_json(value: object) -> None:
    """Write a value as JSON; NaN and infinities become null, times ISO 8601."""
    show(json.dumps(_plain(value), indent=2, allow_nan=False))


def note(text: str, quiet: bool) -> None:
    """Say what is being done, unless it is not wanted."""
    if not quiet:
        say(text)


def say(text: str) -> None:
    """Write a line to the standard error stream.

    To what stands there now: a bar or a spinner has put something in its place that keeps lines
    apart from it, and which `typer.echo` would go around.
    """
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def warn(message: str) -> None:
    """Write a warning in one line."""
    _tell("warning:", typer.colors.YELLOW, message)


def refuse(message: str) -> int:
    """Write a fault in one line; returns the exit code."""
    _tell("error:", typer.colors.RED, message)
    return EXIT_BAD_INPUT


def shows_progress(quiet: bool) -> bool:
    """Whether somebody sees how far a command is, and wants to."""
    return not quiet and sys.stderr.isatty()


def working(text: str, quiet: bool) -> AbstractContextManager[object]:
    """Show that something is done, which cannot say how far it is."""
    if not shows_progress(quiet):
        return nullcontext()
    return Console(stderr=True).status(text)


def moment_text(moment: date) -> str:
    """Write a time, of one at midnight the date alone."""
    if isinstance(moment, datetime) and moment.time() == time(0):
        return str(moment.date())
    return str(moment)


def _tell(label: str, color: str, message: str) -> None:
    if sys.stderr.isatty() and not os.environ.get("NO_COLOR"):
        label = typer.style(label, fg=color, bold=True)
    say(f"{label} {one_line(message)}")


def notes_of(error: BaseException) -> list[str]:
    """Return what the library has noted about an exception, such as the bar at which it came."""
    notes = getattr(error, "__notes__", ())
    return [str(text).removeprefix("ml4t.backtest: ") for text in notes]


def one_line(message: str) -> str:
    """Return a message of the library as one line, with what the command line has as remedies."""
    for pattern, remedy in _REMEDIES:
        message = re.sub(pattern, remedy, message)
    lines = [line.strip().removeprefix("- ") for line in message.splitlines()]
    return _printable(" | ".join(line for line in lines if line))


def _printable(text: str) -> str:
    """Return a text without what a terminal would obey: names come from files of anybody."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, date):
        return value.isoformat()
    return value
