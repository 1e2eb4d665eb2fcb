# Everything a newcomer needs: `make demo` and `make test` set up what they use.
# Any of Python 3.11, 3.12, 3.13 will do; uv is used where it is installed, pip otherwise.

.DEFAULT_GOAL := help
SHELL := /bin/sh
VENV := .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.installed
# The first interpreter that starts and is of a supported version (a pyenv shim may not start).
PYTHON ?= $(shell for p in python3.12 python3.13 python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null \
	&& command -v $$p && break; done)

.PHONY: help
help: ## Show this list.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | sort | expand -t 16

$(STAMP): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "No Python 3.11, 3.12 or 3.13 was found; name one: make PYTHON=/path/to/python3.12"; exit 2; }
	@echo "Setting up $(VENV) with $(PYTHON) (once; a minute or two) ..."
	@if command -v uv >/dev/null 2>&1; then \
		uv venv --quiet --clear --python "$(PYTHON)" $(VENV) && \
		uv pip install --quiet --python $(RUN) --no-deps --require-hashes -r requirements.lock && \
		uv pip install --quiet --python $(RUN) --no-deps --no-build-isolation --editable . ; \
	else \
		"$(PYTHON)" -m venv --clear $(VENV) && \
		$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock && \
		$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable . ; \
	fi
	@touch $(STAMP)

.PHONY: setup
setup: $(STAMP) ## Install the exact versions of requirements.lock into .venv.

.PHONY: demo
demo: $(STAMP) ## Five nights over sandbox vendors: what was planted, what was found.
	@$(VENV)/bin/optout demo

.PHONY: test
test: $(STAMP) ## All tests; long loops as samples.
	@$(RUN) -m pytest -q -n 3 --dist worksteal

# Its ninety nights are read once, by one process.
LIVED := tests/dashboards/test_lived.py

.PHONY: survive
survive: $(STAMP) ## The long loops in full.
	@OPTOUT_SURVIVE=full $(RUN) -m pytest -v --timeout 7200 -n 3 --dist worksteal --ignore $(LIVED)
	@OPTOUT_SURVIVE=full $(RUN) -m pytest -v --timeout 7200 $(LIVED)

.PHONY: bench
bench: $(STAMP) ## The benchmarks of size and speed in docs/benchmarks.md; half an hour.
	@$(RUN) -m benchmarks.reconcile 100_000 1_000_000 --others
	@$(RUN) -m benchmarks.reconcile 10_000_000
	@$(RUN) -m benchmarks.incremental 1_000_000 10_000_000
	@$(RUN) -m benchmarks.extraction
	@$(RUN) -m benchmarks.checks 1000000

.PHONY: dev
dev: $(STAMP) ## The Dagster UI on your optout.toml; without one, on the demo with its vendors.
	@if [ ! -e "$${OPTOUT_CONFIG:-optout.toml}" ] && [ -e demo/env.sh ]; then \
		. demo/env.sh; \
		$(VENV)/bin/optout demo --serve & \
		trap "kill $$! 2>/dev/null" EXIT INT TERM; \
	fi; \
	: "$${DAGSTER_HOME:=$$PWD/.dagster_home}"; export DAGSTER_HOME; \
	mkdir -p "$$DAGSTER_HOME" && { [ -e "$$DAGSTER_HOME/dagster.yaml" ] || cp dagster.yaml "$$DAGSTER_HOME/"; }; \
	DAGSTER_DISABLE_TELEMETRY=1 $(VENV)/bin/dg dev

.PHONY: lint
lint: $(STAMP) ## Style, imports one way, types, the Dagster location.
	@$(RUN) -m ruff format --check .
	@$(RUN) -m ruff check .
	@$(RUN) -m mypy
	@DAGSTER_DISABLE_TELEMETRY=1 $(VENV)/bin/dg check defs

.PHONY: format
format: $(STAMP) ## Put the code into the house's form.
	@$(RUN) -m ruff format .
	@$(RUN) -m ruff check --fix .

.PHONY: lock
lock: ## Resolve newer versions into requirements.lock (needs uv).
	uv pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url --no-annotate \
		--no-header --python-version 3.11 --group dev --group compat pyproject.toml -o requirements.lock
