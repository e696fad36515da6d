# make demo   train a small GPT on real text, let it write, see its attention
# make test   all tests
# make notebooks  build all notebooks, or with N=03 one;  make check-notebooks  run and check them
# make tasks  train small models that answer questions, measure them (about half an hour)
# All make a virtual environment in .venv first and install what they need into it.

PYTHON ?= python3
VENV ?= .venv
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: help demo tasks test check lab notebooks check-notebooks clean

help:
	@sed -n 's/^# //p' Makefile
	@echo "make check  formatting, lint, types;  make lab  opens JupyterLab;  make clean  removes $(VENV)"

demo: $(VENV)/.installed
	$(BIN)/python -m minigpt demo

tasks: $(VENV)/.installed
	$(BIN)/python -m minigpt bench tasks
	$(BIN)/python -m minigpt bench tasks --lora

# kernels run on a simulated card in a process of their own, since the simulator takes the place of the real one
test: $(VENV)/.installed-test
	$(BIN)/python -m pytest -q
	MINIGPT_CUDA_SIMULATOR=1 $(BIN)/python -m pytest -q tests/kernels/cuda/simulated

check: $(VENV)/.installed-check
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy

lab: $(VENV)/.installed-notebooks
	$(BIN)/python -m jupyter lab --LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb

notebooks: $(VENV)/.installed-test
	$(BIN)/python notebooks/build.py $(N)

check-notebooks: $(VENV)/.installed-test
	$(BIN)/python notebooks/build.py --check $(N)

clean:
	rm -rf $(VENV)

$(VENV)/.installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	@touch $@

# .installed-test installs the extra [test], and so on
$(VENV)/.installed-%: $(VENV)/.installed
	$(PIP) --editable ".[$*]"
	@touch $@
