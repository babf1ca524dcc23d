# Two commands on a fresh machine, with Python, pip and make alone:  make demo  and  make test
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check-all benchmarks lint format docs clean

demo: .venv/ready
	$(BIN)/erlangen demo

test: .venv/ready
	$(BIN)/ruff check src tests experiments examples benchmarks
	$(BIN)/ruff format --check src tests experiments examples benchmarks
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 2 --dist worksteal

check-all: .venv/checks-ready
	$(BIN)/python tests/check_all.py

benchmarks: .venv/ready
	$(BIN)/python -m benchmarks all

lint: .venv/ready
	$(BIN)/ruff check src tests experiments examples benchmarks
	$(BIN)/pyright src

docs: .venv/ready
	$(BIN)/python -m erlangen.conventions > docs/conventions.md
	$(BIN)/python docs/images/draw.py

format: .venv/ready
	$(BIN)/ruff check --fix src tests experiments examples benchmarks
	$(BIN)/ruff format src tests experiments examples benchmarks

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

.venv/checks-ready: .venv/ready
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev,checks]"
	touch $@

clean:
	rm -rf .venv .checks runs build dist .pytest_cache .ruff_cache .hypothesis
