"""What a strategy keeps itself comes out with the result of the run."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from polars.testing import assert_frame_equal

from helpers import day, feed_of
from ml4t.backtest import BacktestResult, Broker, Engine, Strategy
from ml4t.backtest.errors import ResultError

CLOSE = {"A": [10.0, 12.0, 11.0]}
SEEN = {"timestamp": [day(0), day(1), day(2)], "close": CLOSE["A"]}


class Notes(Strategy):
    """Notes every close; `give` makes what `tables` returns of the notes."""

    def __init__(
        self, give: Callable[[pl.DataFrame], Any], stop: tuple[int, BaseException] | None = None
    ) -> None:
        self.give, self.stop = give, stop
        self.calls: list[str] = []

    def on_start(self, broker: Broker) -> None:
        self.rows: list[dict[str, Any]] = []

    def on_data(self, timestamp: datetime, data: Any, context: Any, broker: Broker) -> None:
        self.rows.append({"timestamp": timestamp, "close": data["A"]["close"]})
        if self.stop is not None and len(self.rows) == self.stop[0]:
            raise self.stop[1]

    def on_end(self, broker: Broker) -> None:
        self.calls.append("on_end")

    def tables(self) -> Any:
        self.calls.append("tables")
        return self.give(pl.DataFrame(self.rows))


def run_of(strategy: Any) -> Engine:
    return Engine(feed_of(CLOSE), strategy)


@pytest.mark.parametrize(
    "make",
    [
        lambda frame: frame,
        lambda frame: frame.lazy(),
        lambda frame: frame.to_arrow(),
        lambda frame: frame.to_pandas(),
        lambda frame: frame.to_pandas().set_index("timestamp"),
    ],
    ids=["polars", "lazy", "pyarrow", "pandas", "pandas with an index"],
)
def test_frames_of_every_make(make: Callable[[pl.DataFrame], Any]) -> None:
    strategy = Notes(lambda frame: {"closes": make(frame)})
    result = run_of(strategy).run()
    assert strategy.calls == ["on_end", "tables"]
    assert list(result.tables) == ["closes"]
    assert type(result.tables["closes"]) is pl.DataFrame
    assert result.tables["closes"].to_dict(as_series=False) == SEEN
    assert result.to_pandas("closes")["close"].tolist() == CLOSE["A"]


def test_a_strategy_without_tables() -> None:
    class Plain:
        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
            pass

    for strategy in (Plain(), Strategy(), Notes(lambda frame: {})):
        assert run_of(strategy).run().tables == {}


def test_every_run_has_its_own_tables() -> None:
    tables: list[dict[str, Any]] = [{"first": pl.DataFrame({"x": [1]})}, {}]
    run = run_of(Notes(lambda frame: tables.pop(0)))
    first, second = run.run(), run.run()
    assert list(first.tables) == ["first"]
    assert second.tables == {}
    with pytest.raises(ValueError, match=r"no frame 'first'; there are 'equity', .*'rebalances'"):
        second.to_pandas("first")


FRAME = pl.DataFrame({"x": [1]})
WRONG: list[tuple[Any, str]] = [
    (None, r"tables: None is not a dict of frames by name; return \{\} where there is nothing"),
    ([FRAME], "tables: a list is not a dict of frames"),
    ({"x": None}, "tables: 'x': None is not a polars, pandas or pyarrow frame"),
    ({"x": [1, 2]}, "tables: 'x': a list is not a polars"),
    ({"x": FRAME["x"]}, "tables: 'x': a Series is not a polars"),
    ({"x": "prices.parquet"}, "tables: 'x': a str is not a polars"),
    ({"x": FRAME, "y": pl.DataFrame({"z": [object()]})}, "tables: 'y': column 'z' has type Object"),
    ({"x": pd.DataFrame([[1, 2]], columns=["a", "a"])}, "tables: 'x': columns 'a' appear more"),
    ({1: FRAME}, "tables: 1 cannot be the name of a table; a name is a letter"),
    ({"": FRAME}, "tables: '' cannot be the name"),
    ({"a b": FRAME}, "tables: 'a b' cannot be the name"),
    ({"../a": FRAME}, r"tables: '\.\./a' cannot be the name"),
    ({"a\n": FRAME}, r"tables: 'a\\n' cannot be the name"),
    ({"größe": FRAME}, "tables: 'größe' cannot be the name"),
    ({"a" * 65: FRAME}, "cannot be the name of a table; .* 64 at most"),
    ({"fills": FRAME}, "tables: 'fills' is the name of a frame that every result has"),
    ({"Equity": FRAME}, "tables: 'Equity' is the name of a frame that every result has"),
    ({"ab": FRAME, "Ab": FRAME}, "tables: 'ab' and 'Ab' differ in the case of letters alone"),
]


@pytest.mark.parametrize(("given", "message"), WRONG)
def test_tables_that_cannot_be(given: Any, message: str) -> None:
    run = run_of(Notes(lambda frame: given))
    with pytest.raises(ValueError, match=message) as caught:
        run.run()
    assert caught.value.__notes__ == [
        "ml4t.backtest: in tables, after the last bar 2 (counted from 0) at 2024-01-03 00:00:00; "
        "engine.result has what happened before"
    ]
    assert run.result.equity.height == 3
    assert run.result.tables == {}


def test_an_attribute_that_is_no_method() -> None:
    strategy = Notes(lambda frame: {})
    strategy.tables = {"x": FRAME}  # type: ignore[method-assign, assignment]
    with pytest.raises(ValueError, match="its attribute `tables` is a dict, not a method"):
        run_of(strategy).run()


def test_names_at_their_limits() -> None:
    names = ["a", "Z9_", "a" * 64, "trade", "con"]
    result = run_of(Notes(lambda frame: dict.fromkeys(names, FRAME))).run()
    assert list(result.tables) == names


@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt])
def test_a_stopped_run_has_what_there_is(kind: type[BaseException]) -> None:
    strategy = Notes(lambda frame: {"closes": frame}, (2, kind("mine")))
    run = run_of(strategy)
    with pytest.raises(kind, match="mine"):
        run.run()
    assert strategy.calls == ["tables"]
    assert run.result.equity.height == 1
    # the strategy had noted the bar in which it raised
    assert run.result.tables["closes"]["close"].to_list() == [10.0, 12.0]


def test_a_stopped_run_whose_tables_fail(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="ml4t.backtest")
    strategy = Notes(lambda frame: {"closes": 1 / 0}, (2, RuntimeError("mine")))
    run = run_of(strategy)
    with pytest.raises(RuntimeError, match="mine"):
        run.run()
    assert run.result.equity.height == 1
    assert run.result.tables == {}
    (_, failed) = caplog.records
    assert failed.getMessage() == "the result has no tables of the strategy: division by zero"


def test_tables_that_raise_are_asked_once() -> None:
    strategy = Notes(lambda frame: {"closes": 1 / 0})
    run = run_of(strategy)
    with pytest.raises(ZeroDivisionError):
        run.run()
    assert strategy.calls == ["on_end", "tables"]
    assert run.result.equity.height == 3


def result_with(**tables: Any) -> BacktestResult:
    return run_of(Notes(lambda frame: tables)).run()


def test_tables_on_disk(tmp_path: Path) -> None:
    tables = {
        "Factors": pl.DataFrame({"at": [day(0)], "name": ["x"], "value": [0.5], "ok": [True]}),
        "nothing": pl.DataFrame(),
        "lists": pl.DataFrame({"picks": [["A", "B"], []]}),
        "labels": pl.DataFrame({"kind": pl.Series(["u", "v"], dtype=pl.Categorical)}),
        "arrow": pa.table({"x": [1, None]}),
    }
    fresh = result_with(**tables)
    fresh.save(tmp_path / "run")
    assert (tmp_path / "run" / "strategy.Factors.parquet").exists()
    loaded = BacktestResult.load(tmp_path / "run")
    assert list(loaded.tables) == list(tables)
    for name, frame in fresh.tables.items():
        assert_frame_equal(loaded.tables[name], frame)
    assert loaded.to_pandas("Factors").equals(fresh.to_pandas("Factors"))
    loaded.save(tmp_path / "again")
    for path in (tmp_path / "run").iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


@pytest.mark.parametrize("damage", ["missing", "changed"])
def test_a_damaged_table(tmp_path: Path, damage: str) -> None:
    result_with(factors=FRAME).save(tmp_path / "run")
    path = tmp_path / "run" / "strategy.factors.parquet"
    content = path.read_bytes()
    path.unlink() if damage == "missing" else path.write_bytes(content[:-1] + b"x")
    with pytest.raises(ResultError, match=r"strategy\.factors\.parquet"):
        BacktestResult.load(tmp_path / "run")


def test_tables_of_an_older_result_go_with_it(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    result_with(old=FRAME).save(folder)
    result_with(new=FRAME).save(folder, overwrite=True)
    assert list(BacktestResult.load(folder).tables) == ["new"]
    assert not (folder / "strategy.old.parquet").exists()
    for name in (
        "strategy.parquet",
        "strategy.my notes.parquet",
        "strategy.notes.csv",
        "x.parquet",
    ):
        (folder / name).write_bytes(b"mine")
        with pytest.raises(ResultError, match="also holds"):
            result_with().save(folder, overwrite=True)
        (folder / name).unlink()
