# Needs Python 3.11 or newer and make: every target installs the rest.
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# The first Python on PATH that is new enough and can make virtual environments.
FIND_PYTHON = for python in $(PYTHON) python3 python3.11 python3.12 python3.13 python3.14 python; do \
	"$$python" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { echo "$$python"; exit 0; }; done; \
	echo "error: no Python 3.11 or newer with the venv module on PATH" >&2; \
	echo "hint: install one, or name it: make PYTHON=/path/to/python" >&2; exit 1

# Two processes with one thread each, for two cores.
JOBS ?= 2
TEST_ENVIRONMENT = OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
PYTEST_OPTIONS ?=

.PHONY: help venv system demo test system-test coverage check bench bench-report soak fuzz format docs wheel clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(STAMP) ## make .venv and install everything into it, once

$(STAMP): pyproject.toml constraints.txt
	@python="$$($(FIND_PYTHON))"; test -x $(BIN)/python || "$$python" -m venv $(VENV)
	@echo "installing into $(VENV) (a few minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train,dev]'
	@touch $@

# Programs that system tests start, as COMMAND:PACKAGE with the Debian package.
PROGRAMS := promtool:prometheus chromium:chromium systemd-analyze:systemd docker-compose:docker-compose debootstrap:debootstrap git:git curl:curl

system: ## install the programs that system tests start (Debian, as root)
	@missing=; for pair in $(PROGRAMS); do command -v "$${pair%%:*}" >/dev/null || missing+=" $${pair##*:}"; done; \
	test -z "$$missing" && exit 0; \
	if test "$$(id -u)" != 0 || ! command -v apt-get >/dev/null; then \
	  echo "error: missing programs, by their Debian names:$$missing" >&2; \
	  echo "hint: install them, as root on Debian: make system" >&2; exit 1; fi; \
	echo "installing$$missing"; apt-get update -qq; \
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null

demo: $(STAMP) ## render parts, learn the good ones, find the defects (5 minutes)
	@$(BIN)/inspector demo --output demo-output --format table

PYTEST = $(TEST_ENVIRONMENT) $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-skips $(PYTEST_OPTIONS)

test: $(STAMP) ## run every test that needs neither root nor a program beside Python (7 minutes)
	$(PYTEST) -m "not system"

system-test: $(STAMP) system ## run the other tests: browser, Prometheus, systemd, full disks (Debian, as root)
	$(PYTEST) -m system

COVERED := tests/inspector tests/calibration inspector calibration
coverage: $(STAMP) ## measure which lines of inspector and calibration their tests run; at least 90 % (3 minutes)
	$(PYTEST) -m "not system" --cov=inspector --cov=calibration --cov-report= $(COVERED)

check: $(STAMP) ## format, lint, types and the import rule
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# BUDGET or STEPS replaces the preset, SETS selects sets, BENCH_OPTIONS passes more options, PAGE is another page.
PRESET ?= standard
BUDGET ?=
STEPS ?=
SEEDS ?= 0
SETS ?=
RESULTS ?= docs/results
PAGE ?= docs/benchmarks.md
BENCH_OPTIONS ?=
bench: $(STAMP) ## fit and evaluate every image set: make bench DATA=FOLDER PRESET=quick SEEDS="0 1 2"
	@test -n "$(DATA)" || { echo "error: DATA is not set"; echo "hint: make bench DATA=FOLDER"; exit 2; }
	$(BIN)/python -m tests.benchmarks.detection "$(DATA)" --preset "$(PRESET)" --seeds $(SEEDS) --results "$(RESULTS)" \
	  $(if $(BUDGET),--budget "$(BUDGET)") $(if $(STEPS),--steps "$(STEPS)") $(if $(SETS),--sets $(SETS)) $(BENCH_OPTIONS)

bench-report: $(STAMP) ## write docs/benchmarks.md from the stored results
	$(BIN)/python -m tests.benchmarks.page "$(RESULTS)" "$(PAGE)"

soak: $(STAMP) system ## long tests: start-up, wheel, image, kill -9, memory, the daemon under load, a watch (an hour)
	@for name in startup wheel peer image kill memory load promotions sigterm traffic watch; do \
	  echo "--- $$name"; $(BIN)/python -m tests.soak.$$name; done

fuzz: $(STAMP) ## thousands of generated requests to the daemon
	$(BIN)/python -m tests.soak.schema

format: $(STAMP) ## format the code and fix lint errors that ruff can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(STAMP) ## write docs/reference/cli.md from the code, and build the documentation into site/
	$(BIN)/python docs/generate_reference.py
	$(BIN)/python docs/build_site.py site

wheel: $(STAMP) ## build the wheel into dist/
	@rm -rf build dist
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .
	@rm -rf build
	@ls dist/*.whl

clean: ## remove build outputs and the environment
	rm -rf $(VENV) build dist site demo-output *.egg-info .coverage .coverage.* htmlcov \
	  .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
