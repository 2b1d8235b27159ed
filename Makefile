.DEFAULT_GOAL := help
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
UV     := $(BIN)/uv
# Compiled bytecode: an install without it triples import times, and `civitai-etl --help` would be slow.
export UV_COMPILE_BYTECODE := 1
unexport PYTHONDONTWRITEBYTECODE
# Use the virtual environment of this folder, not the one that is active in the caller's shell.
unexport VIRTUAL_ENV
# For networks with their own certificate authority: uv uses the system's authorities or SSL_CERT_FILE; pip, which
# installs uv, uses REQUESTS_CA_BUNDLE. If only one of the two is set, it counts for both.
export UV_SYSTEM_CERTS ?= true
ifneq ($(SSL_CERT_FILE)$(REQUESTS_CA_BUNDLE),)
export SSL_CERT_FILE := $(or $(SSL_CERT_FILE),$(REQUESTS_CA_BUNDLE))
export REQUESTS_CA_BUNDLE := $(or $(REQUESTS_CA_BUNDLE),$(SSL_CERT_FILE))
endif

.PHONY: help setup demo charts pages notebooks test test-lowest fuzz soak soak-schedule soak-supervision soak-nights image mutants check fix docs bench bench-scale bench-emulator bench-year bench-retention requirements clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{split($$1, name, ":"); printf "  make %-16s %s\n", name[1], $$2}'

setup: $(VENV)/installed ## install everything in .venv (needs Python 3.11 or newer)

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "civitai-etl needs Python 3.11 or newer: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

$(VENV)/installed: requirements.txt pyproject.toml | $(UV)
	$(UV) pip sync --quiet --python $(BIN)/python requirements.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

demo: setup ## 30 simulated days through the whole pipeline, with a summary and charts in data/demo; no network, no key
	$(BIN)/civitai-etl demo

charts: demo ## look at every chart in every situation with Chromium, and take the pictures of docs/images (docs/testing.md)
	$(BIN)/python -m tests.charts

pages: setup ## look at the pages of a real Prefect server with Chromium, and take their pictures for docs/images
	$(BIN)/python -m tests.flows.pages

notebooks: demo ## write every notebook as .ipynb with the charts of the demo's data, to be read on a code host
	$(BIN)/python -m tests.notebooks.rendered

test: setup ## run the tests
	$(BIN)/pytest -n 4 --dist loadgroup

test-lowest: $(UV) ## run the tests on the lowest versions that pyproject.toml allows, in .venv-lowest
	$(UV) venv --quiet --clear --python $(PYTHON) .venv-lowest
	$(UV) pip install --quiet --python .venv-lowest/bin/python --resolution lowest-direct --editable . --group dev
	.venv-lowest/bin/pytest -n 4 --dist loadgroup

fuzz: setup ## 500 generated histories, 200 crawls of a hostile service, 10,000 odd documents (docs/testing.md); SEED=1 repeats a run
	$(BIN)/python -m tests.fuzz.histories $(SEED)
	$(BIN)/python -m tests.fuzz.crawls $(SEED)
	$(BIN)/python -m tests.fuzz.records $(SEED)

soak: setup ## kill snapshots fifty times, in both dialects, and compare the results; build a year of days (docs/testing.md)
	$(BIN)/pytest -n 4 --dist loadgroup -m soak
	$(BIN)/python -m tests.soak
	$(BIN)/python -m tests.soak.year

soak-schedule: setup ## run `serve` on its schedule for five minutes, on SQLite and on PostgreSQL, and a work pool (docs/testing.md)
	$(BIN)/python -m tests.soak.schedule
	$(BIN)/python -m tests.soak.work_pool

image: setup ## build the image with podman and run it, also its units under systemd (as root; docs/testing.md)
	$(BIN)/python -m tests.deploy.image

soak-supervision: setup ## kill `serve`, its server and its runs in each phase, and start `serve` again (docs/testing.md)
	$(BIN)/python -m tests.soak.supervision

soak-nights: setup ## thirty short nights of `serve` with incidents, against thirty calm snapshots (docs/testing.md)
	$(BIN)/python -m tests.soak.nights

mutants: setup ## break every rule of the transforms in a copy, one at a time, and check that its test fails
	$(BIN)/python -m tests.mutants

check: setup ## check lint, formatting, types and generated documents
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/marimo check --strict notebooks/*.py
	$(BIN)/mypy
	$(BIN)/python -m transforms.tables.dictionary --check
	$(BIN)/python -m flows.reporting.api_coverage --check
	$(BIN)/python -m tests.mutants.table --check

fix: setup ## fix what ruff can fix
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: setup ## write the generated documents: data dictionary, API coverage, and the table of mutants in docs/testing.md
	$(BIN)/python -m transforms.tables.dictionary
	$(BIN)/python -m flows.reporting.api_coverage
	$(BIN)/python -m tests.mutants.table

bench: setup ## measure the pipeline against DuckDB alone, side by side (docs/benchmarks.md)
	$(BIN)/python -m benchmarks

bench-scale: setup ## measure two days of 20,000 to 900,000 models in both dialects, and draw it (takes two hours)
	$(BIN)/python -m benchmarks.scale
	$(BIN)/python -m benchmarks.scale_chart

bench-emulator: setup ## measure how fast the emulator lists 900,000 models in both dialects (takes ten minutes)
	$(BIN)/python -m benchmarks.emulator

bench-year: setup ## rebuild and compact a year of 100,000 models, and time every table macro over it (takes an hour)
	$(BIN)/python -m benchmarks.year

bench-retention: setup ## measure the disk space of a day before and after compact (docs/operations.md)
	$(BIN)/python -m benchmarks.retention

requirements: | $(UV) ## update requirements.txt from pyproject.toml, for all platforms, with hashes
	$(UV) pip compile --quiet --universal --python-version 3.11 --upgrade --generate-hashes \
		--no-emit-index-url --no-emit-find-links --custom-compile-command 'make requirements' \
		--group dev pyproject.toml --output-file requirements.txt

clean: ## remove .venv and caches; data/ stays
	rm -rf $(VENV) .venv-lowest .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
