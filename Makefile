# Everything there is to do here. `make setup` is part of every target and costs nothing once it is done.

PYTHON ?= python3
TORCH ?= torch==2.13.0

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
EXAMPLE := clinic/loss-broadcast/concrete_strength

.PHONY: help setup demo test test-all lint types clinic bench proofs docs

help:  ## What can be made
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 20

setup: .venv/ready  ## A .venv with torch, the package and what its tests need

# pip learnt `--group` in 25.1; torch comes first, so that nothing else may choose its version.
.venv/ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed: make PYTHON=...")'
	@echo "Setting up .venv with $(TORCH); a few minutes, once."
	@$(PYTHON) -m venv .venv
	@$(PIP) install --upgrade "pip>=25.1"
	@$(PIP) install $(TORCH)
	@$(PIP) install --editable . --group dev
	@touch $@

demo: setup  ## The doctor on a script that does not learn, on the same script mended, and the proof of the change
	@printf '\n$$ sgdoctor run %s\n' $(EXAMPLE)/faulty.py
	@$(BIN)/sgdoctor run $(EXAMPLE)/faulty.py
	@printf '\n$$ sgdoctor run %s\n' $(EXAMPLE)/healthy.py
	@$(BIN)/sgdoctor run $(EXAMPLE)/healthy.py
	@printf '\n$$ sgdoctor prove %s\n' $(EXAMPLE)/faulty.py
	@$(BIN)/sgdoctor prove $(EXAMPLE)/faulty.py || test $$? -eq 1

test: setup  ## The tests that take seconds
	@$(BIN)/pytest --quiet --numprocesses auto -m "not slow"

test-all: setup  ## All tests
	@$(BIN)/pytest --quiet --numprocesses auto

lint: setup  ## Format and lint
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/ruff check --quiet

types: setup  ## Types
	@$(BIN)/mypy

clinic: setup  ## Every script of the clinic under the doctor, as a matrix
	@$(BIN)/python bench/clinic.py

bench: setup  ## What observation and proofs cost, and what a proof is worth beside random search
	@$(BIN)/python bench/overhead.py
	@$(BIN)/python bench/prove.py

docs: setup  ## The site in docs/_build/html, from docs/ and the code as it stands
	@$(PIP) install --group docs
	@$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going -b html docs docs/_build/html
	@echo docs/_build/html/index.html

proofs: setup  ## What `sgdoctor prove` makes of every faulty script of the clinic
	@$(BIN)/python bench/proofs.py
