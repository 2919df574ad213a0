# The commands of the README. Needs Python 3.11 or newer and make, nothing else.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
OUT    ?= demo-output

.PHONY: demo test setup check docs wheel lowest bytes test-isa fix tables clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    set up, then run the whole path on simulated people and one real head; prints where its page is"
	@echo "make test    set up, then lint, types, import rules, tests with coverage; the tests build the docs and the wheel too"
	@echo "make docs    set up, then build the documentation site into site/; opens without a server or a network"
	@echo "make wheel   set up, then build the wheel and the source archive into dist/"
	@echo "make lowest  run the fast tests with the lowest version of every library, in an environment of its own"
	@echo "make test-isa run the tests that promise bits under several instruction sets, with one and two threads"
	@echo "make bytes   run the whole path with this tree and with another (BEFORE=REVISION) and say which files differ"
	@echo "make fix     format and mend what ruff can mend"
	@echo "make clean   remove the virtual environment and outputs"

# torch goes first and pinned: asked for by another package, pip may bring gigabytes of CUDA builds.
# --no-compile: Python compiles what it imports when it does; compiling all of it first takes longer than the rest of the installation.
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "VoxTune needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12 ..."; exit 1; }
	@echo "Setting up $(VENV): a few minutes and 2.5 GB, once."
	$(PYTHON) -m venv $(VENV)
	@# Python brings an old pip, which takes twice as long to choose versions; where there is no newer one it does as well.
	$(BIN)/pip install --quiet --disable-pip-version-check --upgrade pip || true
	$(INSTALL) torch
	$(INSTALL) -e '.[dev]'
	@touch $(STAMP)

setup: $(STAMP)

demo: $(STAMP)
	$(BIN)/voxtune demo $(OUT)

check: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	MYPY_NUM_WORKERS=auto $(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# The floors of coverage stand in pyproject.toml (everything) and here (where a silent mistake costs most).
EXACT := src/voxtune/losses/*,src/voxtune/reports/*,src/voxtune/data/*,src/voxtune/evaluation/*
# One thread a process: on two cores, two processes of two threads each stand in each other's way and take half as long again.
test: check
	PYTHONUTF8=1 OMP_NUM_THREADS=1 $(BIN)/pytest -q -n logical --maxprocesses 4 --dist worksteal --cov --cov-report=
	$(BIN)/python benchmarks/isa/run.py --short
	$(BIN)/coverage report --skip-covered
	$(BIN)/coverage report --skip-covered --include='$(EXACT)' --fail-under=100

docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "site/index.html"

wheel: $(STAMP)
	$(BIN)/python -m hatchling build

# Lowest versions as pyproject.toml states them. TORCH may name a build for this machine: make lowest TORCH=2.6.0+cpu
TORCH ?= 2.6.0
lowest:
	$(PYTHON) -m venv .venv-lowest
	$(PYTHON) tests/lowest_versions.py $(TORCH) > .venv-lowest/lowest.txt
	.venv-lowest/bin/pip install --quiet --disable-pip-version-check -c .venv-lowest/lowest.txt torch
	.venv-lowest/bin/pip install --quiet --disable-pip-version-check -c .venv-lowest/lowest.txt \
	  -e '.[augment,dask,serve]' pytest pytest-xdist hypothesis beartype captum pyyaml import-linter httpx
	PYTHONUTF8=1 .venv-lowest/bin/pytest -q -n 2 --dist worksteal -m "not slow" tests/unit tests/property tests/parity

# Settings of the matrix libraries stand in for other processors. SELECTION=fast runs all tests that are not slow: hours.
SELECTION ?=
test-isa: $(STAMP)
	$(BIN)/python benchmarks/isa/run.py $(addprefix --selection ,$(SELECTION))
	$(BIN)/python benchmarks/tables.py

# A rebuild that should change nothing shows it here: both trees run on this machine, because sums differ between processors.
BEFORE ?= HEAD
bytes: $(STAMP)
	rm -rf .bytes && git worktree prune && git worktree add --quiet --detach .bytes/tree $(BEFORE)
	PYTHONPATH=$(CURDIR)/.bytes/tree/src $(BIN)/python tests/bytes/harness.py .bytes/before.json
	PYTHONPATH=$(CURDIR)/src $(BIN)/python tests/bytes/harness.py .bytes/after.json
	git worktree remove --force .bytes/tree
	$(BIN)/python tests/bytes/differences.py .bytes/before.json .bytes/after.json

fix: $(STAMP)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

tables: $(STAMP)
	$(BIN)/python benchmarks/tables.py

clean:
	rm -rf $(VENV) .venv-lowest .bytes $(OUT) build dist site .pytest_cache .mypy_cache .ruff_cache .coverage*
