# Each target does its own set-up in .venv; nothing else on the machine is touched.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: help install bench test lint clean

help:
	@echo "make install  set up .venv"
	@echo "make bench    run the starter suite and write results/starter/report.html"
	@echo "make test     run the tests"
	@echo "make lint     check style, types and the order of imports"
	@echo "make clean    remove .venv and caches (results stay)"

install: $(INSTALLED)

$(INSTALLED): pyproject.toml .ci/constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint .ci/constraints.txt --editable ".[bench,dev]"
	@touch $@

bench: $(INSTALLED)
	$(BIN)/tabbench run --suite starter --out results/starter

test: $(INSTALLED)
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/biome check --config-path=.ci tabbench/report

clean:
	rm -rf .venv .pytest_cache .ruff_cache .mypy_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
