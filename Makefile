# Bursar's commands. `make up` and `make test` need only Python 3.11+ and make: each fetches what it lacks, into one .venv.

PYTHON ?= python3
UV := .tools/bin/uv
UV_VERSION := 0.13.9
BIN := .venv/bin
PORT ?= 8080
SIMULATOR_PORT ?= 3366
DATA ?= data
SEEDS ?= 200
HOURS ?= 1
# More than two processes on two cores: some tests wait for a process or a lease.
WORKERS ?= 4
MONEY_TESTS := tests/payments tests/portal/contract tests/portal/upkeep tests/portal/use_cases
export UV_PYTHON_DOWNLOADS := never
# With it, every process that a test starts compiles again whatever it imports: the suite would take minutes more.
unexport PYTHONDONTWRITEBYTECODE
export NIGHTLY_SIM_S NIGHTLY_CRASHES NIGHTLY_INSTANTS NIGHTLY_MUTANTS NIGHTLY_PROPERTY_TESTS NIGHTLY_ORACLE_TESTS NIGHTLY_SUITE NIGHTLY_PAIRS NIGHTLY_OBLIGATIONS

.DEFAULT_GOAL := list
.PHONY: list up test coverage lint format mutants sim soak spec nightly bench bench-dynamo bench-portal bench-reports docs screenshots package test-cloud clean

list: ## List these commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | awk -F'\t' '{printf "make %-14s %s\n", $$1, $$2}'

up: .venv/.run-synced ## Start the portal, Pay.gov's simulator and the pages (PORT, SIMULATOR_PORT, DATA)
	@$(BIN)/bursar up --port $(PORT) --simulator-port $(SIMULATOR_PORT) --data $(DATA) || { code=$$?; \
	  [ $$code -ne 2 ] || echo "If a port is busy: make up PORT=$$(( $(PORT) + 1 )) SIMULATOR_PORT=$$(( $(SIMULATOR_PORT) + 1 ))" >&2; exit $$code; }

test: lint .tools/.oracles .tools/.spin ## Lint, type-check and run every test but those of test-cloud; the money code has a floor of coverage
	@$(BIN)/pytest -q -n $(WORKERS) --dist worksteal --cov --cov-report=term $(MONEY_TESTS)
	@$(BIN)/pytest -q -n $(WORKERS) --dist worksteal $(addprefix --ignore=,$(MONEY_TESTS) tests/cloud)

coverage: .venv/.synced .tools/.browser .tools/.oracles .tools/.spin ## Run every test, and print the coverage of every room
	@$(BIN)/pytest -q -n $(WORKERS) --dist worksteal --cov=bursar --cov-report=term --cov-fail-under=0

lint: .venv/.synced ## Format check, lint, types, the layers of the house, and the prose
	@$(BIN)/ruff format --check --quiet . || { echo "make format mends the above"; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python tools/prose_check.py --folders src,tests,sim,bench,tools

format: .venv/.synced ## Format the code
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format .

sim: .venv/.synced ## Simulate the whole system under SEEDS seeds
	@$(BIN)/python -m sim --seeds $(SEEDS)

soak: .venv/.synced ## Simulate for HOURS hours from new seeds; writes docs/soak.md
	@$(BIN)/python -m sim.soak --hours $(HOURS)

mutants: .venv/.synced ## Plant each known fault in turn and see the tests of its place catch it (MUTANTS="name prefix*")
	@$(BIN)/python -m tests.mutants $(MUTANTS)

spec: .venv/.synced .tools/.spin ## Search every state of the protocol's model and plant its mutants; writes spec/README.md
	@$(BIN)/python -m tools.check_spec --write

nightly: .venv/.synced ## Run the long things; writes docs/nightly.md (NIGHTLY_SIM_S, NIGHTLY_STEPS, NIGHTLY_SUITE)
	@$(BIN)/python tools/nightly.py $(if $(NIGHTLY_STEPS),--steps $(NIGHTLY_STEPS))

bench: bench-dynamo bench-portal bench-reports ## Run every benchmark; results go to docs/benchmarks

bench-dynamo: .venv/.synced .tools/.oracles ## The engine beside dynoxide, dynalite and moto
	@$(BIN)/python -m bench.bench_dynamo

bench-portal: .venv/.synced ## Full payments per second; writes its page (PEER=http://host:port, FLAGS="--stored 1000000")
	@$(BIN)/python -m bench.bench_portal --write $(if $(PEER),--peer $(PEER)) $(FLAGS)

bench-reports: .venv/.synced ## Questions over a million payments, beside PostgreSQL 15 if it is here; writes its page (FLAGS="--data DIR")
	@$(BIN)/python -m bench.bench_reports --write $(FLAGS)

screenshots: .venv/.synced .tools/.browser ## Take the pictures of docs/screenshots from `bursar up --demo`
	@$(BIN)/python -m tools.screenshots

docs: .venv/.synced ## Write the generated pages of docs/ again
	@$(BIN)/python -m tools.generate_docs

test-cloud: .venv/.synced .tools/.browser .tools/.oracles ## What needs a browser or counterparts: an AWS on this machine, Trino, S3, an OpenID provider (Python 3.13, Go, Java, npm)
	@tools/install-cloud
	@tools/install-trino
	@tools/install-oidc-provider
	@if [ -x .tools/cloud/bin/ministack ]; then \
	  .tools/cloud/bin/python tools/package.py --out .tools/cloud/packages --platform x86_64-manylinux_2_28 portal lake && \
	  cp .tools/cloud/packages/lake.zip .tools/cloud/packages/dashboard.zip; fi
	@$(BIN)/pytest -q -n 2 --dist loadfile tests/cloud

package: | $(UV) ## Build the zips of the Lambda functions into dist/ (needs Python 3.13)
	@python=$$(tools/find-python-3.13) && $$python tools/package.py --out dist

clean: ## Remove the environment, caches and benchmark data (never your data folder)
	rm -rf .venv .tools .pytest_cache .mypy_cache .ruff_cache .hypothesis dist .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Bursar needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.12 up"; exit 1; }
	@echo "Fetching uv $(UV_VERSION) …"
	@$(PYTHON) -m venv .tools && .tools/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venv/.synced: pyproject.toml uv.lock | $(UV)
	@echo "Installing what uv.lock names …"
	@$(UV) sync --frozen --quiet --python $(PYTHON)
	@touch .venv/.run-synced $@

# What `make up` runs, without the development tools. --inexact keeps those tools where .venv/.synced installed them.
.venv/.run-synced: pyproject.toml uv.lock | $(UV)
	@echo "Installing what make up runs …"
	@$(UV) sync --frozen --quiet --python $(PYTHON) --inexact --no-default-groups --extra portal --extra reports
	@touch $@

.tools/.browser: | $(UV)
	@tools/install-browser
	@touch $@

.tools/.oracles: tools/install-oracles | $(UV)
	@tools/install-oracles
	@touch $@

.tools/.spin: tools/install-spin | $(UV)
	@tools/install-spin
	@touch $@
