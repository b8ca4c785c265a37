# make demo   builds .venv and runs the whole tale on a CPU, offline, in a few minutes
# make test   builds .venv with the tools of development and runs the tests (under ten minutes on two cores)
# make check  formatting, lint and types;  make test-slow  the long end-to-end tests (under 35 minutes)

PYTHON ?= python3
VENV ?= .venv
# A machine with an NVIDIA card may ask for another build: make demo TORCH='torch==2.13.0 --index-url ...'
TORCH ?= torch==2.13.0

ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
PIP := $(BIN)/python -m pip --disable-pip-version-check
WORKERS ?= 2

.PHONY: demo test test-slow check format docs clean

demo: $(VENV)/.lhama
	$(BIN)/lhama run demo

test: $(VENV)/.lhama-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal -m "not slow" --durations=10

test-slow: $(VENV)/.lhama-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal -m slow --durations=10

check: $(VENV)/.lhama-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/.lhama-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/.lhama-dev
	$(BIN)/python docs/reference.py

clean:
	rm -rf $(VENV)

# torch goes first and alone: with its exact version present, nothing later asks for another build of it.
$(VENV)/.torch: constraints.txt
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet $(TORCH)
	touch $@

$(VENV)/.lhama: $(VENV)/.torch pyproject.toml
	$(PIP) install --quiet -c constraints.txt -e '.[corpus,train,track,figures]'
	touch $@

$(VENV)/.lhama-dev: $(VENV)/.torch pyproject.toml
	$(PIP) install --quiet -c constraints.txt -e '.[dev]'
	touch $@ $(VENV)/.lhama
