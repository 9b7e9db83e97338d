# `make` lists what there is. Every target makes the virtual environment that it needs.
PYTHON ?= $(shell command -v python3.11 || echo python3)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Names, versions and hashes, for every platform; versions that still fit are kept.
LOCK := $(BIN)/uv pip compile pyproject.toml --extra dev --extra build --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-header --no-annotate --quiet

.DEFAULT_GOAL := help
.PHONY: help demo test check lock bench profile release-sepsis sbom audit clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

$(INSTALLED): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(INSTALLED) ## the whole line: synthetic FHIR, two trained models, a server, cards
	$(BIN)/bedside demo

test: $(INSTALLED) ## all tests
	$(BIN)/python -m pytest

check: $(INSTALLED) ## lint, types, floors, and the lock in step with pyproject.toml
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	cp requirements.lock $(VENV)/requirements.check
	$(LOCK) --output-file $(VENV)/requirements.check
	diff requirements.lock $(VENV)/requirements.check

lock: $(INSTALLED) ## write requirements.lock anew from pyproject.toml
	$(LOCK) --output-file requirements.lock

bench: $(INSTALLED) ## all measurements: one table, benchmarks/results.json
	$(BIN)/python -m benchmarks

profile: $(INSTALLED) ## one request: which functions take the time
	$(BIN)/python -m benchmarks.profile

release-sepsis: $(INSTALLED) ## train the released sepsis model: make release-sepsis DATA=path/to/physionet2019
	$(BIN)/bedside train sepsis --data physionet2019:$(DATA) --output models/sepsis/bundle --compare

sbom: $(INSTALLED) ## what a server is made of, as CycloneDX: build/sbom.cdx.json
	$(BIN)/python -m tests.architecture.sbom build/sbom.cdx.json

audit: $(INSTALLED) ## known vulnerabilities of all that is locked; asks PyPI
	$(BIN)/python -m tests.architecture.audit requirements.lock

clean: ## remove what the targets made
	rm -rf $(VENV) .bedside build
