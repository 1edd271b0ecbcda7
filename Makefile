# The commands of this project. Where there is no make, `python3 tools/dev.py COMMAND` does the same.
# ARGS is passed on: make run ARGS="--api 4321", make test ARGS="-k ledger".
PYTHON ?= python3
DEV := $(PYTHON) tools/dev.py

.PHONY: help run test lint bench lock build env clean

help:       ## list the commands
	@grep -hE '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

run:        ## set everything up and run `tidegauge up` (embedded database, OTLP on 4318, API on 4320)
	@$(DEV) run $(ARGS)

test:       ## set everything up and run all tests
	@$(DEV) test $(ARGS)

lint:       ## ruff, mypy, import-linter
	@$(DEV) lint

bench:      ## the benchmarks, one table each
	@$(DEV) bench $(ARGS)

lock:       ## make the lock files anew from pyproject.toml
	@$(DEV) lock

build:      ## wheel and sdist into dist/
	@$(DEV) build $(ARGS)

env:        ## write .env with random passwords for docker-compose.yml
	@$(DEV) env

clean:      ## remove the virtual environment and caches (never data)
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
