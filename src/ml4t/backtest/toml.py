"""Tables of settings as TOML. docs/decisions/toml.md says why the writer is our own."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml4t.backtest.errors import ConfigError, shown


def read_toml(source: str | os.PathLike[str]) -> tuple[str, dict[str, Any]]:
    """Return a name for messages and the tables of a TOML file or text.

    `BacktestConfig.from_toml` says what `source` may be and what is raised.
    """
    if isinstance(source, str) and ("\n" in source or not source.endswith(".toml")):
        where, text = "TOML text", source
    else:
        where, text = str(source), _text_of(source)
    try:
        return where, tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError, or an integer of thousands of digits
        hint = "; a path ends in .toml or is a pathlib.Path" if text is source else ""
        raise ConfigError(f"{where}: this is not TOML: {error}{hint}") from None
    except RecursionError:
        raise ConfigError(
            f"{where}: its values lie too deep in each other; a config has one level of tables"
        ) from None


def _text_of(path: str | os.PathLike[str]) -> str:
    try:
        return Path(path).read_bytes().decode("utf-8-sig")
    except TypeError:
        raise ConfigError(f"config: {shown(path)} is neither a path nor TOML text") from None
    except OSError as error:
        raise ConfigError(f"{path}: the file cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: the file is not UTF-8, which TOML is; save it so") from None
    except ValueError as error:
        raise ConfigError(f"{shown(path)} is no path ({error}); pass one, or TOML text") from None


def write_toml(table: Mapping[str, Any]) -> str:
    """Return a table of numbers, strings, bools and tables of these as TOML; None is left out."""
    plain = {key: value for key, value in table.items() if not isinstance(value, Mapping)}
    blocks = ["".join(_lines(plain))]
    blocks += [
        "".join([f"[{key}]\n", *_lines(value)])
        for key, value in table.items()
        if isinstance(value, Mapping)
    ]
    return "\n".join(blocks)


def _lines(values: Mapping[str, Any]) -> list[str]:
    # JSON's way to write bools, numbers that are finite and strings is one of TOML's.
    return [f"{key} = {json.dumps(value)}\n" for key, value in values.items() if value is not None]
