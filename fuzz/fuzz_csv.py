"""Bytes as a csv of prices: a feed that keeps its promises, or a `DataError`; nothing else."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["ml4t.backtest.feed"]):
    from ml4t.backtest import DataFeed

from common import run

from helpers import assert_promises
from ml4t.backtest.errors import DataError, DataWarning

SEEDS = [
    b"date,asset,close\n2024-01-01,A,1.5\n2024-01-02,A,1.6\n",
    b"date;ticker;Close;Volume\n01.01.2024;A;1.234,5;1.000.000\n13.01.2024;B;20;\n",
    b"\xef\xbb\xbfsep=;\ndate;A;B\n2024-01-01;1,5;2\n",
    b'timestamp\tsymbol\topen\thigh\tlow\tclose\n1-Jan-2024\tA\t1\t"2"\t0.5\t1\n',
    b"date,A,B\n2024-01-01T00:00Z,1,NA\n2024-07-01 00:00:00+01:00,inf,-1\n",
    "date,asset,close\n2024-01-01,A,1\n".encode("utf-16"),
]
PATH = Path(tempfile.mkdtemp()) / "prices.csv"


def one_input(content: bytes) -> None:
    """Read the bytes as a long and as a wide frame."""
    PATH.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        for make in (DataFeed, DataFeed.from_wide):
            try:
                feed = make(PATH)
            except DataError:
                continue
            assert_promises(feed)


if __name__ == "__main__":
    run(one_input, SEEDS)
