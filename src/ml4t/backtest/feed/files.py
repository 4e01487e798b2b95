"""Parquet and csv files. A csv comes back as text: what a column means decides how to parse it."""

from __future__ import annotations

import csv
import gzip
import zlib
from pathlib import Path

import polars as pl

from ml4t.backtest.errors import DataError, listed

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
            return pl.read_parquet(content), False
        # A broken file makes polars panic, which is no Exception.
        except (Exception, pl.exceptions.PanicException) as error:
            raise DataError(f"{name} is a broken parquet file: {error}. {_REMEDY}") from error
    if content[:2] == _GZIP:
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{name} is a broken gzip file: {error}. {_REMEDY}") from error
    return _read_csv(_text_of(content, name), name), True


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
        raise DataError(f"{name} is empty. {_REMEDY}")
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
