"""``run``: from a config file to a result."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Annotated, Any

import typer

from ml4t.backtest import storage
from ml4t.backtest.cli.imports import load_object, users_code
from ml4t.backtest.cli.inputs import read_feed, refuse_percents
from ml4t.backtest.cli.output import Quiet, note, show, shows_progress, working
from ml4t.backtest.cli.settings import RunSettings, read_settings
from ml4t.backtest.errors import ConfigError, InputError, shown
from ml4t.backtest.execution.schedule import as_schedule
from ml4t.backtest.feed.datafeed import DataFeed
from ml4t.backtest.optimizers.run import run_provider
from ml4t.backtest.replay import run_weights
from ml4t.backtest.result import BacktestResult

EXAMPLES = ("run config.toml", "run studies/momentum.toml --overwrite --quiet")
_COMPILES = "the first run on a machine compiles, some 20 seconds"


def command(
    config: Annotated[
        Path, typer.Argument(help="What to run; `init` writes one with every setting.")
    ],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a result in the output folder.")
    ] = False,
    quiet: Quiet = False,
) -> int:
    """Trade weights or a provider, and save the result.

    Paths in the config are relative to it. Prints the figures of the run.
    """
    settings = read_settings(config)
    _check(settings)
    if settings.output is not None:
        storage.check_place(settings.output, overwrite)
    provider = None
    if settings.provider is not None:
        provider = make_provider(settings.provider, settings.folder)
    assert settings.prices is not None
    with working(f"reading {settings.prices}", quiet):
        feed = read_feed(settings.prices, settings.checks)
    result = _traded(settings, feed, provider, quiet)
    if settings.output is not None:
        result.save(settings.output, overwrite)
    show(result.summary())
    if settings.output is not None:
        note(f"saved in {settings.output}", quiet)
    return 0


def make_provider(reference: str, folder: Path) -> Any:
    """Return the weight provider that a config names.

    Parameters
    ----------
    reference : str
        ``module:name`` of an object with ``get_weights``, or of a class or function that makes
        one and takes no arguments.
    folder : Path
        Where the module is looked for first.

    Raises
    ------
    ValueError
        If there is none, or if making it raises.
    """
    found = load_object(reference, "provider", folder)
    if isinstance(found, type) or (callable(found) and not hasattr(found, "get_weights")):
        try:
            inspect.signature(found).bind()
        except TypeError as error:
            raise InputError(
                f"provider: {reference} cannot be made without arguments ({error}); name an object "
                "with get_weights(data, broker), or a class or function that makes one by itself"
            ) from None
        except ValueError:  # some built-in classes do not tell
            pass
        with users_code(f"provider: {reference}"):
            found = found()
    if not callable(getattr(found, "get_weights", None)):
        raise InputError(
            f"provider: {reference} is {shown(found)}, which has no get_weights(data, broker); "
            "name an object that has it, or a class or function that makes one"
        )
    return found


def _check(settings: RunSettings) -> None:
    """Raise for keys that are missing, and for those that mean nothing beside the others."""
    where = settings.path
    if settings.prices is None:
        raise ConfigError(f'{where}: there are no prices; write prices = "prices.csv"')
    if (settings.weights is None) == (settings.provider is None):
        have = "neither weights nor a provider" if settings.weights is None else "both of them"
        raise ConfigError(
            f'{where}: there are {have}; write one of weights = "weights.csv" and '
            'provider = "mymodule:name"'
        )
    if settings.weights is not None and settings.schedule is not None:
        raise ConfigError(
            f"{where}: schedule says when a provider is asked, and weights have times of their "
            "own; remove one of the two"
        )
    if settings.provider is not None and settings.align != "exact":
        raise ConfigError(
            f"{where}: align is for the times of weights, and a provider has none; remove it"
        )


def _traded(settings: RunSettings, feed: DataFeed, provider: Any, quiet: bool) -> BacktestResult:
    if provider is None:
        assert settings.weights is not None
        schedule = as_schedule(settings.weights)
        refuse_percents(schedule.matrix, settings.weights, schedule.timestamps)
        with working(f"trading {len(schedule)} decisions ({_COMPILES})", quiet):
            return run_weights(feed, schedule, settings.backtest, settings.align)
    with users_code(f"provider: {settings.provider}"):
        return run_provider(
            feed,
            provider,
            settings.schedule or "month_end",
            settings.backtest,
            progress=shows_progress(quiet),
        )
