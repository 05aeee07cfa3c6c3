# make setup · make repro · make test · make test-all · make bench · make gpu-wheels · make lint · make hooks

PYTHON ?= python3
VENV := .venv
BIN := $(abspath $(VENV))/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
STARTED := $(shell date +%s)

export PATH := $(BIN):$(PATH)
export DVC_NO_ANALYTICS := 1
export DO_NOT_TRACK := 1

.PHONY: setup repro test test-all bench gpu-wheels lint hooks clean

setup: $(VENV)/ready

# torch first and alone, by pip: a wheel you provide or the default index decides CPU or CUDA.
# gptqmodel builds from source against that torch, so its build must not be isolated.
# pip compiles to bytecode on one core; compileall does it on all.
$(VENV)/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Finery needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --no-compile -c constraints.txt torch==2.13.0 setuptools==82.0.1
	$(PIP) install --quiet --no-compile -c constraints.txt --no-build-isolation --editable '.[dev]'
	$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true  # some packages bring files for other Pythons
	@touch $@

repro: setup
	@finery check
	@finery recover
	dvc repro
	@python bench/figures.py --started $(STARTED)

# Three kinds: tests of modules, side by side; of whole pipelines, a file at a time on each core,
# as they share a project; of flows, which use all cores themselves, alone.
SLOWEST := --durations 10
SIDE_BY_SIDE := -n auto --maxprocesses 4 --dist worksteal --ignore tests/flows --ignore tests/pipeline
BY_FILE := -n auto --maxprocesses 2 --dist loadfile tests/pipeline

test: setup
	OMP_NUM_THREADS=1 python -m pytest -m "not slow" $(SLOWEST) $(SIDE_BY_SIDE)
	OMP_NUM_THREADS=1 python -m pytest -m "not slow" $(SLOWEST) $(BY_FILE)
	python -m pytest -m "not slow" $(SLOWEST) tests/flows

test-all: setup
	OMP_NUM_THREADS=1 python -m pytest $(SIDE_BY_SIDE)
	OMP_NUM_THREADS=1 python -m pytest $(BY_FILE)
	python -m pytest tests/flows

bench: setup
	python bench/figures.py
	python bench/status.py
	python bench/overhead.py
	python bench/stages.py .
	python bench/prepare_vs_llamafactory.py
	python bench/memory.py
	python bench/merge.py
	python bench/nights.py
	python bench/reproducible.py

# For a machine with torch and CUDA and no network: unpack there, then
# pip install --no-index --no-deps --find-links bench/gpu-wheels -r bench/gpu-wheels.txt
gpu-wheels: setup
	$(PIP) download --quiet --no-deps --only-binary=:all: -d bench/gpu-wheels -r bench/gpu-wheels.txt

lint: setup
	ruff check .
	ruff format --check .

hooks: setup
	pre-commit install

clean:
	rm -rf $(VENV) .finery
