# Veille. `make demo` shows what it does, `make test` shows that it does it.

SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	2>/dev/null && { echo $$p; break; }; done)
PYTEST := $(BIN)/python -m pytest -n logical
NEED_PYTHON = test -n "$(PYTHON)" || { echo "Veille needs Python 3.11, 3.12 or 3.13; none was found. Install one, or say make PYTHON=/path/to/python3.12"; exit 1; }

.DEFAULT_GOAL := help
.PHONY: help demo install test check crash trials bench elasticsearch up rehearse kibana format lock clean

help: ## Show this list.
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 18

demo: install ## Play the sample newsroom through Airflow and show what comes out (needs only Python).
	@$(BIN)/veille demo

test: install ## Run all tests that this machine can run.
	@$(PYTEST)

install: $(VENV)/installed ## Make .venv with everything in it, and nothing elsewhere.

$(VENV)/installed: requirements.lock pyproject.toml
	@$(NEED_PYTHON)
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "$(PYTHON) cannot make environments: install its venv package (Debian: apt install python3-venv)"; exit 1; }
	@echo "installing into $(VENV) (once)"
	@test -f $@ || $(PYTHON) -m venv --clear $(VENV)
	@rm -f $@  # until all is there: what an interruption leaves half made is made anew
	@grep -A40 '^uv==' requirements.lock | awk '/^[a-z]/ && !/^uv==/ {exit} {print}' > $(VENV)/uv.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/uv.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --offline -e .
	@touch $@

check: install ## Lint, types and the quick tests (at most 90 s): before every commit.
	@$(BIN)/ruff format --check --quiet . && $(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(PYTEST) -q -m "not slow and not crash and not airflow and not corpus and not elasticsearch"

crash: install ## Kill the line at 200 random moments and every named point: nothing is lost or doubled.
	@VEILLE_CRASHES=200 $(PYTEST) -m crash

trials: install ## The long suites with their full counts (hours).
	@VEILLE_TRIALS=1 VEILLE_CRASHES=200 $(BIN)/python -m pytest -m "crash or (elasticsearch and slow)"

bench: install ## Measure speed, memory and disk as ratios, also against other projects; QUICK=1: less of all, ours alone.
	@$(BIN)/python -m benchmarks $(if $(QUICK),--pages 60 --rounds 1 --polls 5 --many 20000 --newcomers 250 --queries 50 --no-peers)

elasticsearch: install ## Run the Elasticsearch of the tests until Ctrl-C (needs a JDK 25 and Maven).
	@$(BIN)/python tests/searchserver

up: ## Start PostgreSQL, Elasticsearch, Kibana and Airflow in containers (needs Docker with Compose).
	@$(NEED_PYTHON)
	@docker compose version >/dev/null || { echo "make up needs Docker with Compose; without: make rehearse"; exit 1; }
	@$(PYTHON) -m pipeline.deployment passwords
	@chmod -R a+rX config  # it is mounted, and who reads it there is not you, whatever your umask was
	@docker compose up --build --detach
	@imported=$$(docker wait "$$(docker compose ps --all --quiet kibana-setup)") && test "$$imported" = 0 || \
		{ echo "the dashboards are not in Kibana: docker compose logs kibana-setup"; exit 1; }
	@echo "Airflow: http://localhost:8080  Kibana: http://localhost:5601  (docker compose logs, docker compose down)"

rehearse: install ## Run the services of docker-compose.yml without containers (needs a JDK 25 and Maven).
	@$(BIN)/python tests/rehearsal

kibana: install ## Write config/kibana/veille.ndjson anew from the YAML files beside it.
	@$(BIN)/python -m pipeline.kibana

format: install ## Format the code.
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --no-annotate \
	--python-version 3.11 --extra build pyproject.toml
lock: install ## Resolve the dependencies anew into requirements.lock, and what the image needs of them.
	@$(COMPILE) --extra dev --upgrade -o requirements.lock
	@cp requirements.lock requirements-run.lock  # its versions are kept
	@$(COMPILE) -o requirements-run.lock

clean: ## Remove what the demo and the tools made (not .venv).
	@rm -rf .veille .mypy_cache .ruff_cache .pytest_cache .hypothesis
