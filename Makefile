# make demo | test | serve | lint | bench: each makes the environment it needs. Python 3.11 and make are enough.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
WORKSPACE ?= .demo/complete-journey
PORT ?= 8000
INSTALL = $(BIN)/uv pip install --quiet --python $(BIN)/python
# No network after the install: the checkout itself is installed with the build tools that the lock already brought.
SELF = $(INSTALL) --no-deps --no-build-isolation --offline --editable .

export BENTOML_DO_NOT_TRACK := True
export MLFLOW_DISABLE_TELEMETRY := true
export DO_NOT_TRACK := true
export FEAST_USAGE := False
export MLFLOW_ALLOW_PICKLE_DESERIALIZATION := false
# Two busy threads that spin for each other lose on a machine that does anything else.
export OMP_WAIT_POLICY := PASSIVE

.PHONY: help demo test serve screens lint format bench lock environment test-environment clean

help:
	@echo "make demo    real data to trained models, a running service, decisions, outcomes, a report"
	@echo "make test    every test that needs no hour"
	@echo "make serve   the service on the demo's workspace (WORKSPACE=$(WORKSPACE) PORT=$(PORT))"
	@echo "make screens pictures of the demo's reports and pages, to look at (needs Chromium)"
	@echo "make lint    format, lint, types, import layers"
	@echo "make bench   the side-by-side figures"
	@echo "make lock    resolve the dependencies again"

environment: $(VENV)/.run
test-environment: $(VENV)/.test

$(BIN)/uv: requirements-installer.lock
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || (echo "Python 3.11 is needed: make PYTHON=/path/to/python3.11 …"; exit 1)
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || (echo "$(VENV) is not Python 3.11: make clean, then make PYTHON=/path/to/python3.11 …"; exit 1)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-installer.lock
	@touch $@

$(VENV)/.run: requirements.lock pyproject.toml $(BIN)/uv
	$(INSTALL) --require-hashes -r requirements.lock
	$(SELF)
	@touch $@

$(VENV)/.test: requirements-test.lock $(VENV)/.run
	$(INSTALL) --require-hashes -r requirements-test.lock
	@touch $@

demo: $(VENV)/.run
	$(BIN)/python examples/demo.py

test: $(VENV)/.test
	$(BIN)/python -m pytest -n 2 --dist loadfile

serve: $(VENV)/.run
	@test -d $(WORKSPACE)/bundles || (echo "$(WORKSPACE) has no models yet: make demo"; exit 1)
	$(BIN)/foretouch serve --workspace $(WORKSPACE) --port $(PORT)

screens: $(VENV)/.test
	PYTHONPATH=. $(BIN)/python examples/screens.py

lint: $(VENV)/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.run
	$(BIN)/python benchmarks/run.py

lock: $(BIN)/uv
	$(BIN)/uv pip compile --quiet pyproject.toml --extra all --group build --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" -o requirements.lock
	$(BIN)/uv pip compile --quiet pyproject.toml --extra all --group build --group test --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-emit-find-links --constraint requirements.lock \
		--custom-compile-command "make lock" -o requirements-test.lock

clean:
	rm -rf $(VENV) .demo
