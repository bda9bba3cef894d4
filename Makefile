# Every target sets up what it needs; `make help` lists them.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
KLINES ?= ../shared/klines
LIMIT ?= 8000
.DEFAULT_GOAL := help
.PHONY: help demo test slow check format docs bench report-card backtest clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/:/' | sort | awk -F: '{printf "  make %-12s%s\n", $$1, $$2}'

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# Reading charts: no torch, under a minute and a half.
$(VENV)/.light: pyproject.toml | $(BIN)/python
	@echo "Installing vision_ai (about a minute) ..."
	$(PIP) -e .
	@touch $@

# Everything: training, GPT, evaluation and the developers' tools.
$(VENV)/.full: pyproject.toml | $(BIN)/python
	@echo "Installing vision_ai with the training stack (about three minutes) ..."
	$(PIP) -e '.[train,gpt,evaluate,dev]'
	@touch $@ $(VENV)/.light

demo: $(VENV)/.light ## set up, then read charts of simulated candles: no keys, no network
	$(BIN)/vision-ai demo

test: $(VENV)/.full ## set up, then run the default tests (under five minutes on two cores)
	$(BIN)/python -m pytest -m "not slow" -n auto --dist loadfile

slow: $(VENV)/.full ## the long tests: kills, real candles, training
	$(BIN)/python -m pytest -m slow --durations=10

check: $(VENV)/.full ## format, lint, types, import contracts, doctests and generated docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest --doctest-modules vision_ai
	$(BIN)/python scripts/write_docs.py --check

format: $(VENV)/.full ## format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/.full ## write docs/cli.md and the pictures of docs/setups.md anew
	$(BIN)/python scripts/write_docs.py

bench: $(VENV)/.full ## speed of drawing and embedding
	$(BIN)/python benchmarks/render.py
	$(BIN)/python benchmarks/embed.py
	$(BIN)/python benchmarks/scan.py

report-card: $(VENV)/.full ## measure the current model on the bench candles and write docs/report-card.md
	$(BIN)/python benchmarks/report_card.py --klines $(KLINES) --limit $(LIMIT)

backtest: $(VENV)/.full ## walk through the 5m bench candles and write the trading section of the card
	$(BIN)/python benchmarks/backtest.py --klines $(KLINES)/bench-bybit-5m
	$(BIN)/python benchmarks/report_card.py --page-only

clean: ## remove what was installed and cached
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info
