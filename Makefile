# Every target sets itself up: a bare machine with Python 3.11 or newer is enough.
.DEFAULT_GOAL := help
.PHONY: help demo test unit coverage check install-check conformance mutate peers bench bench-trainers report-demo clean

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
TORCH := $(shell grep -E '^torch==' constraints.txt)
export TOKENIZERS_PARALLELISM := false
export HF_HUB_DISABLE_TELEMETRY := 1
# Tests start hundreds of processes: none of them should compile what another one has compiled.
unexport PYTHONDONTWRITEBYTECODE
# One worker a core, each with one thread: two-threaded torch beside a busy neighbour is many times slower.
WORKERS ?= auto
PLUGINS := $(VENV)/plugins
export TUNEGATE_TEST_PLUGINS := $(abspath $(PLUGINS))
PYTEST = PATH="$(abspath $(BIN)):$$PATH" OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS)

TRACED := not end_to_end and not browser and not simulation
UNIT := -m "$(TRACED) and not matrix and not processes and not training"
# Lines and branches of what decides a verdict; seconds. `make coverage` measures everything, which takes minutes.
DECISIONS := --cov=harness.statistics --cov=harness.comparison --cov-report= --cov-fail-under=98

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

# torch comes first and alone: asked for together with the rest, pip may pick a CUDA build of several GB.
$(VENV)/.installed: pyproject.toml constraints.txt
	@echo "==> virtual environment in $(VENV)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade pip
	@echo "==> $(TORCH) (the largest part, a few minutes on a slow line)"
	@$(BIN)/python -m pip install --quiet $(TORCH)
	@echo "==> tunegate with its engine, metrics, trainers and test tools"
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[local,metrics,checks,train,judge,serve,rag,logs,track,postgres,otel,ray]' --group dev
	@touch $@

# Plugins of others, beside which gates are tested: in a folder of their own, so that they leave the tests alone.
$(PLUGINS)/.installed: $(VENV)/.installed
	@$(BIN)/python -m pip install --quiet --no-deps --upgrade --target $(PLUGINS) --constraint constraints.txt --group plugins
	@touch $@

# Other tools that ask our server, in environments of their own: their dependencies are not ours.
PEERS := $(VENV)/peers
PEER_PYTHON = $(abspath $(wildcard $(PEERS)/bin/python))
PROMPTFOO = $(abspath $(wildcard $(PEERS)/node_modules/.bin/promptfoo))
export TUNEGATE_TEST_PEERS := $(PEER_PYTHON)
export TUNEGATE_TEST_PROMPTFOO := $(PROMPTFOO)

peers: ## lm-eval, inspect_ai and (with npm) promptfoo, which then are tested and measured against our server
	@test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	@$(PEERS)/bin/python -m pip install --quiet $(TORCH)
	@$(PEERS)/bin/python -m pip install --quiet 'lm-eval[api,hf]==0.4.13' 'inspect-ai==0.3.285' peft openai
	@if command -v npm >/dev/null; then npm install --silent --prefix $(PEERS) promptfoo@0.121.20; else echo "without npm: no promptfoo"; fi

demo: $(VENV)/.installed ## Train a good and a harmful adapter on a real model, gate both (under 12 minutes)
	@PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python examples/orders/demo.py

test: $(VENV)/.installed $(PLUGINS)/.installed ## All tests, the end-to-end tier on the real model included
	@$(BIN)/tunegate model fetch smollm2 minilm
	@command -v chromium chromium-browser google-chrome >/dev/null || $(BIN)/playwright install chromium || \
	  echo "==> Chromium is unavailable: the report's browser tests will be skipped"
	@$(PYTEST)

unit: $(VENV)/.installed ## Unit tests only, minutes
	@$(PYTEST) $(UNIT)

coverage: $(VENV)/.installed $(PLUGINS)/.installed ## All tests but simulations, browser and real model, traced: fails below the coverage that has to stay
	@$(PYTEST) -m "$(TRACED)" --cov --cov-report=

check: $(VENV)/.installed ## Format, lint, types, import layers, and the coverage of the gate's decisions
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(PYTEST) -n 0 -q --hypothesis-profile=mutation $(UNIT) tests/statistics tests/comparison $(DECISIONS)

install-check: $(VENV)/.installed ## Wheel and sdist, installed without extras in clean environments
	@$(BIN)/python .ci/install_check.py

conformance: $(VENV)/.installed ## Each family of models with each kind of adapter against a bare script (half an hour)
	@TUNEGATE_CONFORMANCE=full OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/conformance/test_matrix.py
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/conformance/test_page.py

mutate: $(VENV)/.installed ## How many small faults in the gate's arithmetic, cache and scoring the tests find
	@OMP_NUM_THREADS=1 $(BIN)/python benchmarks/mutation.py --fail-under 90 --survivors

bench: $(VENV)/.installed ## Speed beside what the gate replaces, into docs/performance.md (hours; BENCH=--quick: 25 minutes)
	@$(BIN)/tunegate model fetch smollm2
	@PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m benchmarks.performance $(BENCH) \
	  $(if $(PEER_PYTHON),--peers $(PEER_PYTHON)) $(if $(PROMPTFOO),--promptfoo $(PROMPTFOO))
	@test -n "$(BENCH)" || $(BIN)/python benchmarks/gate_speed.py
	@test -n "$(BENCH)" || PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python benchmarks/generation.py

bench-trainers: $(VENV)/.installed ## What each training method learns, gradient check and gate (hours; JOBS=4: rows at once)
	@PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python benchmarks/training.py --jobs $(or $(JOBS),1)

report-demo: $(VENV)/.installed ## Render the latest stored run's report and open it
	@$(BIN)/tunegate report latest --open

clean: ## Remove the virtual environment and all caches of this checkout
	rm -rf $(VENV) .tunegate .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis demo_output
