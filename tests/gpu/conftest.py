"""Tests of an accelerator (CUDA, ROCm, XPU, MPS), compared with the CPU: `pytest -m gpu`.

Without an accelerator they are skipped. NOISETTE_TEST_DEVICE=cpu runs them on the CPU instead, to exercise the tests
themselves.
"""

import os
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).parent
HIDDEN = dict.fromkeys(("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"), "") | {"ZE_AFFINITY_MASK": "none"}


def device() -> torch.device | None:
    """The device under test; None: there is none."""
    name = os.environ.get("NOISETTE_TEST_DEVICE")
    return torch.device(name) if name else torch.accelerator.current_accelerator(check_available=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder `gpu`, and skip it where there is no accelerator."""
    skip = pytest.mark.skip(reason="there is no accelerator here; NOISETTE_TEST_DEVICE=cpu runs these tests on the CPU")
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.gpu)
            if device() is None:
                item.add_marker(skip)
