"""`preview`: the plan of today with its reasons in words, and what its files may hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ml4t.backtest.cli import main

Capture = pytest.CaptureFixture[str]

HOLDINGS = "asset,quantity\ncash,1000\nA,300\nB,100\nC,80\n"
PRICES = "asset,close\nA,10\nB,20\nC,50\nD,7\n"
# Equity 1000 + 3000 + 2000 + 4000 = 10 000. A is at 30 % already. B is at 20 %, and 0.5 % more is
# below the threshold of 1 %. C is closed. 0.1 * 10 000 / 7 = 142.857, so 142 D for 994.
WEIGHTS = "asset,weight\nA,0.3\nB,0.205\nC,0\nD,0.1\n"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("holdings.csv").write_text(HOLDINGS)
    Path("prices.csv").write_text(PRICES)
    Path("weights.csv").write_text(WEIGHTS)


def refused(capsys: Capture) -> str:
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: ")
    assert shown.err.count("\n") == 1
    return shown.err


def told(capsys: Capture) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_the_table(capsys: Capture) -> None:
    assert main(["preview"]) == 3
    shown = capsys.readouterr()
    assert shown.out.splitlines() == [
        "asset  held  price     now  target  order      value  why",
        "A       300  10.00  30.00%  30.00%                    at its target already",
        "B       100  20.00  20.00%  20.50%                    the change of weight is below "
        "min_weight_change",
        "C        80  50.00  40.00%   0.00%    -80  -4,000.00  an order is sent",
        "D             7.00   0.00%  10.00%   +142    +994.00  an order is sent",
        "",
        "equity          10,000.00",
        "cash            1,000.00",
        # 4994 / 2 / 10 000
        "orders          2, turnover 24.97%",
        "estimated cost  0.00",
        # 1000 + 4000 - 994
        "cash after      4,006.00",
    ]
    assert shown.err == ""


def test_json(capsys: Capture) -> None:
    assert main(["preview", "--json"]) == 3
    plan = told(capsys)
    assert plan["orders"] == [
        {"asset": "C", "side": "sell", "quantity": 80.0},
        {"asset": "D", "side": "buy", "quantity": 142.0},
    ]
    assert plan["equity"] == 10_000.0
    assert plan["cash_after"] == 4_006.0
    assert plan["is_short_of_cash"] is False
    assert plan["prices_of"] is None
    assert [row["reason"] for row in plan["rows"]] == [
        "at_target",
        "weight_change_too_small",
        "ordered",
        "ordered",
    ]
    assert [row["held"] for row in plan["rows"]] == [300.0, 100.0, 80.0, 0.0]
    assert len(plan["plan_id"]) == 64


def test_nothing_is_skipped(capsys: Capture) -> None:
    Path("weights.csv").write_text(WEIGHTS.replace("0.205", "0.2"))
    assert main(["preview"]) == 0
    assert "min_weight_change" not in capsys.readouterr().out


def config(text: str) -> None:
    Path("config.toml").write_text(f"[backtest.rebalance]\n{text}\n")


@pytest.mark.parametrize(
    ("rule", "weights", "why"),
    [
        ("max_single_weight = 0.25", "A,0.3", "an order is sent; the weight was cut to max_sin"),
        ("", "A,1.0\nB,0.5", "an order is sent; all weights were scaled to the exposure that is"),
        ("", "A,-0.1", "an order is sent; the weight was negative and counts as 0"),
        ('unmentioned = "hold"', "D,0.1", "not in the targets, and left alone as unmentioned='hol"),
        ("min_trade_value = 1100.0", "A,0.2\nB,0.2\nC,0.4", "the change is worth less than min_t"),
    ],
)
def test_what_counts_as_skipped_or_cut(rule: str, weights: str, why: str, capsys: Capture) -> None:
    config(rule)
    Path("weights.csv").write_text(f"asset,weight\n{weights}\n")
    assert main(["preview"]) == 3
    assert why in capsys.readouterr().out


def test_cash_that_does_not_suffice(capsys: Capture) -> None:
    # 100 shares for all the cash, and a commission of 1 % on top.
    Path("holdings.csv").write_text("asset,quantity\ncash,1000\n")
    Path("weights.csv").write_text("asset,weight\nA,1.0\n")
    Path("costs.toml").write_text('[backtest.commission]\nkind = "percent"\nrate = 0.01\n')
    assert main(["preview"]) == 0
    capsys.readouterr()
    assert main(["preview", "--config", "costs.toml"]) == 3
    shown = capsys.readouterr().out
    assert "estimated cost  10.00\ncash after      -10.00\ncash does not suffice" in shown
    assert main(["preview", "--config", "costs.toml", "--json"]) == 3
    assert told(capsys)["is_short_of_cash"] is True


def test_cash_that_is_owed_and_nothing_bought(capsys: Capture) -> None:
    # What is sold does not need cash: 10 are sold, and 100 stay owed.
    Path("holdings.csv").write_text("asset,quantity\ncash,-200\nA,100\n")
    Path("weights.csv").write_text("asset,weight\nA,0\n")
    assert main(["preview", "--json"]) == 0
    assert told(capsys)["cash_after"] == 800.0


def test_much_that_is_skipped_is_warned_of(capsys: Capture) -> None:
    config("min_weight_change = 0.2")
    assert main(["preview"]) == 3
    assert capsys.readouterr().err == (
        "warning: the rebalance skips increases of 10.5% of equity because of "
        "min_weight_change=0.2; lower the threshold if these positions are wanted\n"
    )


def test_what_is_neither_held_nor_wanted_is_left_out(capsys: Capture) -> None:
    Path("weights.csv").write_text("asset,weight\nA,0.3\nB,0.2\nC,0.4\nD,0\n")
    assert main(["preview"]) == 0
    shown = capsys.readouterr().out
    assert "\nD " not in shown
    assert "and 1 that are neither held nor wanted\n" in shown


# ---------------------------------------------------------------------- files


def test_the_last_bar_and_the_last_row(capsys: Capture) -> None:
    days = "2024-01-02,9,21,49,7\n2024-01-03,10,20,50,7\n"
    Path("prices.csv").write_text(f"date,A,B,C,D\n{days}")
    Path("weights.csv").write_text(
        # The last line asks for nothing: no rebalance.
        "date,A,B,C,D\n2024-01-02,1,0,0,0\n2024-01-03,0.3,0.205,0,0.1\n2024-01-04,,,,\n"
    )
    assert main(["preview", "--json"]) == 3
    plan = told(capsys)
    assert (plan["equity"], plan["cash_after"]) == (10_000.0, 4_006.0)
    assert plan["prices_of"] == plan["weights_of"] == "2024-01-03T00:00:00"
    assert main(["preview"]) == 3
    assert "\nprices of       2024-01-03\nweights of      2024-01-03\n" in capsys.readouterr().out


def test_an_asset_without_a_bar_today(capsys: Capture) -> None:
    # C has no price now, is worth its last one, and cannot be sold.
    Path("prices.csv").write_text("date,A,B,C,D\n2024-01-02,9,21,50,7\n2024-01-03,10,20,,7\n")
    assert main(["preview", "--json"]) == 3
    plan = told(capsys)
    assert plan["equity"] == 10_000.0
    row = plan["rows"][2]
    assert (row["reason"], row["price"]) == ("no_price", None)
    assert row["why"] == "there is no price to trade at"


def test_files_of_other_makes(capsys: Capture) -> None:
    Path("holdings.csv").write_text("Ticker;Quantity\nCash;1.000,00\nA;300\nB;100\nC;80,0\n")
    symbols = ["A", "B", "C", "D"]
    pl.DataFrame({"symbol": symbols, "close": [10.0, 20.0, 50.0, 7.0]}).write_parquet("p.parquet")
    weights = [0.3, 0.205, 0.0, 0.1]
    pl.DataFrame([weights], schema=symbols, orient="row").write_parquet("w.parquet")
    assert main(["preview", "--prices", "p.parquet", "--weights", "w.parquet", "--json"]) == 3
    assert told(capsys)["cash_after"] == 4_006.0


def test_the_config_names_the_files(capsys: Capture) -> None:
    folder = Path("study")
    folder.mkdir()
    for name in ("prices.csv", "weights.csv"):
        Path(name).rename(folder / name)
    (folder / "config.toml").write_text('prices = "prices.csv"\nweights = "weights.csv"\n')
    assert main(["preview", "--config", "study/config.toml", "--json"]) == 3
    assert told(capsys)["cash_after"] == 4_006.0


def test_cash_as_an_option(capsys: Capture) -> None:
    Path("holdings.csv").write_text(HOLDINGS.replace("cash,1000\n", ""))
    assert main(["preview", "--cash", "1000", "--json"]) == 3
    assert told(capsys)["cash_after"] == 4_006.0


def test_an_asset_that_is_called_cash(capsys: Capture) -> None:
    # 5 CASH at 100 instead of 50 of the cash; the rest is money.
    Path("prices.csv").write_text(PRICES + "CASH,100\n")
    Path("weights.csv").write_text(WEIGHTS + "CASH,0.05\n")
    Path("holdings.csv").write_text(HOLDINGS.replace("cash,1000", "cash,500\nCASH,5"))
    assert main(["preview", "--json"]) == 3
    assert (told(capsys)["equity"]) == 10_000.0
    Path("holdings.csv").write_text(HOLDINGS.replace("cash,1000", "CASH,5"))
    assert main(["preview"]) == 2
    assert "has no row for cash, and no asset of the prices counts as one" in refused(capsys)
    assert main(["preview", "--cash", "500", "--json"]) == 3
    assert told(capsys)["equity"] == 10_000.0


@pytest.mark.parametrize(
    ("day", "said"),
    [
        # 28 days of October, 30, 31, and 3 of January.
        ("2023-10-03", ""),
        ("2023-10-02", "of 2023-10-02, 93 days before the last prices, 2024-01-03; see whether"),
    ],
)
def test_weights_of_another_time(day: str, said: str, capsys: Capture) -> None:
    Path("prices.csv").write_text("date,A,B,C,D\n2024-01-03,10,20,50,7\n")
    Path("weights.csv").write_text(f"date,A,B,C,D\n{day},0.3,0.2,0,0.1\n")
    assert main(["preview"]) == (3 if said else 0)
    warned = capsys.readouterr().err
    assert warned.startswith("warning: ") == bool(said)
    assert said in warned
    assert main(["preview", "--json"]) == (3 if said else 0)
    assert told(capsys)["are_weights_old"] is bool(said)


def test_weights_that_are_later_than_the_prices(capsys: Capture) -> None:
    Path("prices.csv").write_text("date,A,B,C,D\n2024-01-03,10,20,50,7\n")
    Path("weights.csv").write_text("date,A,B,C,D\n2024-01-04,0.3,0.2,0,0.1\n")
    assert main(["preview"]) == 2
    assert refused(capsys) == (
        "error: weights: the last of 'weights.csv' are of 2024-01-04, later than the last prices, "
        "2024-01-03; add the prices since then\n"
    )


@pytest.mark.parametrize(
    ("content", "at"),
    [
        ("asset,weight\nA,40\nB,10\nC,45\n", ""),
        ("date,A,B,C\n2024-01-02,0.4,0.1,0.45\n2024-01-03,40,10,45\n", " at 2024-01-03 00:00:00"),
    ],
)
def test_weights_in_percent(content: str, at: str, capsys: Capture) -> None:
    Path("weights.csv").write_text(content)
    if at:
        Path("prices.csv").write_text("date,A,B,C\n2024-01-03,10,20,50\n")
    assert main(["preview"]) == 2
    assert refused(capsys) == (
        f"error: weights.csv{at}: weights sum to 95: are they percent? divide them by 100\n"
    )


# ---------------------------------------------------------------------- bad input

BAD: dict[str, tuple[str, str, str]] = {
    "an unknown asset is held": (
        "holdings.csv",
        HOLDINGS + "AA,5\n",
        "holdings: the prices have no 'AA' (nearest: 'A') of 'holdings.csv'; correct the name",
    ),
    "an unknown asset is wanted": (
        "weights.csv",
        WEIGHTS + "AA,0.1\n",
        "weights: 'AA' (nearest: 'A') are not assets of the feed; drop them or add their prices",
    ),
    "a negative price": (
        "prices.csv",
        PRICES.replace("C,50", "C,-50"),
        "prices: C=-50 in 'prices.csv' must be above 0; leave a price empty where there is none",
    ),
    "a price of zero": ("prices.csv", PRICES.replace("C,50", "C,0"), "C=0 in 'prices.csv' must be"),
    "a negative price in a panel": (
        "prices.csv",
        "date,A,B,C,D\n2024-01-03,10,20,-50,7\n",
        "prices: zero or negative prices: 1, the first: 2024-01-03 00:00:00 C close=-50",
    ),
    "a price that is a word": (
        "prices.csv",
        PRICES.replace("C,50", "C,much"),
        "prices: strings in number column 'close': 1, the first: C 'much'",
    ),
    "a held asset without a price": (
        "prices.csv",
        PRICES.replace("C,50", "C,"),
        "holdings: no price yet for 'C', of which some is held; add one to the prices",
    ),
    "a quantity that is a word": (
        "holdings.csv",
        HOLDINGS.replace("A,300", "A,many"),
        "holdings: strings in number column 'quantity': 1, the first: A 'many'",
    ),
    "a quantity that is not there": (
        "holdings.csv",
        HOLDINGS.replace("A,300", "A,"),
        "holdings: no quantity for 'A' in 'holdings.csv'; write one",
    ),
    "a quantity below nothing": (
        "holdings.csv",
        HOLDINGS.replace("A,300", "A,-300"),
        "holdings: A=-300 in 'holdings.csv' must not be below 0; an account holds no short",
    ),
    "an asset twice": (
        "holdings.csv",
        HOLDINGS + "A,1\n",
        "holdings: more than one row for 'A'; keep one each",
    ),
    "no asset in a row": ("holdings.csv", HOLDINGS + " ,1\n", "holdings: row 5 names no asset"),
    "no cash": ("holdings.csv", HOLDINGS.replace("cash,1000\n", ""), "or pass --cash"),
    "cash twice": ("holdings.csv", HOLDINGS + "CASH,5\n", "has more than one row for cash"),
    "no column quantity": (
        "holdings.csv",
        HOLDINGS.replace("quantity", "shares"),
        "holdings: no column quantity; columns found: 'asset', 'shares'. Rename it in the file",
    ),
    "an empty file": ("holdings.csv", "", "holdings: the file 'holdings.csv' is empty"),
    "empty prices": ("prices.csv", "", "prices: the file 'prices.csv' is empty"),
    "empty weights": ("weights.csv", "", "weights: the file 'weights.csv' is empty"),
    "no weights": ("weights.csv", "asset,weight\n", "weights: 'weights.csv' has no rows"),
    "a weight that is a word": ("weights.csv", "asset,weight\nA,half\n", "A='half'"),
    "a weight twice": ("weights.csv", WEIGHTS + "A,0.1\n", "weights: 'A' appear more than once"),
    "a config of another make": ("config.toml", "name = 'x'\n", "config.toml: name is unknown"),
    "a rule against it": (
        "config.toml",
        'prices="prices.csv"\nweights="w.csv"\n[backtest.rebalance]\nunmentioned = "error"\n',
        "'B', 'C' are held but not in the targets, and unmentioned='error'",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case: str, capsys: Capture) -> None:
    name, content, words = BAD[case]
    Path("w.csv").write_text("asset,weight\nA,0.1\n")
    Path(name).write_text(content)
    assert main(["preview"]) == 2
    assert words in refused(capsys)


@pytest.mark.parametrize("option", ["holdings", "prices", "weights", "config"])
def test_no_such_file(option: str, capsys: Capture) -> None:
    assert main(["preview", f"--{option}", "nothing.here"]) == 2
    assert "No such file or directory" in refused(capsys)


def test_both_kinds_of_cash_and_none_that_is_a_number(capsys: Capture) -> None:
    assert main(["preview", "--cash", "5"]) == 2
    assert "has a row 'cash', and --cash is given too" in refused(capsys)
    Path("holdings.csv").write_text("asset,quantity\nA,300\n")
    assert main(["preview", "--cash", "nan"]) == 2
    assert "cash nan is not a finite number" in refused(capsys)
