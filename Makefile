PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt

WORKERS ?= auto
# Processes that run tests side by side: one per core, of one thread each; 0 is plain pytest.
PYTEST := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(WORKERS) --maxprocesses 8 --dist loadfile

.PHONY: demo test kernels check docs clean

demo: $(VENV)/.demo  ## set up, then fuse the bundled real embeddings: table and plots
	$(BIN)/probefusion demo -o demo-output --force

test: $(VENV)/.dev  ## set up, then run all tests
	$(PYTEST) $(PYTEST_ARGS)

kernels: $(VENV)/.dev  ## set up, then run the tests that compare numbers as on three older processors
	WORKERS=$(WORKERS) $(BIN)/python tests/other_kernels.py $(PYTEST_ARGS)

check: $(VENV)/.dev  ## style, types, import direction, then all tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) test

docs: $(VENV)/.dev  ## build the documentation site into docs/_build
	$(BIN)/python -m sphinx -q -W --keep-going -n -b html docs docs/_build
	@echo "docs/_build/index.html"

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e '.[plot]'
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e '.[dev]'
	-$(PIP) --no-deps insightface==2.1 uniface==4.2.1  # for their classes only; without them two tests skip
	touch $@ $(VENV)/.demo

clean:
	rm -rf $(VENV) demo-output build dist docs/_build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
