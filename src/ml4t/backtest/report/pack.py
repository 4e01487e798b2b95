"""What a page draws from, packed: arrays in binary, each once, all of it compressed.

The page unpacks it with what browsers have (DecompressionStream, typed arrays): see
``templates/boot.js``.
"""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml4t.backtest.errors import BacktestError
from ml4t.backtest.report import style

#: Where an array is referred to by its number.
_REFERENCE = "$"
# Seven digits are in a float32: up to here there are two of them behind the point. Nobody reads
# decimals of what is larger.
_MOST_DECIMALS = 1e5
_LARGEST_INT32 = 2**31 - 1


class Packer:
    """Collects the data of one page."""

    def __init__(self) -> None:
        self._arrays: list[dict[str, str]] = []
        self._place: dict[tuple[str, bytes], int] = {}

    def array(self, values: NDArray[Any]) -> dict[str, int]:
        """Return a reference to an array of numbers or times; an equal one is kept once.

        Whole numbers become int32, and so do large ones, without their decimals; others become
        float32. Times become milliseconds since 1970, kept as their differences ("dt"), which are
        nearly all the same. NaN stays.
        """
        kind, small = _small(values)
        content = small.tobytes()
        place = self._place.setdefault((kind, content), len(self._arrays))
        if place == len(self._arrays):
            packed = base64.b64encode(content).decode("ascii")
            self._arrays.append({"dtype": kind, "bdata": packed})
        return {_REFERENCE: place}

    def texts(self, values: Any) -> dict[str, Any]:
        """Return texts as ``names``, each once, and ``codes`` into them; None is code -1."""
        names: dict[str, int] = {}
        codes = [-1 if text is None else names.setdefault(text, len(names)) for text in values]
        return {"names": list(names), "codes": self.array(np.array(codes, np.int64))}

    def figure(self, figure: Any) -> dict[str, Any]:
        """Return a plotly figure as the page draws it.

        Without its title, which is a heading of the page; its subtitle is `figure_note`.
        """
        found = figure.to_plotly_json()
        layout = {k: v for k, v in found["layout"].items() if k not in ("template", "title")}
        is_noted = bool(figure_note(figure))
        room = style.TITLE_HEIGHT + style.NOTE_HEIGHT * is_noted
        layout["margin"] = {**layout["margin"], "t": layout["margin"]["t"] - room}
        return {"data": self._walk(found["data"]), "layout": self._walk(layout)}

    def compressed(self, content: dict[str, Any]) -> str:
        """Return the content and the arrays it refers to as base64 of gzip of JSON."""
        text = json.dumps({"arrays": self._arrays, **content}, separators=(",", ":"))
        return zipped(text.encode())

    def _walk(self, value: Any) -> Any:
        if isinstance(value, dict):
            if "bdata" in value:
                raw = base64.b64decode(value["bdata"])
                flat = np.frombuffer(raw, np.dtype(value["dtype"]))
                # A matrix, of a heat map, is small: it goes as lists.
                return _plain(flat, value["shape"]) if "shape" in value else self.array(flat)
            return {key: self._walk(part) for key, part in value.items()}
        if isinstance(value, np.ndarray):
            return self.array(value) if value.dtype.kind in "iufM" else value.tolist()
        if isinstance(value, (list, tuple)):
            return [self._walk(part) for part in value]
        return value


def figure_note(figure: Any) -> str:
    """Return the subtitle of a figure; empty if it has none."""
    return figure.layout.title.subtitle.text or ""


def zipped(content: bytes) -> str:
    """Return base64 of gzip; the same for the same content at any time."""
    return base64.b64encode(gzip.compress(content, 6, mtime=0)).decode("ascii")


def _small(values: NDArray[Any]) -> tuple[str, NDArray[Any]]:
    """Return a kind of array and its numbers, in few bytes that compress well."""
    if values.dtype.kind == "M":
        moments = values.astype("M8[ms]")
        if np.isnat(moments).any():
            numbers = np.where(np.isnat(moments), np.nan, moments.astype(np.int64))
            return "f8", numbers.astype("<f8")
        return "dt", np.diff(moments.astype(np.int64), prepend=0).astype("<f8")
    if values.dtype.kind not in "iuf":
        raise BacktestError(f"pack: an array of {values.dtype} is not one of numbers or times")
    is_finite = np.isfinite(values)
    largest = float(np.abs(values[is_finite]).max(initial=0.0))
    if is_finite.all() and largest <= _LARGEST_INT32:
        whole = np.rint(values)
        if largest >= _MOST_DECIMALS or (whole == values).all():
            return "i4", whole.astype("<i4")
    kind = "f4" if largest < _MOST_DECIMALS else "f8"
    return kind, values.astype(f"<{kind}")


def _plain(flat: NDArray[Any], shape: str) -> list[Any]:
    matrix = flat.reshape([int(n) for n in shape.split(",")]).astype(object)
    matrix[flat.reshape(matrix.shape) != flat.reshape(matrix.shape)] = None
    listed: list[Any] = matrix.tolist()
    return listed
