# Everything a fresh machine needs is made here: a virtual environment, the packages, then the job.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The CPU build. On a workstation with a GPU: make demo TORCH=torch
TORCH ?= torch==2.13.0
DEMO ?= demo

.PHONY: demo test check bench hil clean
.DEFAULT_GOAL := test

$(VENV)/ready: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip setuptools wheel
	$(BIN)/pip install --quiet "$(TORCH)"
	$(BIN)/pip install --quiet --editable ".[dev]"
	touch $@

demo: $(VENV)/ready          ## make images, train, export, calibrate, inspect
	$(BIN)/edge-demo run --out $(DEMO)

check: $(VENV)/ready         ## style, types, import directions
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --config setup.cfg

test: check                  ## the checks, then every test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

bench: $(VENV)/ready         ## accuracy and latency on one set: make bench DATA=…/bottle
	test -n "$(DATA)" || { echo "say which set: make bench DATA=folder with train/good and test/…"; exit 2; }
	$(BIN)/edge-train $(DATA) --out bench/run
	test -d bench/bundle || $(BIN)/edge-export bench/run --out bench/bundle
	$(BIN)/calibrate $(DATA)/train/good --bundle bench/bundle
	$(BIN)/edge-bench accuracy --bundle bench/bundle --data $(DATA)
	$(BIN)/edge-bench latency --bundle bench/bundle --images $(DATA)/test/good

# The kernel is built once, in five minutes of CPU time, unless EDGE_INSPECT_UML names one.
hil: $(VENV)/ready           ## the runtime against a real kernel's cameras and GPIO, in a User-Mode Linux test machine
	kernel="$${EDGE_INSPECT_UML:-$$(tests/hil/build_kernel.sh)}" && EDGE_INSPECT_UML="$$kernel" EDGE_INSPECT_HIL_ALL=1 OMP_NUM_THREADS=1 \
		$(BIN)/python -m pytest tests/hil -rs --durations=3

clean:
	rm -rf $(VENV) demo bench
