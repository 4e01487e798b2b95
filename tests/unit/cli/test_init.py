"""`init`: files that run as they are, and nothing that is overwritten or half written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ml4t.backtest import BacktestConfig, BacktestResult, RebalanceConfig
from ml4t.backtest.cli import main
from ml4t.backtest.cli.init import FILES
from ml4t.backtest.cli.settings import read_settings
from ml4t.backtest.toml import read_toml

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_in_an_empty_folder(capsys: Capture) -> None:
    assert main(["init"]) == 0
    assert capsys.readouterr().out.split() == list(FILES)
    assert sorted(path.name for path in Path().iterdir()) == sorted(FILES)
    # 2000 + 400 * 100 + 80 * 200 + 84 * 500 = 100 000: bonds are at 40 %, gold at 16 % of 20 %
    # (20 shares of 200), stocks at 42 % of 35 % (14 shares of 500).
    assert main(["preview"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"^BONDS .* at its target already$", shown, re.MULTILINE)
    assert re.search(r"^GOLD .* \+20  \+4,000.00  an order is sent$", shown, re.MULTILINE)
    assert re.search(r"^STOCKS .* -14  -7,000.00  an order is sent$", shown, re.MULTILINE)
    # 15 bps of 11 000
    assert "estimated cost  16.50\n" in shown
    assert main(["run", "config.toml"]) == 0
    # The last decision is that of the last bar, whose orders find no bar to fill in.
    assert "3 requested, 2 executed" in capsys.readouterr().out
    assert BacktestResult.load("results").audit() == []
    assert main(["data", "check", "prices.csv"]) == 0


def test_the_config_has_every_setting_and_its_default(tmp_path: Path) -> None:
    # What is commented out, and is a key with a value, would be read as it stands there.
    text = re.sub(r"^# (\w+ = )", r"\1", FILES["config.toml"], flags=re.MULTILINE)
    path = tmp_path / "config.toml"
    path.write_text(text)
    _, table = read_toml(path)
    backtest: dict[str, Any] = table["backtest"]
    assert set(backtest) == set(BacktestConfig.model_fields)
    assert set(backtest["rebalance"]) == set(RebalanceConfig.model_fields)
    config = read_settings(path).backtest
    # Those of which the default is to have no limit, and what the example sets itself.
    unset = {"max_participation": None, "commission": config.commission}
    unset |= {"slippage": config.slippage}
    unset["rebalance"] = config.rebalance.model_copy(
        update={"max_gross_exposure": None, "ignore_if_cost_exceeds_bps": None}
    )
    assert config.model_copy(update=unset) == BacktestConfig(
        commission=config.commission, slippage=config.slippage
    )


def test_in_another_folder(capsys: Capture) -> None:
    assert main(["init", "studies/first"]) == 0
    shown = capsys.readouterr()
    assert shown.out.split() == [str(Path("studies/first") / name) for name in FILES]
    assert "cd studies/first && ml4t-backtest preview" in shown.err
    assert main(["init", "other", "--quiet"]) == 0
    assert capsys.readouterr().err == ""


def test_nothing_is_overwritten(capsys: Capture) -> None:
    Path("weights.csv").write_text("mine")
    assert main(["init"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "init: 'weights.csv' are in" in shown.err
    assert shown.err.count("\n") == 1
    assert [path.name for path in Path().iterdir()] == ["weights.csv"]
    assert Path("weights.csv").read_text() == "mine"


def test_a_folder_that_is_a_file(capsys: Capture) -> None:
    Path("file").write_text("x")
    assert main(["init", "file/below"]) == 2
    assert "error: init: nothing can be written in 'file/below'" in capsys.readouterr().err


def test_nothing_is_half_written(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Path.open

    def full(self: Path, *arguments: Any, **options: Any) -> Any:
        if self.name == "weights.csv":
            raise OSError(28, "No space left on device")
        return plain(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", full)
    assert main(["init", "new/folder"]) == 2
    assert "(No space left on device)" in capsys.readouterr().err
    assert list(Path().iterdir()) == []
