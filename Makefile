# Two commands do everything: `make demo` and `make test`. Each installs what it needs into .venv first.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

# Projects whose weights we read, to compare with. Without what they ask for: torchvision has no build that fits a CPU
# torch, and none of it is needed to build their networks.
PEERS := guided-diffusion-sdk denoising-diffusion-pytorch ema-pytorch einops

.PHONY: demo test check clean

demo: $(VENV)/.demo  ## train on the built-in emoji for about five minutes, and draw
	$(BIN)/noisette demo

test: $(VENV)/.test  ## every check: format, lint, types, layers, tests
	$(MAKE) check

check:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not gpu" -n 2 --dist loadfile --no-loadscope-reorder $(PYTEST)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -e ".[all]"
	touch $@

$(VENV)/.test: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -e ".[test]"
	$(INSTALL) --no-deps $(PEERS)
	touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
