"""The commands put together, and what becomes of their errors."""

from __future__ import annotations

import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import polars as pl
import typer

from ml4t.backtest.cli import compare, data, demo, init, lookahead, preview, report, run
from ml4t.backtest.cli.output import EXIT_BAD_INPUT, notes_of, refuse, say, show, warn
from ml4t.backtest.errors import (
    BacktestError,
    DataWarning,
    OptimizationWarning,
    RebalanceWarning,
)
from ml4t.backtest.version import __version__

_NAME = "ml4t-backtest"
_EXIT_BROKEN = 70  # EX_SOFTWARE; 1 would say that there are leaks or faults
_EXIT_STOPPED = 130  # as shells have it for Ctrl-C
_OUR_WARNINGS = (DataWarning, OptimizationWarning, RebalanceWarning)
# Typer brings a click of its own or uses the one that is installed: the base of its errors is
# found by its name.
_UsageFault: Any = next(
    cls for cls in typer.BadParameter.__mro__ if cls.__name__ == "ClickException"
)

app = typer.Typer(
    name=_NAME,
    help="What really happens when target weights are traded.",
    rich_markup_mode=None,  # examples in a help text keep their lines
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        show(f"{_NAME} {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _start(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        say(context.get_help())
        raise typer.Exit(EXIT_BAD_INPUT)


def _examples(of: Any) -> str:
    """Return the examples of a module of a command, which click must not wrap (that is the BS)."""
    return "\n".join(["\b", "Examples:", *(f"  {_NAME} {line}" for line in of.EXAMPLES)])


#: The commands, in the order in which the help lists them.
COMMANDS: dict[str, Any] = {
    "init": init,
    "preview": preview,
    "run": run,
    "report": report,
    "compare": compare,
    "check-lookahead": lookahead,
    "data check": data,
    "demo": demo,
}
_data = typer.Typer(help="Look at files of prices.", rich_markup_mode=None, no_args_is_help=False)
app.add_typer(_data, name="data")
for _words, _module in COMMANDS.items():
    _group = _data if _words.startswith("data ") else app
    _group.command(_words.split()[-1], epilog=_examples(_module))(_module.command)


def run_app(arguments: list[str]) -> int:
    """Run a command; returns its exit code."""
    with _warnings_in_one_line(), _path_restored():
        try:
            code = app(args=arguments, prog_name=_NAME, standalone_mode=False)
        except BacktestError as error:
            return refuse("; ".join([str(error), *notes_of(error)]))
        except OSError as error:  # a disk that is full, a pipe that is closed
            return refuse(f"{error.filename or 'the system'}: {error.strerror or error}")
        except typer.Abort:
            code = _EXIT_STOPPED
        except _UsageFault as error:
            context = getattr(error, "ctx", None)
            path = _NAME if context is None else context.command_path
            message = error.format_message().rstrip(".")
            return refuse(f"{message}{' See' if message.endswith('?') else '; see'} {path} --help")
        # Polars panics with what is no Exception.
        except (Exception, pl.exceptions.PanicException) as error:
            traceback.print_exc()
            refuse(
                f"a fault of {_NAME} itself, not of what it was given: {type(error).__name__}: "
                f"{error}; report it with the lines above"
            )
            return _EXIT_BROKEN
    if code == _EXIT_STOPPED:  # what typer makes of Ctrl-C, or what it was made of its Abort
        say("stopped")
    return int(code or 0)


@contextmanager
def _warnings_in_one_line() -> Iterator[None]:
    """Show the warnings of the library as lines, each time; those of others as Python does."""
    with warnings.catch_warnings():
        for category in _OUR_WARNINGS:
            warnings.simplefilter("always", category)
        others = warnings.showwarning

        def shown(message: Warning | str, category: type[Warning], *place: Any) -> None:
            if issubclass(category, _OUR_WARNINGS):
                warn(str(message))
            else:
                others(message, category, *place)

        warnings.showwarning = shown  # type: ignore[assignment]
        yield


@contextmanager
def _path_restored() -> Iterator[None]:
    before = list(sys.path)
    try:
        yield
    finally:
        sys.path[:] = before
