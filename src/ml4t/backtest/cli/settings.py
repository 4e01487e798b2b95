"""The file that says what to run: prices, weights or a provider, settings of the account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml4t.backtest.cli.inputs import schedule_of
from ml4t.backtest.config import BacktestConfig, config_as_written
from ml4t.backtest.errors import ConfigError, InputError, nearest, shown, unknown_name
from ml4t.backtest.execution.decision_times import Schedule
from ml4t.backtest.toml import read_toml

_TABLE = "backtest"
_ALIGNS, _CHECKS = ("exact", "next"), ("raise", "warn")
_KEYS = ("prices", "checks", "weights", "align", "provider", "schedule", "output", _TABLE)


@dataclass(frozen=True)
class RunSettings:
    """What a config file says; its paths are relative to its own folder.

    Attributes
    ----------
    path : Path
        The file.
    prices, weights, output : Path or None
        None: the file does not say.
    provider : str or None
        ``module:name``.
    schedule : str, Every, OnDates or None
        When a provider is asked.
    align : {"exact", "next"}
        As in `run_weights`.
    checks : {"raise", "warn"}
        As in `DataFeed`.
    backtest : BacktestConfig
    """

    path: Path
    prices: Path | None
    weights: Path | None
    output: Path | None
    provider: str | None
    schedule: Schedule | None
    align: str
    checks: str
    backtest: BacktestConfig

    @property
    def folder(self) -> Path:
        """Where the file is, and what it names."""
        return self.path.parent


def read_settings(path: Path) -> RunSettings:
    """Read a config file.

    Raises
    ------
    ValueError
        If it cannot be read, for an unknown key (with the nearest known one) at every level, and
        for a value that cannot be used.
    """
    where, table = read_toml(path)
    for key in table:
        if key not in _KEYS:
            raise ConfigError(f"{where}: {_unknown(key)}")
    values = _Values(where, path.parent, table)
    backtest = table.get(_TABLE, {})
    if not isinstance(backtest, dict):
        raise ConfigError(f"{where}: {_TABLE}={shown(backtest)} is no table; write [{_TABLE}]")
    return RunSettings(
        path=path,
        prices=values.path("prices"),
        weights=values.path("weights"),
        output=values.path("output"),
        provider=values.text("provider"),
        schedule=values.schedule(),
        align=values.one_of("align", _ALIGNS),
        checks=values.one_of("checks", _CHECKS),
        backtest=config_as_written(BacktestConfig, f"{where}: [{_TABLE}]", backtest),
    )


@dataclass(frozen=True)
class _Values:
    """The values of a table, checked as they are asked for."""

    where: str
    folder: Path
    table: Mapping[str, Any]

    def text(self, key: str) -> str | None:
        value = self.table.get(key)
        if key in self.table and not (isinstance(value, str) and value.strip()):
            raise ConfigError(f"{self.where}: {key}={shown(value)} is no text; write it in quotes")
        return value

    def path(self, key: str) -> Path | None:
        text = self.text(key)
        if text is None:
            return None
        try:
            return self.folder / Path(text).expanduser()
        except RuntimeError as error:
            raise ConfigError(f"{self.where}: {key}={text!r}: {error}") from None

    def one_of(self, key: str, known: tuple[str, ...]) -> str:
        """Return one of the known values, the first if there is none."""
        value = self.table.get(key, known[0])
        if value not in known:
            raise ConfigError(
                f"{self.where}: {key}={shown(value)} is unknown{nearest(value, known, most=1)}; "
                f"there are {', '.join(known)}"
            )
        return str(value)

    def schedule(self) -> Schedule | None:
        if "schedule" not in self.table:
            return None
        try:
            return schedule_of(self.table["schedule"])
        except InputError as error:
            raise ConfigError(f"{self.where}: {error}") from None


def _unknown(key: str) -> str:
    if key in BacktestConfig.model_fields:
        return f"{key} is a setting of the account; write it under [{_TABLE}]"
    return unknown_name(key, _KEYS)
