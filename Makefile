# The two commands of the README work on a machine that has only Python and make; both make .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed

export HF_HUB_OFFLINE := 1

.PHONY: demo test check unit docs install clean

demo: install
	$(BIN)/labtune run ner.conll2003

test: install check unit

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# One thread a test process: two processes with two threads each wait for one another.
unit: install
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses auto --dist loadfile

docs: install
	$(BIN)/python docs/generate.py

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt requirements-dev.txt $(wildcard plugins/*/pyproject.toml)
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -r requirements-dev.txt
	touch $@

clean:
	rm -rf $(VENV)
