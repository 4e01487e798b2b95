# Every target works on a fresh machine with Python 3.11+, make and a package index.
PYTHON ?= python3
VENV := .venv
ifeq ($(OS),Windows_NT)
SCRIPTS := Scripts
else
SCRIPTS := bin
endif
BIN := $(VENV)/$(SCRIPTS)
# One process for each core.
SIDE_BY_SIDE := -n auto --dist worksteal
# Other engines have an environment of their own: they must not decide what versions we test with.
PEERS := .venv-peers
# zipline needs an older pandas than they do.
ZIPLINE := .venv-zipline

.PHONY: help demo test test-peers lint type bench peers docs dist dist-check clean
.DEFAULT_GOAL := help

help:  ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/made:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	@touch $@

$(VENV)/demo: $(VENV)/made pyproject.toml
	$(BIN)/python -m pip install --quiet -e ".[skfolio,cli,report]"
	@touch $@

$(VENV)/dev: $(VENV)/made pyproject.toml
	$(BIN)/python -m pip install --quiet -e ".[dev]"
	@touch $@

$(VENV)/docs: $(VENV)/made pyproject.toml
	$(BIN)/python -m pip install --quiet -e ".[docs]"
	@touch $@

demo: $(VENV)/demo  ## Trade a real optimizer's weights on real prices, and write the report
	$(BIN)/ml4t-backtest demo

test: $(VENV)/dev  ## Run all tests, compiled and once more in plain Python
	$(BIN)/python -m pytest $(SIDE_BY_SIDE)
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest $(SIDE_BY_SIDE) tests/unit

test-peers: $(PEERS)/made $(ZIPLINE)/made  ## Run the pages of docs/coming-from against the other engines
	$(PEERS)/$(SCRIPTS)/python -m pytest -rs tests/parity/test_coming_from.py
	$(ZIPLINE)/$(SCRIPTS)/python -m pytest -rs tests/parity/test_coming_from.py

lint: $(VENV)/dev  ## Check style and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

type: $(VENV)/dev  ## Check types
	$(BIN)/mypy

$(PEERS)/made: pyproject.toml
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/$(SCRIPTS)/python -m pip install --quiet --upgrade pip
	$(PEERS)/$(SCRIPTS)/python -m pip install --quiet -e ".[peers]"
	@touch $@

$(ZIPLINE)/made: pyproject.toml
	$(PYTHON) -m venv $(ZIPLINE)
	$(ZIPLINE)/$(SCRIPTS)/python -m pip install --quiet --upgrade pip
	$(ZIPLINE)/$(SCRIPTS)/python -m pip install --quiet -e ".[zipline]"
	@touch $@

bench: $(VENV)/dev  ## Measure against the floors and print the tables
	$(BIN)/python -m benchmarks.compare

peers: $(PEERS)/made  ## Measure against other engines too, and write docs/speed.md (many minutes)
	$(PEERS)/$(SCRIPTS)/python -m benchmarks.compare --peers --write

docs: $(VENV)/docs  ## Build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

dist: $(VENV)/dev  ## Build the wheel and the sdist into dist/
	rm -rf dist
	$(BIN)/python -m build --outdir dist .

dist-check: dist  ## Install both in clean environments and use them from elsewhere
	$(BIN)/python .ci/check_dist.py dist

clean:  ## Remove the environment and everything that tools left
	rm -rf $(VENV) $(PEERS) $(ZIPLINE) site dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
