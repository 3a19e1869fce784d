# Each target does its own set-up in .venv; nothing else on the machine is touched.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

LOWEST := .venv-lowest
WHEEL := .venv-wheel
CORE := $(addprefix tests/test_,audit.py cli.py job.py leaderboard.py metrics.py models.py preprocess.py split.py stats.py \
	stats_command.py store.py subsample.py task.py)

NETS := mlp,resnet,ft_transformer,tabm,modernnca,realmlp

.PHONY: help install quick bench nets zilla test test-slow test-lowest wheel-check docs lint clean

help:
	@echo "make install  set up .venv"
	@echo "make quick    run six small tables in a minute and write results/quick/report.html"
	@echo "make bench    run the starter suite and write results/starter/report.html"
	@echo "make nets     compare six networks and a GBDT on it, on 1,000 training rows, and write results/nets/report.html"
	@echo "make zilla    run TabZilla's 19 algorithms on it under its protocol, and relate metafeatures to the gap between families"
	@echo "make test     run the tests; make test-slow: those that take long, too"
	@echo "make test-lowest  run the core's tests with the lowest versions that pyproject.toml declares"
	@echo "make wheel-check  build the wheel, install it without extras, and run it"
	@echo "make docs     build the site of the documentation: site/index.html"
	@echo "make lint     check style, types and the order of imports"
	@echo "make clean    remove .venv and caches (results stay)"

install: $(INSTALLED)

$(INSTALLED): pyproject.toml .ci/constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint .ci/constraints.txt --editable ".[bench,dev]"
	@touch $@

quick: $(INSTALLED)
	$(BIN)/tabbench run --suite quick --models dummy,logreg,knn,tree,random_forest,lightgbm,pfn --out results/quick

bench: $(INSTALLED)
	$(BIN)/tabbench run --suite starter --out results/starter

nets: $(INSTALLED)
	$(BIN)/tabbench run --suite starter --holdout 0.3 --max-rows 1000 --models $(NETS),lightgbm --out results/nets

zilla: $(INSTALLED)
	$(BIN)/python benchmarks/zilla.py
	$(BIN)/tabbench analyze results/zilla

test: $(INSTALLED)
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal -m "not slow"

test-slow: $(INSTALLED)
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal -m slow

test-lowest:
	$(PYTHON) -m venv $(LOWEST)
	$(PYTHON) .ci/lowest.py > $(LOWEST)/constraints.txt
	$(LOWEST)/bin/python -m pip install --quiet --constraint $(LOWEST)/constraints.txt --editable . pytest hypothesis
	$(LOWEST)/bin/python -m pytest -m "not slow" $(CORE)

wheel-check:
	rm -rf dist $(WHEEL)
	$(PYTHON) -m venv $(WHEEL)
	$(WHEEL)/bin/python -m pip wheel --quiet --no-deps --wheel-dir dist .
	$(WHEEL)/bin/python -m pip install --quiet --constraint .ci/constraints.txt dist/tabbench_harness-*.whl
	cd $(WHEEL) && bin/tabbench run --suite smoke --models logreg,tree --strict --quiet --out smoke && bin/tabbench verify smoke --level 3
	cd $(WHEEL) && bin/tabbench check tree

docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --config-file .mkdocs.yml

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/biome check --config-path=.ci tabbench/report

clean:
	rm -rf .venv $(LOWEST) $(WHEEL) site .pytest_cache .ruff_cache .mypy_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
