# What a contributor runs. `make serve` and `make test` need nothing but Python 3.11 (with venv) and make:
# the environment is made in .venv on first use, and again whenever pyproject.toml changes.

.DELETE_ON_ERROR:
.PHONY: help serve test check bench docs
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
FILE := examples/sentiment
HOST := 0.0.0.0
PORT := 5005

help:
	@echo "make serve   the sentiment example on $(HOST):$(PORT) (FILE=... PORT=... for another)"
	@echo "make test    every test, with branch coverage (ARGS='...' goes to pytest)"
	@echo "make check   lint, format, types, import rules, currency of the reference pages"
	@echo "make bench   the benchmarks beside a Flask peer (ARGS='--seconds 2 --rounds 2' for a short run)"
	@echo "make docs    writes docs/reference/ and ops/ from the code"

serve: $(VENV)/.stamp-serve
	$(BIN)/modelport serve $(FILE) --host $(HOST) --port $(PORT)

test: $(VENV)/.stamp-dev
	$(BIN)/python -m pytest -n 2 --cov --cov-branch --cov-report=term $(ARGS)

check: $(VENV)/.stamp-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/reference.py --check
	$(BIN)/python tools/ops.py --check

docs: $(VENV)/.stamp-dev
	$(BIN)/python tools/reference.py
	$(BIN)/python tools/ops.py

bench: $(VENV)/.stamp-dev
	benchmarks/peers/install.sh
	$(BIN)/python benchmarks/run.py $(ARGS)

$(BIN)/python:
	sh tools/venv.sh $(VENV)

# What the sentiment service needs, and no more.
$(VENV)/.stamp-serve: pyproject.toml examples/sentiment/requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[keras]' --requirement examples/sentiment/requirements.txt
	touch $@

# Everything the tests need. It includes what serving needs. Dependency groups came with pip 25.1.
$(VENV)/.stamp-dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable '.[all]' --group dev
	touch $(VENV)/.stamp-serve $@
