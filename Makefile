# Thin targets; what they do is in deploy/install.sh, the command line and the modules named here.
VENV ?= .venv
BIN := $(VENV)/bin
PORT ?= 8000
FUZZ_S ?= 120
.DEFAULT_GOAL := help
.PHONY: help setup serve test lint types format bench bench-erasure bench-tofu bench-guards bench-lifecycle fuzz demo-model demo-gold

help:            ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 14

setup:           ## install into .venv, start nothing
	@VENV=$(VENV) bash deploy/install.sh

serve: setup     ## start the gateway on the demo model (http://127.0.0.1:8000)
	@$(BIN)/unlearn-gateway serve --data-dir data --port $(PORT) --no-auth --allow-guards-off

test: setup      ## run the tests, two files at a time
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --max-worker-restart 0

lint: setup      ## ruff
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: setup     ## mypy --strict
	$(BIN)/mypy

format: setup    ## rewrite with ruff
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .

bench: setup     ## measure the whole path (docs/benchmarks.md)
	$(BIN)/python -m benchmarks.main_job --json build/main_job.json

bench-erasure: setup build/gold-20 ## every erasure method, all columns (docs/erasure.md; resumable)
	$(BIN)/python -m benchmarks.erasure --method all --people 1 5 20 --sequence --watched --speed --markdown

bench-tofu: setup ## TOFU on models trained from nothing (docs/erasure.md; resumable)
	$(BIN)/python -m benchmarks.tofu --method all --markdown

bench-guards: setup ## cost, recall, false positives, leaks of the guards (docs/guards.md; resumable)
	$(BIN)/python -m benchmarks.guards --json build/guards.json --markdown

bench-lifecycle: setup ## the guard on three replicas, POSTs a second, 10,000 requests, Redis away (docs/lifecycle.md)
	$(BIN)/python -m benchmarks.lifecycle --json build/lifecycle.json --markdown

fuzz: setup      ## fuzz the guards with atheris, FUZZ_S seconds each; what fails is left in build/
	@mkdir -p build; for part in normaliser matcher policy audit; do \
	  $(BIN)/python -m benchmarks.fuzz.$$part -max_total_time=$(FUZZ_S) -len_control=0 -max_len=400 -artifact_prefix=build/ || exit 1; done

build/gold-20:
	$(BIN)/python -m unlearn_engine.demo.train --without-people 20 --out build/gold-20

demo-model: setup ## retrain the demo model
	$(BIN)/python -m unlearn_engine.demo.train --out unlearn_engine/demo/base

demo-gold: setup ## retrain it without the people to be forgotten
	$(BIN)/python -m unlearn_engine.demo.train --without-forget-people --out unlearn_engine/demo/gold
