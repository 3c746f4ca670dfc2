# Everything runs in a virtual environment of the checkout. On the command line or in the
# environment: VENV=folder, PYTHON=interpreter to make it with, ARGS="more for the command".

VENV ?= .venv
PYTHON ?=
ARGS ?=
PY = $(VENV)/bin/python
STAMP = $(VENV)/.installed
STATIC = pgflow_django/static
TEMPLATES = $(shell find pgflow_django/templates templates -name '*.html')

.DEFAULT_GOAL := help
.PHONY: help install demo serve test test-slow test-chaos test-e2e lint format bench bench-full soak bench-ui pictures clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## Make the virtual environment (the others do it by themselves)

demo: $(STAMP) ## Start PostgreSQL, migrate, run a real ETL flow, show its report
	@$(PY) manage.py migrate --verbosity 0
	@$(PY) manage.py demo $(ARGS)

serve: $(STAMP) ## Run the demo site with a worker on http://127.0.0.1:8000/
	@$(PY) manage.py serve $(ARGS)

test: $(STAMP) ## Run the tests, without the slow and the browser's; ARGS="-k words" picks some
	@$(PY) -m pytest --ignore=tests/e2e -m "not slow" -n auto --maxprocesses 4 --dist loadgroup $(ARGS)

test-slow: $(STAMP) ## Run those that take long: brokers, the benchmark, embedded servers, processes
	@$(PY) -m pytest --ignore=tests/e2e -m slow -n auto --maxprocesses 4 --dist loadgroup $(ARGS)

test-e2e: $(STAMP) ## Run the browser's tests, which need Debian's chromium
	@$(PY) -m pytest tests/e2e -n auto --maxprocesses 2 $(ARGS)

test-chaos: $(STAMP) ## Kill workers, servers and networks at random, and steps in any order (a quarter of an hour)
	@PGFLOW_CHAOS=1 $(PY) -m pytest tests/chaos -n 0 -q $(ARGS)
	@PGFLOW_TEST_EFFORT=10 $(PY) -m pytest tests/engine/test_hostile.py tests/engine/test_agreement.py \
		-k "sequence or policy" -n 0 -q

lint: $(STAMP) ## Check style, types and migrations
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(VENV)/bin/djade --check --target-version 5.2 $(TEMPLATES)
	@$(PY) -m djlint --quiet --lint $(TEMPLATES)
	@$(VENV)/bin/oxfmt --check '$(STATIC)/**/*.js'
	@$(VENV)/bin/oxlint --quiet $(STATIC)
	@$(PY) -m mypy
	@$(PY) manage.py makemigrations --check --dry-run

format: $(STAMP) ## Format the code
	@$(PY) -m ruff check --fix-only .
	@$(PY) -m ruff format .
	@$(VENV)/bin/djade --target-version 5.2 $(TEMPLATES) || true
	@$(VENV)/bin/oxfmt '$(STATIC)/**/*.js'

bench: $(STAMP) ## Measure the workloads and the machine's limits (under 10 minutes)
	@$(PY) -m bench $(ARGS)
	@$(if $(ARGS),true,$(PY) -m bench.mcp)

bench-full: $(STAMP) ## The same with growth and the large sizes
	@$(PY) -m bench --full $(ARGS)

soak: $(STAMP) ## Steady load on a worker for half an hour; MINUTES=5 shortens it
	@$(PY) -m bench.soak --minutes $(or $(MINUTES),30)

bench-ui: $(STAMP) ## Measure the editor and the page of a run in the browser (under 10 minutes)
	@$(PY) -m bench.ui $(ARGS)

pictures: $(STAMP) ## Take the pictures of the docs, while make serve runs beside it
	@$(PY) manage.py pictures $(ARGS)

clean: ## Remove the virtual environment, caches and builds (the data in .pgdata stays)
	rm -rf $(VENV) build dist .static .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage*
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +

# One installation for each change of what is to be installed. A Python that is too old, or one
# that is a stub without a version behind it, is passed over; an environment that works is kept.
$(STAMP): requirements.txt pyproject.toml
	@$(PY) -c '' 2>/dev/null || { found=; \
	for python in $(if $(PYTHON),"$(PYTHON)",python3 python3.13 python3.12 python3.11 python); do \
		"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
			&& found=$$python && break; \
	done; \
	test -n "$$found" || { echo "Python 3.11 or later is needed, and $(if $(PYTHON),$(PYTHON) is \
	not one,none is on the PATH). Install it (Debian, Ubuntu: apt install python3 python3-venv; \
	macOS: brew install python), or name one: make PYTHON=/path/to/python3" >&2; exit 1; }; \
	echo "Making $(VENV) with $$("$$found" --version) ..."; \
	"$$found" -m venv $(VENV) || { echo "Making a virtual environment needs Python's venv module \
	(Debian, Ubuntu: apt install python3-venv)." >&2; exit 1; }; }
	@echo "Installing what requirements.txt lists into $(VENV) ..."
	@$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@
