"""Settings from any values, tables and texts: what was meant, or a `ConfigError`."""

from __future__ import annotations

import tempfile
import tomllib
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from hypothesis import example, given, settings
from hypothesis import strategies as st

from helpers import attempt
from ml4t.backtest import (
    BacktestConfig,
    RebalanceConfig,
)
from ml4t.backtest.costs import (
    FixedCommission,
    FixedSlippage,
    NoCommission,
    NoSlippage,
    PercentCommission,
    PercentSlippage,
    PerShareCommission,
)
from ml4t.backtest.errors import (
    ConfigError,
    InputError,
)
from property.strategies import ANYTHING, ODD_NUMBERS

RATES = st.floats(0.0, 1.0, exclude_max=True)
AMOUNTS = st.floats(0.0, 1e300)
POSITIVE = st.floats(0.0, exclude_min=True, allow_infinity=False)
COMMISSIONS = st.one_of(
    st.just(NoCommission()),
    st.builds(PercentCommission, RATES),
    st.builds(PerShareCommission, AMOUNTS, AMOUNTS, st.none() | RATES),
    st.builds(FixedCommission, AMOUNTS),
)
SLIPPAGES = st.one_of(
    st.just(NoSlippage()), st.builds(PercentSlippage, RATES), st.builds(FixedSlippage, AMOUNTS)
)
CHOICES = {
    "execution_mode": ("next_bar", "same_bar"),
    **{
        name: get_args(field.annotation)
        for kind in (BacktestConfig, RebalanceConfig)
        for name, field in kind.model_fields.items()
        if get_origin(field.annotation) is Literal
    },
}


def _right_value(name: str, default: object) -> st.SearchStrategy[Any]:
    """Values of a field that are allowed."""
    if name in CHOICES:
        return st.sampled_from(CHOICES[name])
    if name == "lot_size":
        return st.integers(1, 2**31 - 1)
    if isinstance(default, bool):
        return st.booleans()
    return st.none() | POSITIVE if default is None else POSITIVE


def _fields(kind: type) -> dict[str, st.SearchStrategy[Any]]:
    own = {"commission": COMMISSIONS, "slippage": SLIPPAGES, "rebalance": RULES_OF_NONE}
    return {
        name: own.get(name, _right_value(name, field.default))
        for name, field in kind.model_fields.items()
    }


RULES_OF_NONE: st.SearchStrategy[Any] = st.just(RebalanceConfig())


def _allowed_together(values: dict[str, Any]) -> bool:
    return not (
        values.get("rounding") == "min_tracking_error"
        and values.get("allow_fractional", False)
        and not values.get("round_lots", False)
    )


RULES = (
    st.fixed_dictionaries({}, optional=_fields(RebalanceConfig))
    .filter(_allowed_together)
    .map(lambda values: RebalanceConfig(**values))
)
CONFIGS = st.fixed_dictionaries({}, optional=_fields(BacktestConfig) | {"rebalance": RULES}).map(
    lambda values: BacktestConfig(**values)
)


@settings(max_examples=150, deadline=None)
@given(CONFIGS)
def test_a_config_is_written_and_read_back(config: BacktestConfig) -> None:
    text = config.to_toml()
    assert BacktestConfig.from_toml(text) == config
    # another reader finds the same numbers in it
    table = tomllib.loads(text)
    assert table["initial_cash"] == config.initial_cash
    assert table["rebalance"]["lot_size"] == config.rebalance.lot_size
    assert table.get("max_participation") == config.max_participation


@st.composite
def _keywords(draw: Any) -> tuple[type, dict[str, Any]]:
    """Keywords of a config, right and wrong, known and unknown."""
    kind = draw(st.sampled_from([BacktestConfig, RebalanceConfig]))
    right = _fields(kind)
    names = draw(st.lists(st.sampled_from(sorted(right)), max_size=4, unique=True))
    values = {name: draw(st.one_of(right[name], ANYTHING)) for name in names}
    unknown = draw(
        st.none() | st.text(max_size=12) | st.sampled_from(["lotsize", "cash", "params"])
    )
    if unknown is not None:
        values[unknown] = draw(ANYTHING)
    return kind, values


@settings(max_examples=300, deadline=None)
@given(_keywords())
def test_any_fields_of_a_config(given_: tuple[type, dict[str, Any]]) -> None:
    kind, values = given_
    config, refusal = attempt(lambda: kind(**values), ConfigError)
    if refusal:
        assert any(name in refusal for name in [*values, "min_tracking_error"])
        return
    assert set(values) <= set(kind.model_fields)
    if kind is BacktestConfig:
        assert config.costs.params is not None
        assert BacktestConfig.from_toml(config.to_toml()) == config
    else:
        assert config.params.step >= 0


COST_TABLES = st.one_of(
    *(
        st.fixed_dictionaries(
            {"kind": st.just(kind), name: ODD_NUMBERS | ANYTHING},
            optional={"minimum": ODD_NUMBERS, 5: ODD_NUMBERS},
        )
        for kind, name in {
            "percent": "rate",
            "per_share": "per_share",
            "fixed": "per_order",
        }.items()
    )
)
PLAIN = st.one_of(
    ANYTHING, st.dictionaries(st.text(max_size=6) | st.integers(), ANYTHING, max_size=3)
)
TABLE_NAMES = st.sampled_from([*BacktestConfig.model_fields, "kind", "rate"])


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(
        PLAIN,
        st.dictionaries(TABLE_NAMES | st.integers(), PLAIN, max_size=3),
    )
)
def test_any_table(table: Any) -> None:
    config, refusal = attempt(lambda: BacktestConfig.from_table(table), InputError)
    if refusal:
        return
    assert BacktestConfig.from_table(config.to_table()) == config


@settings(max_examples=200, deadline=None)
@given(COST_TABLES)
def test_any_cost(table: dict[Any, Any]) -> None:
    config, refusal = attempt(lambda: BacktestConfig.from_table({"commission": table}), InputError)
    if refusal:
        return
    assert {"kind": str(config.commission.kind), **vars(config.commission)}.items() >= table.items()


FULL = BacktestConfig(
    execution_mode="same_bar",
    commission=PerShareCommission(0.005, 1.0, 0.01),
    slippage=PercentSlippage(0.001),
    max_participation=0.1,
    rebalance=RebalanceConfig(max_gross_exposure=1.5, ignore_if_cost_exceeds_bps=20.0),
).to_toml()
WORDS = st.sampled_from(
    [
        *("true", "nan", "-inf", "1e999", '"x"', "[1]", "{}", "0x", "1_0", "2024-01-01", "[[", "]"),
        *("=", ".", "9" * 400, "9" * 5_000, "[" * 2_000, "\0", "\ufeff", "#", "\r", "'''"),
    ]
)


@st.composite
def _mutated(draw: Any, text: str) -> str:
    """A document with parts cut out, repeated or replaced."""
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(text)))
        stop = draw(st.integers(start, min(start + 20, len(text))))
        new = draw(
            st.one_of(st.just(""), WORDS, st.text(max_size=3), st.just(text[start:stop] * 2))
        )
        text = text[:start] + new + text[stop:]
    return text[: draw(st.integers(0, len(text)))] if draw(st.booleans()) else text


@st.composite
def _exchanged(draw: Any, text: str) -> str:
    """A document in which some fields have values of another type."""
    lines = text.splitlines()
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(lines) - 1))
        key, sign, _ = lines[at].partition(" = ")
        lines[at] = key + sign + draw(WORDS) if sign else lines[at]
    return "\n".join(lines)


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        _mutated(FULL), _exchanged(FULL), st.text(max_size=30), st.lists(WORDS).map("\n".join)
    )
)
@example("x = " + "{a = " * 3_000)
def test_any_toml(text: str) -> None:
    config, refusal = attempt(lambda: BacktestConfig.from_toml(text + "\n"), InputError)
    if refusal:
        assert refusal.startswith("TOML text: ")
        return
    assert BacktestConfig.from_toml(config.to_toml()) == config


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=40), st.integers(0, len(FULL)))
def test_any_toml_file(content: bytes, at: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.toml"
        path.write_bytes(FULL[:at].encode() + content)
        config, refusal = attempt(lambda: BacktestConfig.from_toml(path), InputError)
    assert "run.toml" in refusal if refusal else isinstance(config, BacktestConfig)
