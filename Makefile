# `make demo` and `make test` set up everything they need in .venv.
PYTHON ?= python3.11
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
SOURCES := pyproject.toml setup.py constraints.txt $(wildcard csrc/*.cpp csrc/*.hpp)

.PHONY: demo test lint bench clean

demo: .venv/.base
	$(BIN)/python -m rranker.demo

test: .venv/.dev
	$(BIN)/python -m pytest

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/.dev
	$(BIN)/python -m pytest bench --benchmark-sort=name

.venv/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed; set PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/.base: .venv/bin/python $(SOURCES)
	@command -v c++ >/dev/null || command -v g++ >/dev/null || { echo "A C++17 compiler is needed (Debian: apt-get install g++)"; exit 1; }
	$(INSTALL) -e .
	@touch $@

.venv/.dev: .venv/.base
	$(INSTALL) -e ".[dev,bench,train]"
	@touch $@

clean:
	rm -rf .venv build *.egg-info rranker/_C*.so
