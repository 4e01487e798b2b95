"""A real browser, and the pages that it opens."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ml4t.backtest import BacktestConfig, BacktestResult, DataFeed, run_provider
from ml4t.backtest.costs import PercentCommission, PercentSlippage
from ml4t.backtest.errors import RebalanceWarning
from ml4t.backtest.optimizers import EqualWeights

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
#: Milliseconds that a page may take to be ready before a test fails.
PATIENCE = 60_000


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """The system's chromium without a window."""
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason='needs playwright; run: pip install "playwright"'
    )
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(f"needs one of {', '.join(NAMES)}; run: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        # Without its sandbox, which does not work for root.
        found = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield found
        found.close()


@dataclass
class Opened:
    """A page and what happened in it."""

    page: Any
    troubles: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def show_all(self) -> None:
        """Scroll through the page, so that every chart is drawn."""
        self.page.evaluate(
            """async () => {
                for (let y = 0; y < document.documentElement.scrollHeight; y += 400) {
                    window.scrollTo(0, y);
                    await new Promise(requestAnimationFrame);
                    await new Promise((done) => setTimeout(done, 30));
                }
                window.scrollTo(0, 0);
            }"""
        )

    def texts(self, selector: str) -> list[str]:
        """The texts of all elements, with plain blanks."""
        found = self.page.locator(selector).all_inner_texts()
        return [text.replace("\N{NO-BREAK SPACE}", " ") for text in found]


@pytest.fixture
def opened(browser: Any) -> Callable[..., Any]:
    """Open a file: ``with opened(path, width=390, scheme="dark") as it``; nothing may go wrong."""

    @contextmanager
    def open_file(path: Path, width: int = 1280, scheme: str = "light") -> Iterator[Opened]:
        is_phone = width < 600
        context = browser.new_context(
            viewport={"width": width, "height": 844 if is_phone else 900},
            color_scheme=scheme,
            has_touch=is_phone,
            is_mobile=is_phone,
        )
        it = Opened(context.new_page())
        it.page.on("console", lambda message: it.troubles.append(message.text))
        it.page.on("pageerror", lambda error: it.troubles.append(str(error)))
        it.page.on("dialog", lambda dialog: it.troubles.append(dialog.message))
        it.page.on("request", lambda request: it.requests.append(request.url))
        it.page.goto(path.as_uri())
        it.page.wait_for_selector("body[data-state=ready]", timeout=PATIENCE)
        try:
            yield it
            assert it.troubles == []
            assert [
                url for url in it.requests if not url.startswith(("file:", "data:", "blob:"))
            ] == []
        finally:
            context.close()

    return open_file


@pytest.fixture(scope="session")
def stocks() -> BacktestResult:
    """Equal weights of 20 stocks at every month end of 33 years, with costs."""
    datasets = pytest.importorskip("skfolio.datasets")
    feed = DataFeed.from_wide(datasets.load_sp500_dataset())
    config = BacktestConfig(commission=PercentCommission(0.001), slippage=PercentSlippage(0.001))
    with warnings.catch_warnings():
        # Small drifts are below the threshold, as they are meant to be.
        warnings.simplefilter("ignore", RebalanceWarning)
        return run_provider(feed, EqualWeights(), "month_end", config)


@pytest.fixture(scope="session")
def stocks_page(stocks: BacktestResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the stocks."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    return stocks.report(path, benchmark="JNJ", title="Equal weights of 20 stocks")
