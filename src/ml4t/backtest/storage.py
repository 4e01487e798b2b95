"""A result in a folder: one parquet file for each frame and table, and ``result.json``.

``result.json`` says how many rows and which SHA-256 each of the other files has, and holds a
checksum of itself, so that a file that is cut short or changed is found before it is believed.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ml4t.backtest import folders
from ml4t.backtest.config import BacktestConfig
from ml4t.backtest.errors import InputError, ResultError, shown
from ml4t.backtest.feed.bars import Bars
from ml4t.backtest.frames import FRAMES, RunFrames
from ml4t.backtest.strategy_tables import is_table_name
from ml4t.backtest.version import __version__

#: Raised when the files change in a way that an older or newer version cannot read.
FORMAT = 2
# What stands around the name of a table of the strategy in the name of its file: no other file of
# a result, now or later, is called so.
_BEFORE, _AFTER = "strategy.", ".parquet"
_JSON = "result.json"
_AGAIN = "run the backtest again and save it anew, or restore the folder from a copy"


@dataclass(frozen=True)
class StoredFrames:
    """The frames of a run as they were read from a folder; see `RunFrames`."""

    equity: pl.DataFrame
    orders: pl.DataFrame
    fills: pl.DataFrame
    trades: pl.DataFrame
    positions: pl.DataFrame
    rebalances: pl.DataFrame
    ends: pl.DataFrame
    n_plans: int
    fingerprint: str
    holdings: dict[str, float] | None = None
    bars: Bars | None = None


def save(
    folder: str | os.PathLike[str],
    config: BacktestConfig,
    frames: RunFrames,
    tables: Mapping[str, pl.DataFrame],
    metrics: dict[str, float],
    overwrite: bool,
) -> None:
    """Write a result; see `BacktestResult.save`."""
    files: dict[str, bytes] = {}

    def stored(frame: pl.DataFrame, file_name: str) -> dict[str, Any]:
        buffer = io.BytesIO()
        frame.write_parquet(buffer)
        content = files[file_name] = buffer.getvalue()
        return {"rows": frame.height, "sha256": hashlib.sha256(content).hexdigest()}

    of_frames = {name: stored(getattr(frames, name), f"{name}.parquet") for name in FRAMES}
    of_strategy = {name: stored(frame, _file_of(name)) for name, frame in tables.items()}
    times = frames.equity["timestamp"]
    facts: dict[str, Any] = {
        "format": FORMAT,
        "packages": {
            "ml4t-backtest": __version__,
            "polars": pl.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "config": config.to_table(),
        "period": {
            # A run that was stopped in its first bar has none that is complete.
            "first": times[0].isoformat() if len(times) else None,
            "last": times[-1].isoformat() if len(times) else None,
            "bars": len(times),
        },
        # JSON has no NaN.
        "metrics": {k: v if math.isfinite(v) else None for k, v in metrics.items()},
        "plans": frames.n_plans,
        "fingerprint": frames.fingerprint,
        "tables": of_frames,
        "strategy_tables": of_strategy,
    }
    facts["checksum"] = _checksum(facts)
    files[_JSON] = json.dumps(facts, indent=2).encode()
    folders.replace_folder(folder, files, overwrite, _is_file_of_table)


def check_place(folder: str | os.PathLike[str], overwrite: bool) -> None:
    """Raise `ValueError` if a result could not be saved in a folder; ask before a long run."""
    folders.check_place(folder, _files(), overwrite, _is_file_of_table)


def load(
    folder: str | os.PathLike[str],
) -> tuple[BacktestConfig, StoredFrames, dict[str, pl.DataFrame]]:
    """Read a result; see `BacktestResult.load`."""
    path = folders.find_folder(folder)
    if not path.is_dir():
        raise ResultError(f"{path}: there is no such folder; pass the one that a result is in")
    if not any((path / name).exists() for name in _files()):
        raise ResultError(
            f"{path}: the folder holds no result, not even {_JSON}; pass the one that a result is "
            "in"
        )
    facts = _read_facts(path / _JSON)
    try:
        config = BacktestConfig.from_table(facts["config"])
    except InputError as error:
        raise ResultError(f"{path / _JSON}: its config cannot be used: {error}") from None
    parts: dict[str, Any] = {
        name: _read_frame(path / f"{name}.parquet", facts["tables"][name]) for name in FRAMES
    }
    frames = StoredFrames(**parts, n_plans=facts["plans"], fingerprint=facts["fingerprint"])
    tables = {
        name: _read_frame(path / _file_of(name), expected)
        for name, expected in facts["strategy_tables"].items()
    }
    return config, frames, tables


def _files() -> list[str]:
    """Return the names of the files of every result."""
    return [_JSON, *(f"{name}.parquet" for name in FRAMES)]


def _file_of(table: str) -> str:
    return f"{_BEFORE}{table}{_AFTER}"


def _is_file_of_table(file_name: str) -> bool:
    """Whether a file may be that of a strategy's table, which an earlier result may have had."""
    has_ends = file_name.startswith(_BEFORE) and file_name.endswith(_AFTER)
    return has_ends and is_table_name(file_name[len(_BEFORE) : -len(_AFTER)])


def _read_facts(path: Path) -> dict[str, Any]:
    """Return what ``result.json`` says, once it is sure that `save` of this format wrote it."""
    try:
        facts = json.loads(_read(path))
    except ValueError as error:
        if isinstance(error, ResultError):
            raise
        raise ResultError(f"{path}: this is not JSON ({error}); {_AGAIN}") from None
    except RecursionError:
        raise ResultError(f"{path}: its values lie too deep in each other; {_AGAIN}") from None
    if not isinstance(facts, dict) or "format" not in facts:
        raise ResultError(f"{path}: this is not the description of a result; {_AGAIN}")
    if facts["format"] != FORMAT:
        raise ResultError(
            f"{path}: its format is {shown(facts['format'])} and this version reads {FORMAT}; load "
            f"it with the version of ml4t-backtest that wrote it ({_writer(facts)})"
        )
    checksum = facts.pop("checksum", None)
    if checksum != _checksum(facts):
        raise ResultError(f"{path}: the file was changed after it was saved; {_AGAIN}")
    return facts


def _writer(facts: dict[str, Any]) -> str:
    packages = facts.get("packages")
    version = packages.get("ml4t-backtest") if isinstance(packages, dict) else None
    return "unknown" if version is None else str(version)


def _read_frame(path: Path, expected: dict[str, Any]) -> pl.DataFrame:
    content = _read(path)
    if hashlib.sha256(content).hexdigest() != expected["sha256"]:
        raise ResultError(
            f"{path}: the file is not as it was saved: it was cut short or changed; {_AGAIN}"
        )
    frame = pl.read_parquet(io.BytesIO(content))
    if frame.height != expected["rows"]:
        raise ResultError(
            f"{path}: {frame.height} rows where {expected['rows']} were saved; {_AGAIN}"
        )
    return frame


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ResultError(
            f"{path}: the file of the result cannot be read ({error.strerror}); {_AGAIN}"
        ) from None


def _checksum(facts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
