# The verbs of the house; what CI runs is one of them. `make` alone lists them.
PY := .venv/bin/python
# Where namespaces need a user namespace around them, this makes one; root needs none.
IN_LAB := $(PY) -m meshd.lab.namespaces
PYTEST := $(PY) -m pytest
# More than most boards have cores: half of them begin with tests that mostly wait.
JOBS ?= 4
SEEDS ?= 200
FIRST ?= 1
# Not everybody's PATH has the folders of babeld, bird and nft.
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin
# What was compiled is kept: tests start the program hundreds of times.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo test quick lint format types compiled sim bench clean

help: ## list the verbs
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 10

setup: ## virtual environment and system packages; quick when all is there
	@tools/setup.sh

demo: setup ## five daemons tell a story; ONCE=1 exits after it, 0 only when every step held
	@$(PY) -m meshd demo $(if $(ONCE),--once)

test: ## everything: style, types, and the whole suite
	@$(MAKE) --no-print-directory -j2 lint types compiled
	@$(IN_LAB) $(PYTEST) -n $(JOBS) --dist loadgroup

quick: setup ## unit and property tests
	@$(PYTEST) -n $(JOBS) tests/unit tests/property tests/test_tidy.py

lint: setup ## ruff: rules and format
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .

format: setup ## let ruff write the format
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

types: setup ## mypy --strict
	@$(PY) -m mypy

# Once, beside mypy, instead of by each worker; what is wrong with a test its run tells.
compiled: setup
	@$(PYTEST) --collect-only >/dev/null 2>&1 || :

sim: setup ## SEEDS random cruel plans from seed FIRST on, on all cores; shrinks what fails
	@$(PY) -m meshd.simulation.swarm --seeds $(SEEDS) --first $(FIRST)

bench: setup ## measure beside the rivals; ONLY=group, FIGURE=file, BENCH_SEEDS=n; writes build/bench-GROUP.json
	@$(IN_LAB) $(PY) tests/benchmarks/run.py $(if $(ONLY),--only $(ONLY)) $(if $(FIGURE),--figure $(FIGURE))

clean: ## remove what was built here
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
