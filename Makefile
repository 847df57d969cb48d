# Every target works on a fresh clone: it makes .venv and installs what it needs.
#   make demo    a seeded day of traffic through the real pipeline
#   make test    all tests, against the installed wheel, with real servers, two at a time
#   make lint    ruff and mypy
#   make bench   conversion speed against a yardstick, in one run
#   make faults  every fault of the list, and hundreds of kills; FAULTS takes options
#   make fuzz    spoilt lines through every decoder; LINES says how many
#   make generate  rewrite what comes from mappings/fields.csv

PYTHON ?= python3
FAULTS ?=
LINES ?= 1000000
WORKERS ?= 2
SEED ?= 1
VENV := .venv
BIN := $(VENV)/bin
SOURCES := $(shell find plugin mappings dashboards -type f -not -name '*.pyc') setup.cfg pyproject.toml README.md

.PHONY: demo test lint bench faults fuzz generate clean

demo: $(VENV)/installed
	@$(BIN)/cloudfront-ecs demo --out build/demo

test: $(VENV)/installed-test
	$(BIN)/python -I -m pytest -n $(WORKERS) --dist loadfile $(PYTEST_ARGS)

lint: $(VENV)/installed-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/installed-test
	@$(BIN)/python tests/benchmarks/conversion.py

# Every fault, then kill -9 on each route: at each failpoint, and at 200 random moments.
# FAULTS="--list", "--only F1 --route kinesis --kills 50", "--only S3,Q --seed 3", …
faults: $(VENV)/installed-test
	@$(BIN)/python tests/faults/run.py $(FAULTS)

# LINES=10000000 takes hours; a failure is printed with the seed and the bytes that show it.
fuzz: $(VENV)/installed-test
	$(BIN)/python -I tests/fuzz/run.py --lines $(LINES) --seed $(SEED)

generate: $(VENV)/installed
	$(BIN)/python -m cloudfront_ecs.generate

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "cloudfront-ecs needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1). Try: make PYTHON=python3.12" >&2; exit 1; }
	@echo "making $(VENV)" && $(PYTHON) -m venv $(VENV)

# The wheel is built and installed anew whenever a source file is newer than the last install.
$(VENV)/installed: $(BIN)/python $(SOURCES)
	@echo "installing cloudfront-ecs into $(VENV)"
	@rm -rf build/lib build/bdist* build/wheel
	@$(BIN)/python -m pip wheel -q --disable-pip-version-check --no-deps -w build/wheel .
	@$(BIN)/python -m pip install -q --disable-pip-version-check build/wheel/*.whl
	@$(BIN)/python -m pip install -q --disable-pip-version-check --force-reinstall --no-deps build/wheel/*.whl
	@touch $@

$(VENV)/installed-test: $(VENV)/installed
	@echo "installing what the tests need"
	@$(BIN)/python -m pip install -q --disable-pip-version-check "$$(ls build/wheel/*.whl)[test]"
	@touch $@

$(VENV)/installed-lint: $(VENV)/installed-test
	@$(BIN)/python -m pip install -q --disable-pip-version-check "$$(ls build/wheel/*.whl)[lint]"
	@touch $@

clean:
	rm -rf $(VENV) build .cache *.egg-info plugin/*.egg-info
