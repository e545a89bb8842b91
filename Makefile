# The few commands of the project; `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCE ?= $(or $(MIRROR_SOURCE),sample)
LOCK := requirements/lock.txt
STAMP := $(VENV)/installed-$(shell cksum $(LOCK) | cut -d' ' -f1)

export MIRROR_SOURCE := $(SOURCE)
ifdef DECLARATIONS
export MIRROR_DECLARATIONS := $(abspath $(DECLARATIONS))
endif
export DAGSTER_DISABLE_TELEMETRY := 1
export DO_NOT_TRACK := 1
export DBT_SEND_ANONYMOUS_USAGE_STATS := false
export GX_ANALYTICS_ENABLED := false
export PYTHONPATH := $(CURDIR)

ifdef API
export MIRROR_API_ADDRESS := $(API)
endif

.PHONY: help setup run pull plan test dev query releases rollback alerts lint docs clean

help: ## list these commands
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

# The name of the stamp tells which lock is installed; the time of the file, which a checkout changes, does not matter.
$(STAMP): | $(LOCK)
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; name another one with make PYTHON=...")'
	@echo "Setting up $(VENV) (a few minutes, once) ..."
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCK)
	@touch $(STAMP)

setup: $(STAMP) ## install the locked dependencies into .venv

run: $(STAMP) ## build and publish a release: planted world, SOURCE=files DECLARATIONS=<folder>, SOURCE=api or preview
	@$(BIN)/python -m orchestration.defs.cli run

pull: $(STAMP) ## land what the API has new or revised: SOURCE=api or preview (API=stand-in: a local one, no key)
	@$(BIN)/python -m orchestration.defs.cli pull

plan: $(STAMP) ## say what a pull would take (calls, rows, days of quota), landing nothing: SOURCE=api or preview
	@$(BIN)/python -m orchestration.defs.cli plan

# One Polars thread per worker: two workers with two threads each hinder one another on two cores.
test: $(STAMP) ## run the whole test suite
	@POLARS_MAX_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup $(ARGS)

dev: $(STAMP) ## open the orchestrator's page with schedules and sensors loaded
	@$(BIN)/python -m orchestration.defs.cli dev

lint: $(STAMP) ## check style and types as continuous integration does
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy
	@$(BIN)/sqlfluff lint --processes 1 dbt_project/models queries

docs: $(STAMP) ## write the generated pages: data dictionary and settings
	@$(BIN)/python -m orchestration.defs.cli docs

query: $(STAMP) ## ask the published release a question: FILE=queries/<file>.sql (default: the first)
	@$(BIN)/python -m orchestration.defs.cli query $(FILE)

releases: $(STAMP) ## list the releases on disk
	@$(BIN)/python -m orchestration.defs.cli releases

rollback: $(STAMP) ## point analysts at an earlier release: RELEASE=<id>
	@$(BIN)/python -m orchestration.defs.cli rollback $(RELEASE)

alerts: $(STAMP) ## list alerts and their state; deliver what is due (AGAIN=1: all not delivered; TEST=1: a test)
	@$(BIN)/python -m orchestration.defs.cli alerts $(if $(AGAIN),--again) $(if $(TEST),--test)

clean: ## remove data/<SOURCE>: releases, landed data and call book too
	@rm -rf data/$(SOURCE)
