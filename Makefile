# softbench on a machine with Python 3.11 or newer and make: `make run` and `make test` do it all.
# Written for GNU make 3.81 and newer.

PYTHON ?= python3
SUITE ?= seq_len
UV_VERSION := 0.13.9

BIN := .venv/bin
READY := .venv/.ready

.PHONY: help setup run test lint

help:
	@echo "make setup             build .venv once, from the versions in constraints.txt"
	@echo "make run [SUITE=name]  measure suites/name.yaml (seq_len) and draw its figures"
	@echo "make test              the tests, without those marked slow"
	@echo "make lint              ruff and mypy"
	@echo "PYTHON=python3.12 after any of them builds .venv with that Python"

setup: $(READY)

run: $(READY)
	@$(BIN)/softbench run "suites/$(SUITE).yaml"

test: $(READY)
	@$(BIN)/pytest -m "not slow"

lint: $(READY)
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy

# The mark is removed first and made last: an interrupted set-up starts again from nothing.
$(READY): pyproject.toml setup.py constraints.txt softbench/kernels/_sources.py $(wildcard softbench/kernels/cpu/*)
	@rm -f $(READY)
	@command -v "$(PYTHON)" >/dev/null || { \
	  echo "softbench needs Python 3.11 or newer; $(PYTHON) was not found"; exit 1; }
	@"$(PYTHON)" -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("softbench needs \
	Python 3.11 or newer; $(PYTHON) is %d.%d; name another with PYTHON=..." % v[:2])'
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) lacks venv or ensurepip; on Debian and Ubuntu install python3-venv"; exit 1; }
	@echo "setup: making .venv"
	@"$(PYTHON)" -m venv --clear .venv
	@echo "setup: fetching the installer, uv $(UV_VERSION)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv==$(UV_VERSION)"
	@echo "setup: installing softbench and the versions in constraints.txt (torch is large)"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt \
	  --build-constraint constraints.txt --editable '.[dev]'
	@touch $(READY)
	@echo "setup: .venv is ready"
