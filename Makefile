# OpenBioCure Analytics. Needs Python 3.11+, make and git (and Node 20+ for the browser parts); everything else is set up here.

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do command -v $$p && break; done)
UV_VERSION := 0.13.9
UV := .cache/uv/bin/uv
BIN := .venv/bin
RUN := $(BIN)/python -m obc_dev
PYTEST := $(BIN)/python -m pytest
SOURCES := common migrations services gateway dev sdk/python sdk/browser/tests cli tests bench protos/generate.py protos/generate_sdk.py
# uv would otherwise look at an activated environment of somebody else.
export UV_PROJECT_ENVIRONMENT := .venv
export VIRTUAL_ENV :=

.DEFAULT_GOAL := help
.PHONY: help setup run up down status logs demo reset proto proto-check fmt lint type test test-python test-unit test-component \
	test-contract test-e2e test-oracle test-chaos test-soak test-flood test-fuzz boundaries check docs docs-check sdk-build sdk-size sdk-test sdk-test-browser bench-sdk bench-query clean

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z0-9%-]+:.*## / { printf "  \033[1m%-16s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/.ready ## Make .venv with everything (the other commands do it too when needed)

# Recipes below depend on this stamp, so a second call costs nothing.
.venv/.ready: pyproject.toml uv.lock | $(UV)
	$(UV) sync --frozen --all-extras --quiet
	@touch $@

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed (found: $(PYTHON)); set PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv .cache/uv
	.cache/uv/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(UV) venv --quiet --allow-existing --python $(PYTHON) .venv

run: .venv/.ready ## Run the whole product in this terminal; Ctrl-C ends it
	@exec $(RUN) run

up: .venv/.ready ## Run the whole product in the background
	@$(RUN) up

down: .venv/.ready ## End what runs
	@$(RUN) down

status: .venv/.ready ## Show what runs
	@$(RUN) status

logs: .venv/.ready ## Follow the log (ONLY=ingest for one process)
	@$(RUN) logs $(if $(ONLY),--only $(ONLY))

demo: .venv/.ready ## Send a month of made-up traffic and print the dashboard (SEED=2 for another month)
	@$(RUN) demo $(if $(SEED),--seed $(SEED))

reset: .venv/.ready ## End what runs and remove all its data (.obc/)
	@$(RUN) reset

proto: .venv/.ready ## Regenerate protos/gen and the Python SDK's messages from protos/obc
	$(BIN)/python protos/generate.py
	@scratch=$$(mktemp -d) && trap 'rm -rf "$$scratch"' EXIT && \
	$(BIN)/python protos/generate.py --image "$$scratch/image.binpb" && \
	$(BIN)/python protos/generate_sdk.py "$$scratch/image.binpb"

proto-check: .venv/.ready ## Check the protos: lint, no breaking change, stubs up to date
	@scratch=$$(mktemp -d) && trap 'rm -rf "$$scratch"' EXIT && \
	$(BIN)/python protos/generate.py --out "$$scratch/gen" && \
	{ diff -r -x __pycache__ protos/gen "$$scratch/gen" >/dev/null || \
		{ echo "protos/gen is stale: run make proto" >&2; exit 1; }; } && \
	$(BIN)/python protos/generate.py --image "$$scratch/image.binpb" && \
	$(BIN)/python protos/generate_sdk.py "$$scratch/image.binpb" --out "$$scratch/sdk" && \
	{ diff -r -x __pycache__ sdk/python/src/obc_analytics/_proto "$$scratch/sdk" >/dev/null || \
		{ echo "the Python SDK's messages are stale: run make proto" >&2; exit 1; }; } && \
	$(BIN)/buf lint "$$scratch/image.binpb" --path obc --config buf.yaml && \
	$(BIN)/buf breaking "$$scratch/image.binpb" --against protos/baseline.binpb --path obc --config buf.yaml && \
	echo "protos: linted, compatible, stubs up to date"

fmt: .venv/.ready ## Format the code
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

lint: .venv/.ready ## Check style and format
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)

type: .venv/.ready ## Check types (mypy --strict)
	$(BIN)/mypy $(SOURCES)

# Two at a time, the longest first, for they wait for stores and timers most of the time; and all of them also after a
# failure, so that one does not hide another.
test: ## Run every test, against real stores and a real browser that the tests start
	@$(MAKE) --no-print-directory --keep-going --jobs=2 test-component test-unit test-contract test-e2e sdk-size sdk-test sdk-test-browser

test-python: .venv/.ready ## Run the tests of the services and of the Python SDK
	$(PYTEST)

test-unit: .venv/.ready ## Run the tests that need no store
	$(PYTEST) tests/unit

test-component: .venv/.ready ## Run the tests of single services against real stores
	$(PYTEST) tests/component

test-contract: .venv/.ready ## Run the tests of the wire contracts
	$(PYTEST) tests/contract

test-e2e: .venv/.ready ## Run the tests of the whole product through its public API
	$(PYTEST) tests/e2e

test-oracle: .venv/.ready ## Compare every insight with a plain computation over HISTORIES=2000 histories
	OBC_ORACLE_HISTORIES=$(or $(HISTORIES),2000) $(PYTEST) tests/component/query/insights

test-fuzz: .venv/.ready ## Fuzz the validator and the decoders, guided by coverage (FUZZ_SECONDS=20 each)
	$(BIN)/python -m tests.fuzz.run --seconds $(or $(FUZZ_SECONDS),20)

test-chaos: .venv/.ready ## Crash test under load, about 6 minutes (SECONDS=1800 for more, SEED=7 to repeat a run)
	OBC_CHAOS_SECONDS=$(or $(SECONDS),300) OBC_CHAOS_SEED=$(SEED) $(PYTEST) -s tests/chaos

test-soak: .venv/.ready ## Load for DURATION seconds (1200; 120 to try) and no growth of anything
	OBC_SOAK_SECONDS=$(or $(DURATION),1200) $(PYTEST) -s tests/soak

test-flood: .venv/.ready ## Measure what one tenant's flood does to another (prints, asserts nothing)
	$(BIN)/python -m tests.load.flood $(ARGS)

boundaries: .venv/.ready ## Check that no service imports another
	$(PYTEST) -q tests/unit/test_import_boundaries.py

check: lint type proto-check docs-check boundaries ## Run every check that is not a test

docs: .venv/.ready ## Regenerate the generated documentation
	$(BIN)/python -m obc_dev.docs

docs-check: .venv/.ready ## Check that the generated documentation is up to date
	@$(BIN)/python -m obc_dev.docs --check

node_modules/.ready: package.json package-lock.json sdk/browser/package.json sdk/react/package.json
	@node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' || { echo "Node 20 or newer is needed" >&2; exit 1; }
	npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

# React after what it is built on.
SDK_PACKAGES := --workspace sdk/browser --workspace sdk/react

sdk-build: node_modules/.ready ## Build the browser SDK and its React package into their dist folders
	npm run --silent build $(SDK_PACKAGES)

sdk-size: sdk-build ## Print the sizes of the browser SDK's files; fails above a budget
	@npm run --silent size $(SDK_PACKAGES)

sdk-test: sdk-build ## Check the types of the browser SDK and its React package and run their unit tests
	npm run --silent type $(SDK_PACKAGES)
	npm run --silent test $(SDK_PACKAGES)

# Debian's and Ubuntu's. Elsewhere: OBC_CHROMIUM=/path/to/a/chromium.
export OBC_CHROMIUM ?= /usr/bin/chromium
# The same walk of faults in every run; empty = another one.
export OBC_WALK_SEED ?= 1

$(OBC_CHROMIUM):
	@[ "$@$$(id -u)" = /usr/bin/chromium0 ] && command -v apt-get >/dev/null || \
		{ echo "no Chromium at $@: install it (apt-get install chromium), or set OBC_CHROMIUM to where it is" >&2; exit 1; }
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends chromium

sdk-test-browser: .venv/.ready sdk-build | $(OBC_CHROMIUM) ## Run both in Chromium against the real stack (OBC_WALK_SECONDS=60, OBC_WALK_SEED)
	npm run --silent test:browser --workspace sdk/browser

bench-sdk: sdk-build | $(OBC_CHROMIUM) ## Measure what track() costs a page; fails at a p99 of 0.2 ms
	npm run --silent bench --workspace sdk/browser

bench-query: .venv/.ready ## Ask every question three ways: the service, by hand, PostgreSQL (EVENTS=10000000 ARGS=--linked)
	$(BIN)/python -m bench.query --events $(or $(EVENTS),1000000) $(ARGS)

bench-%: .venv/.ready ## Run a benchmark of bench/, e.g. make bench-indexes
	$(BIN)/python -m bench.$(subst -,_,$*) $(ARGS)

clean: ## Remove environments and caches (not .obc/: that is make reset)
	rm -rf node_modules sdk/browser/dist sdk/react/dist .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
