"""What a user can count on: the names, their documentation, and what an import brings along."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

import ml4t.backtest
from ml4t.backtest import (
    analysis,
    attribution,
    costs,
    enums,
    errors,
    metrics,
    optimizers,
    report,
)

NAMES = [
    "BacktestConfig",
    "BacktestResult",
    "Broker",
    "BrokerLike",
    "DataFeed",
    "Engine",
    "ExecutionMode",
    "Fill",
    "Order",
    "OrderSide",
    "OrderStatus",
    "OrderType",
    "PortfolioSnapshot",
    "Position",
    "RebalanceConfig",
    "RebalancePlan",
    "Strategy",
    "TargetWeightExecutor",
    "Trade",
    "WeightProvider",
    "WeightSchedule",
    "WorkingOrder",
    "__version__",
    "as_weights",
    "plan_rebalance",
    "run_backtest",
    "run_provider",
    "run_weights",
]
OPTIMIZERS = [
    "CallableWeights",
    "DriftTrigger",
    "EqualWeights",
    "FixedWeights",
    "LookaheadReport",
    "SkfolioWeights",
    "WeightStrategy",
    "check_lookahead",
    "decision_bars",
    "every",
    "from_cross_val_predict",
    "on_dates",
]
ATTRIBUTION = ["Bridge", "account_size_curve", "threshold_curve"]
REPORT = ["ResultPlots", "account_size_figure", "compare_report", "threshold_figure"]
ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src" / "ml4t" / "backtest"
#: Packages that only an extra brings, or that would make every import slow.
NOT_IMPORTED = (
    "pandas",
    "pyarrow",
    "plotly",
    "jinja2",
    "matplotlib",
    "skfolio",
    "sklearn",
    "dask",
    "distributed",
    "rich",
    "typer",
    "pypfopt",
    "riskfolio",
    "cvxpy",
)
#: What the library makes and hands out: the text says what is in it, not how it is made.
HANDED_OUT = {
    "BacktestResult",
    "Benchmark",
    "Bridge",
    "Drawdowns",
    "Fill",
    "Interval",
    "LookaheadReport",
    "MonthlyReturns",
    "Order",
    "Position",
    "RebalancePlan",
    "Trade",
    "Tracking",
}
#: A member for our own executor; it says its arguments in prose.
INTERNAL = {"Broker.plan_inputs"}


def public() -> Iterator[tuple[str, Any]]:
    """Every public class and function by name."""
    for name in ml4t.backtest.__all__:
        if name != "__version__":
            yield name, getattr(ml4t.backtest, name)
    for face in (optimizers, attribution, analysis, metrics, report):
        for name in face.__all__:
            yield name, getattr(face, name)
    for module in (costs, enums, errors):
        for name, found in vars(module).items():
            is_ours = getattr(found, "__module__", None) == module.__name__
            if is_ours and callable(found) and not name.startswith("_"):
                yield name, found


def members() -> Iterator[tuple[str, Any]]:
    """Every public method and property of them that is written in the package."""
    for name, found in public():
        if not inspect.isclass(found) or getattr(found, "_is_protocol", False):
            continue
        for member, value in vars(found).items():
            inner = getattr(value, "fget", None) or getattr(value, "func", None) or value
            inner = getattr(inner, "__func__", inner)
            if not member.startswith("_") and inspect.isfunction(inner):
                yield f"{name}.{member}", inner


PUBLIC, MEMBERS = dict(public()), dict(members())


def arguments(function: Any) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name not in ("self", "cls")]


def has_section(found: Any, title: str) -> bool:
    return re.search(rf"^{title}\n-+$", inspect.getdoc(found) or "", re.MULTILINE) is not None


def test_names() -> None:
    assert ml4t.backtest.__all__ == NAMES
    assert all(hasattr(ml4t.backtest, name) for name in NAMES)
    assert optimizers.__all__ == OPTIMIZERS
    assert all(hasattr(optimizers, name) for name in OPTIMIZERS)
    assert attribution.__all__ == ATTRIBUTION
    assert all(hasattr(attribution, name) for name in ATTRIBUTION)
    assert report.__all__ == REPORT


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_is_documented(name: str) -> None:
    found = PUBLIC[name]
    assert found.__doc__, f"{name} has no docstring"
    if inspect.isclass(found):
        is_vocabulary = issubclass(found, (Enum, BaseException))
        if is_vocabulary or name in HANDED_OUT or getattr(found, "_is_protocol", False):
            return
        written = "__init__" in vars(found) or "__annotations__" in vars(found)
        if written and arguments(found):
            assert has_section(found, "Parameters"), f"{name}: no section Parameters"
    elif name not in ("listed", "nearest"):
        assert has_section(found, "Parameters"), f"{name}: no section Parameters"
        assert has_section(found, "Returns"), f"{name}: no section Returns"


@pytest.mark.parametrize("name", MEMBERS)
def test_a_public_member_is_documented(name: str) -> None:
    found = MEMBERS[name]
    assert found.__doc__, f"{name} has no docstring"
    if len(arguments(found)) >= 3 and name not in INTERNAL:
        assert has_section(found, "Parameters"), f"{name}: no section Parameters"


def test_an_enum_says_every_member_in_words() -> None:
    tree = ast.parse((SOURCES / "enums.py").read_text(encoding="utf-8"))
    silent = []
    for node in tree.body:
        if not isinstance(node, ast.ClassDef) or node.name == "Coded":
            continue
        for here, after in zip(node.body, [*node.body[1:], None], strict=True):
            if isinstance(here, ast.Assign) and not (
                isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            ):
                silent.append(f"{node.name}.{here.targets[0].id}")  # type: ignore[attr-defined]
    assert silent == []


def test_an_import_brings_no_extra_along() -> None:
    names = "import sys, ml4t.backtest.optimizers"
    code = f"{names}; print([m for m in {NOT_IMPORTED} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_nothing_is_printed() -> None:
    sources = {path.relative_to(SOURCES).as_posix(): path for path in SOURCES.rglob("*.py")}
    printing = [
        name
        for name, path in sources.items()
        if any(
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "print"
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        )
    ]
    assert len(sources) > 20
    assert printing == []


def test_ml4t_is_a_namespace() -> None:
    assert not (SOURCES.parent / "__init__.py").exists()
    assert (SOURCES / "py.typed").exists()


def test_every_public_name_has_its_place_in_the_documentation() -> None:
    pages = "\n".join(
        path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs" / "api").glob("*.md"))
    )
    placed = set(re.findall(r"^::: ml4t\.backtest\.(?:\w+\.)*(\w+)$", pages, re.MULTILINE))
    assert {*NAMES, *OPTIMIZERS, *metrics.__all__, *REPORT} - {"__version__"} - placed == set()
