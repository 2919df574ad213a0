# The commands of the README. Needs Python 3.11 or newer and make, nothing else.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
OUT    ?= demo-output

.PHONY: demo test setup check fix tables clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    set up, then run the whole path on simulated people and one real head; prints where its page is"
	@echo "make test    set up, then lint, types, import rules and tests"
	@echo "make fix     format and mend what ruff can mend"
	@echo "make clean   remove the virtual environment and outputs"

# torch goes first and pinned: asked for by another package, pip may bring gigabytes of CUDA builds.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "VoxTune needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(STAMP)

setup: $(STAMP)

demo: $(STAMP)
	$(BIN)/voxtune demo $(OUT)

check: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

test: check
	PYTHONUTF8=1 $(BIN)/pytest -q -n 2 --dist worksteal

fix: $(STAMP)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

tables: $(STAMP)
	$(BIN)/python benchmarks/tables.py

clean:
	rm -rf $(VENV) $(OUT) build dist .pytest_cache .mypy_cache .ruff_cache
