# `make help` lists what there is.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check
ARGS   ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-kube test real-parts lint fault-matrix sim bench clean lock

help: ## What each target does
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.run: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "edgeobs needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Name another: make PYTHON=python3.12 …"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing pinned dependencies into $(VENV) (once)"
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@
	@echo "compiling decoders and detectors (once)"
	@$(BIN)/python -m edgeobs.warm

$(VENV)/.dev: requirements-dev.lock $(VENV)/.run
	@echo "installing development tools into $(VENV) (once)"
	@$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@

setup: $(VENV)/.dev ## Make .venv with everything for development

demo: $(VENV)/.run ## Watch it work on this machine and a simulated site (ARGS=--once: headless, then exit)
	@exec $(BIN)/edgeobs demo $(ARGS)

demo-kube: $(VENV)/.dev ## The same with a real Kubernetes control plane, and actions switched on (needs real-parts)
	@exec $(BIN)/python -m tests.real.demo $(ARGS)

test: $(VENV)/.dev ## Run every test that can run here; the rest is skipped with a reason
	@$(BIN)/python -m pytest $(ARGS)

real-parts: ## Build the real programs that tests run against (with Go; some 35 minutes, once)
	@$(PYTHON) -m tests.real.parts

lint: $(VENV)/.dev ## Ruff, mypy strict, import-linter
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

fault-matrix: $(VENV)/.dev ## All that may go wrong, on a real Kubernetes, with a table of what came of it (needs real-parts)
	@$(BIN)/python -m pytest -q tests/real/test_fault_matrix*.py $(ARGS)

sim: $(VENV)/.dev ## Simulate remediation for more than 100,000 steps, then take each of its rules away (ARGS=--hypothesis-seed=N)
	@EDGEOBS_SIM=1 $(BIN)/python -m pytest -q tests/remediate/test_simulation.py -s --timeout=3600 $(ARGS)
	@$(BIN)/python -m tests.remediate.mutations

bench: $(VENV)/.dev ## Run the benchmarks (ARGS="ingest --quick"; none: all)
	@$(BIN)/python -m benchmarks $(ARGS)

lock: ## Pin dependencies anew (needs uv)
	uv pip compile pyproject.toml --extra grpc --extra accel --extra replay --extra kube --group build --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate -q -o requirements.lock
	uv pip compile pyproject.toml --all-extras --group build --group dev -c requirements.lock --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate -q -o requirements-dev.lock

clean: ## Remove .venv and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
