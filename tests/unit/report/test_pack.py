"""The data of a page: small, exact enough, and the same after it is unpacked."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from ml4t.backtest.errors import BacktestError
from ml4t.backtest.report import style
from ml4t.backtest.report.pack import Packer, figure_note, zipped
from report_pages import _array

DAY = 86_400_000.0


def unpacked(packer: Packer) -> list[dict[str, str]]:
    content = json.loads(gzip.decompress(base64.b64decode(packer.compressed({}))))
    arrays: list[dict[str, str]] = content["arrays"]
    return arrays


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (np.array([1.0, 2.0, -3.0]), "i4", [1, 2, -3]),
        # Nobody reads decimals of what is large; 2 ** 31 does not fit.
        (np.array([123_456.7, 0.2]), "i4", [123_457, 0]),
        (np.array([2.0**31, 0.5]), "f8", [2.0**31, 0.5]),
        (np.array([0.5, np.nan]), "f4", [0.5, np.nan]),
        (np.array([1.0, np.nan]), "f4", [1.0, np.nan]),
        (np.array([1, 2], np.int64), "i4", [1, 2]),
        # 1970-01-02 and -04 in milliseconds
        (np.array(["1970-01-02", "1970-01-04"], "M8[ns]"), "dt", [DAY, 3 * DAY]),
        (np.array(["1970-01-02", "NaT"], "M8[ns]"), "f8", [DAY, np.nan]),
        (np.zeros(0), "i4", []),
    ],
)
def test_an_array_comes_back(values: Any, kind: str, expected: list[float]) -> None:
    packer = Packer()
    assert packer.array(values) == {"$": 0}
    (found,) = unpacked(packer)
    assert found["dtype"] == kind
    np.testing.assert_array_equal(_array(**found), expected)


def test_an_equal_array_is_kept_once() -> None:
    packer = Packer()
    first = packer.array(np.array([0.5, 1.5]))
    other = packer.array(np.array([0.5, 2.5]))
    assert packer.array(np.array([0.5, 1.5])) == first != other
    assert len(unpacked(packer)) == 2


def test_equal_bytes_of_another_kind_are_another_array() -> None:
    packer = Packer()
    # A float32 of zeros and an int32 of zeros have the same bytes; NaN makes no integer.
    times = packer.array(np.array(["1970-01-01"], "M8[ms]"))
    assert packer.array(np.array([0.0])) != times


def test_texts_are_kept_once() -> None:
    packer = Packer()
    found = packer.texts(["b", None, "a", "b"])
    assert found == {"names": ["b", "a"], "codes": {"$": 0}}
    assert _array(**unpacked(packer)[0]) == [0, -1, 1, 0]


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(BacktestError, match="an array of object"):
        Packer().array(np.array(["a"], object))


def test_a_figure_loses_its_title_and_keeps_the_rest() -> None:
    figure = style.new_figure("Title", note="Points are left out.", height=300)
    figure.add_trace(go.Scatter(x=np.array(["1970-01-02"], "M8[ms]"), y=np.array([0.25])))
    figure.add_trace(go.Heatmap(z=np.array([[0.5, np.nan], [1.0, 2.0]]), x=["a", "b"]))
    packer = Packer()
    found = packer.figure(figure)
    assert figure_note(figure) == "Points are left out."
    assert "title" not in found["layout"]
    assert "template" not in found["layout"]
    assert found["layout"]["height"] == 300
    assert found["data"][0]["x"] == {"$": 0}
    assert [_array(**part) for part in unpacked(packer)] == [[DAY], [0.25]]
    assert found["data"][1]["z"] == [[0.5, None], [1.0, 2.0]]


def test_the_same_content_gives_the_same_text() -> None:
    assert zipped(b"abc") == zipped(b"abc")
