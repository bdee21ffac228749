# Thin: a virtual environment in .venv, pip, then the command. The README has the same commands for people without make.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-all check docs clean

demo: .venv/.installed           ## run the main job on the bundled records and open the site
	$(BIN)/evidence demo

test: .venv/.installed-test      ## run the tests, but for the slow ones
	$(BIN)/python -m pytest -n auto --dist worksteal

test-all: .venv/.installed-test  ## run every test, as continuous integration does
	$(BIN)/python -m pytest -n auto --dist worksteal -m "" --hypothesis-profile=repeatable

check: .venv/.installed-test .venv/.installed-docs   ## run every check: lint, format, types, import contracts, docs, tests with coverage
	scripts/run_all_checks

docs: .venv/.installed-docs      ## build the documentation as a site in build/docs; warnings are errors
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs build/docs

clean:                           ## remove the environment and every cache
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage htmlcov build dist

.venv/bin/python:
	$(PYTHON) -m venv .venv || { rm -rf .venv; \
	echo "Python cannot make a virtual environment here; on Debian or Ubuntu: sudo apt install python3-venv" >&2; exit 1; }

.venv/.installed: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

.venv/.installed-test: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[test]"
	touch $@ .venv/.installed

.venv/.installed-docs: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[docs]"
	touch $@ .venv/.installed
