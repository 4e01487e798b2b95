"""Tables of settings as TOML. docs/decisions/toml.md says why the writer is our own."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml4t.backtest.errors import ConfigError


def read_toml(source: str | os.PathLike[str]) -> tuple[str, dict[str, Any]]:
    """Return a name for messages and the tables of a TOML file or text.

    Parameters
    ----------
    source : path or str
        A path, also as a string of one line that ends in ``.toml``; or the text itself.

    Raises
    ------
    ValueError
        If the file cannot be read or is no TOML.
    """
    if isinstance(source, str) and ("\n" in source or not source.endswith(".toml")):
        where, text = "TOML text", source
    else:
        where, text = str(source), _text_of(source)
    try:
        return where, tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        hint = "; a path ends in .toml or is a pathlib.Path" if text is source else ""
        raise ConfigError(f"{where}: this is not TOML: {error}{hint}") from None


def _text_of(path: str | os.PathLike[str]) -> str:
    try:
        return Path(path).read_bytes().decode("utf-8-sig")
    except TypeError:
        raise ConfigError(f"config: {path!r} is neither a path nor TOML text") from None
    except OSError as error:
        raise ConfigError(f"{path}: the file cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: the file is not UTF-8, which TOML is") from None


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
