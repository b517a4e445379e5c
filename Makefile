# Everything runs in virtual environments of its own, made from PYTHON and made again when pyproject.toml changes.
# `make` alone lists the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

CHECKED := $(wildcard src tests examples benchmarks)
# What differs between Pythons: the engine, and what looks at how code is executed.
OTHER_PYTHONS_TESTS := tests/engine tests/workflows tests/worker/test_guard.py tests/testing/test_backwards.py
# Once more with every workflow task replayed from history. The engine's own tests and the simulation do both by themselves.
END_TO_END_TESTS := tests/worker tests/client tests/examples tests/test_orchestrator.py

# Processes that share the tests; more than processors, for a test that talks to a server is often one that waits.
TEST_PROCESSES ?= $(shell echo $$((3 + $$(nproc 2>/dev/null || echo 2))))
SHARED_OUT := --numprocesses=$(TEST_PROCESSES) --dist=worksteal
PYTEST := $(BIN)/python -m pytest

# Tests start many processes: none compiles what another one has compiled.
unexport PYTHONDONTWRITEBYTECODE
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1
export PYRIGHT_PYTHON_USE_BUNDLED_PYRIGHT := 1

.DEFAULT_GOAL := help
.PHONY: help demo test pytest beside without-cache other-pythons services test-all check lint layers mypy pyright docs dist bench soak clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1@\2/p' Makefile | column -t -s @ 2>/dev/null || grep '##' Makefile

demo: $(VENV)/installed ## run the demonstration, on SQLite in census.db
	@$(BIN)/python -m examples.code_census

test: $(VENV)/installed-dev ## lint, types and the whole test suite
	@$(MAKE) --no-print-directory -j2 --output-sync=target check
	@$(PYTHON) -m scripts.chromium > /dev/null
	@scripts/services run -- $(MAKE) --no-print-directory -j2 pytest beside

# What needs no server runs in the suite's pauses, in which that waits for servers, leases and killed processes.
beside: $(VENV)/installed-dev
	@nice $(MAKE) --no-print-directory --output-sync=target without-cache $(if $(CI),other-pythons)

pytest: $(VENV)/installed-dev
	@$(PYTEST) $(SHARED_OUT)

# On the servers `make soak` does it.
without-cache: $(VENV)/installed-dev
	@$(PYTEST) -q --execution-cache=off -m "not soak and not server" $(END_TO_END_TESTS)

other-pythons: $(VENV)/installed-dev
	@scripts/on_pythons --oldest-and-newest -q $(OTHER_PYTHONS_TESTS)

services: ## start private servers of all stores and print their URLs; scripts/services stop stops them
	@scripts/services start

test-all: $(VENV)/installed-dev ## the whole test suite on each supported Python that is here
	@$(PYTHON) -m scripts.chromium > /dev/null
	@scripts/services run -- scripts/on_pythons --all -q $(SHARED_OUT) --ignore=tests/typing --ignore=tests/release

check: lint layers mypy pyright ## lint, layers and types only

lint: $(VENV)/installed-dev
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet . || { echo "not formatted (ruff format . does it):"; $(BIN)/ruff format --check .; }

layers: $(VENV)/installed-dev
	@$(BIN)/lint-imports --no-logo --cache-dir $(VENV)/import-linter > $(VENV)/layers.txt || { cat $(VENV)/layers.txt; exit 1; }

mypy: $(VENV)/installed-dev
	@$(BIN)/mypy --strict --no-error-summary $(CHECKED) docs scripts/chromium.py scripts/debian_unstable.py scripts/public_types.py scripts/servers

pyright: export PATH := $(abspath $(BIN)):$(PATH)
pyright: $(VENV)/installed-dev
	@pyright > $(VENV)/pyright.txt || { cat $(VENV)/pyright.txt; exit 1; }
	@$(BIN)/python scripts/public_types.py

docs: $(VENV)/installed-dev ## the site, in build/site
	@$(BIN)/sphinx-build -q -W --keep-going -c docs -d build/doctrees . build/site

dist: $(VENV)/installed-dev ## wheel and source distribution, tried out, in dist/
	@$(PYTEST) -q tests/release/test_distributions.py
	@rm -rf dist
	@$(BIN)/python -m build --no-isolation --outdir dist

bench: $(VENV)/installed-dev ## every store beside its peers, some 25 minutes; figures and plot go to build/
	@mkdir -p build
	@scripts/services run -- $(BIN)/python -m benchmarks --json build/bench.json --svg build/bench.svg $(BENCH)

soak: $(VENV)/installed-dev ## the long tests, then simulated crashes until you stop it
	@scripts/services run -- $(BIN)/python -m pytest -m soak || [ $$? -eq 5 ]
	@scripts/services run -- $(BIN)/python -m pytest -q --execution-cache=off -m "server or soak" $(END_TO_END_TESTS)
	@$(BIN)/python -m perdure.testing.simulation --forever

clean: ## remove what was made, but for databases
	rm -rf $(VENV) .venv-3.* build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment of users: perdure and its command line.
$(VENV)/installed: pyproject.toml
	@scripts/environment $(PYTHON) $(VENV) '.[cli]'
	@touch $@

# The environment of contributors: the same with the tools.
$(VENV)/installed-dev: pyproject.toml | $(VENV)/installed
	@scripts/environment $(PYTHON) $(VENV) '.[dev]'
	@touch $@
