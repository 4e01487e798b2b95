"""The pages for those who come from another engine run where that engine is installed.

``make test-peers`` makes the environments that have them.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import doc_pages

PAGES = {page.stem: page for page in doc_pages.COMING_FROM}
#: Money and the like, with cents, and percentages: 1,234.56 and 2.11 %.
MONEY = re.compile(r"(?<![\d.])(\d{1,3}(?:,\d{3})*\.\d\d)(?![\d.]| %)")
PERCENT = re.compile(r"(\d+)\.(\d\d) %")


# Other people's modules warn of what will change in those that they use; ours must not.
@pytest.mark.filterwarnings("ignore:::(backtrader|bt|ffn|vectorbt|zipline|pandas)")
@pytest.mark.parametrize("name", PAGES)
def test_page(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # zipline has its data in files
    doc_pages.run(doc_pages.program_of(PAGES[name]), doc_pages.name_of(PAGES[name]))


def quoted(page: Path) -> list[str]:
    """The numbers of the text of a page, as the code would have them."""
    text = doc_pages.BLOCK.sub("", page.read_text(encoding="utf-8"))
    money = [number.replace(",", "_") for number in MONEY.findall(text)]
    return [*money, *(f"0.{int(whole):02d}{part}" for whole, part in PERCENT.findall(text))]


@pytest.mark.parametrize("name", PAGES)
def test_text_quotes_what_the_code_asserts(name: str) -> None:
    code, numbers = doc_pages.program_of(PAGES[name]), quoted(PAGES[name])
    assert len(numbers) >= 10
    assert [number for number in numbers if not re.search(rf"\b{number}\b", code)] == []


def test_the_index_quotes_the_pages() -> None:
    code = "\n".join(doc_pages.program_of(page) for page in PAGES.values())
    numbers = quoted(doc_pages.DOCS / "coming-from" / "index.md")
    assert len(numbers) == 6
    assert [number for number in numbers if not re.search(rf"\b{number}\b", code)] == []
