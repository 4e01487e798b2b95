"""Parquet and csv files. A csv comes back as text: what a column means decides how to parse it."""

from __future__ import annotations

import csv
import gzip
import zlib
from pathlib import Path

import polars as pl

from ml4t.backtest.errors import DataError, listed
from ml4t.backtest.feed.table import INDEX_COLUMNS, TIME_COLUMNS
from ml4t.backtest.feed.text import is_missing, parse_times

_PARQUET, _GZIP = b"PAR1", b"\x1f\x8b"
_SEPARATORS = (",", ";", "\t", "|")
_REMEDY = "Pass the path of a parquet or csv file, or read it yourself and pass the frame"


def read_file(path: Path, what: str) -> tuple[pl.DataFrame, bool]:
    """Read a parquet or csv file (gzip too); what it is, its content says.

    Returns
    -------
    frame, is_text
        `is_text`: all columns are strings, as a csv has them.

    Raises
    ------
    ValueError
        For a file that is not there, or is neither parquet nor csv.
    """
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{what}: cannot read the file {str(path)!r}: {reason}") from error
    name = f"{what}: the file {str(path)!r}"
    if content[:4] == _PARQUET:
        try:
            frame = pl.read_parquet(content)
        # A broken file makes polars panic, which is no Exception.
        except (Exception, pl.exceptions.PanicException) as error:
            raise DataError(f"{name} is a broken parquet file: {error}. {_REMEDY}") from error
        return _with_time_named(frame, False), False
    if content[:2] == _GZIP:
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{name} is a broken gzip file: {error}. {_REMEDY}") from error
    return _with_time_named(_read_csv(_text_of(content, name), name), True), True


def _with_time_named(frame: pl.DataFrame, is_text: bool) -> pl.DataFrame:
    """Name the times of a pandas index that had no name, unless a column is one of times."""
    if any(label.lower() in TIME_COLUMNS for label in frame.columns):
        return frame
    # A csv begins with its index, a parquet file ends with it.
    for label in dict.fromkeys([*frame.columns[:1], *frame.columns[-1:]]):
        if label.lower() in INDEX_COLUMNS and _holds_times(frame[label], is_text):
            return frame.rename({label: TIME_COLUMNS[0]})
    return frame


def _holds_times(column: pl.Series, is_text: bool) -> bool:
    if not is_text:
        return isinstance(column.dtype, (pl.Date, pl.Datetime))
    try:
        parse_times(column.filter(~is_missing(column)).unique().to_list(), "index")
    except DataError:
        return False
    return not is_missing(column).all()


def _text_of(content: bytes, name: str) -> str:
    """Decode, without a byte order mark."""
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        raise DataError(f"{name} is neither parquet nor UTF-8 text. {_REMEDY}") from None
    if "\0" in text:
        raise DataError(f"{name} is neither parquet nor csv. {_REMEDY}")
    text = text.lstrip("\ufeff\r\n")
    if text.startswith("PK\x03\x04") or text[:1] in ("{", "[", "<"):
        raise DataError(f"{name} is neither parquet nor csv. {_REMEDY}")
    if not text.strip():
        raise DataError(f"{name} is empty; it needs a line of column names, and rows below it")
    return text


def _read_csv(text: str, name: str) -> pl.DataFrame:
    """Read text with whatever separator its first line has; all columns are strings."""
    first, _, rest = text.partition("\n")
    separator = None
    if first.strip().lower().startswith("sep=") and len(first.strip()) == 5:  # as Excel writes it
        separator = first.strip()[4]
        text = rest
        first, _, rest = text.partition("\n")
    if separator is None:
        separator = max(_SEPARATORS, key=first.count)
    if separator not in first:
        raise DataError(
            f"{name}: its first line {first.strip()[:80]!r} has no comma, semicolon, tab or bar "
            f"between columns. {_REMEDY}"
        )
    try:
        header = [
            label.strip() for label in next(csv.reader([first.rstrip("\r")], delimiter=separator))
        ]
        frame = pl.read_csv(
            text.encode(),
            separator=separator,
            infer_schema=False,
            has_header=True,
        )
    except (Exception, pl.exceptions.PanicException) as error:
        raise DataError(
            f"{name} cannot be read as a csv separated by {separator!r}: {error}. {_REMEDY}"
        ) from error
    if len(header) != frame.width:
        raise DataError(
            f"{name}: its first line does not name its {frame.width} columns. {_REMEDY}"
        )
    # An index without a name has none in the file either.
    repeated = {label for label in header if label and header.count(label) > 1}
    if repeated:
        raise DataError(f"{name}: columns {listed(sorted(repeated))} appear more than once")
    taken: set[str] = set()
    for i, label in enumerate(header):
        header[i] = label if label not in taken else f"column_{i}"
        taken.add(header[i])
    if len(taken) < len(header):
        raise DataError(f"{name}: columns {listed(header, 12)} do not differ. {_REMEDY}")
    frame.columns = header
    return frame
