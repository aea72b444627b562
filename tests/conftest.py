"""Shapes and types are executed in the tests: every call into noisette is checked against its annotations."""

import gc
import os

gc.disable()  # until the modules are imported: they make a million objects, and all of them stay

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from typechecker import install

install("noisette")

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import settings
from PIL import Image

settings.register_profile("noisette", deadline=None)  # a slow moment of the machine is no defect
settings.load_profile("noisette")
torch.set_num_threads(1)  # the tensors are tiny, and two threads wait for each other wherever something else runs


gc.enable()


def pytest_collection_finish() -> None:
    """What is there now stays: each collection of garbage would look through it again."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with many slow tests first: workers are dealt whole files, and none should end with a long one, alone."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


@pytest.fixture(autouse=True)
def _deterministic() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def sprites(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 pictures of 8×8, a square of one color each, in two sub-folders."""
    folder, rng = tmp_path_factory.mktemp("sprites"), np.random.default_rng(0)
    for i in range(40):
        label = ("food", "tool")[i % 2]
        (folder / label).mkdir(exist_ok=True)
        pixels = np.zeros((8, 8, 4), dtype=np.uint8)
        top, left = rng.integers(0, 4, 2)
        pixels[top : top + 4, left : left + 4] = (*rng.integers(0, 256, 3), 255)
        Image.fromarray(pixels, "RGBA").save(folder / label / f"{i:02d}.png")
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium as the machine has it. One for all tests of a process: a second would find the first one's loop."""
    sync_api = pytest.importorskip("playwright.sync_api")
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None and "CI" not in os.environ:
        pytest.skip("there is no Chromium here: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader"]  # the last: WebGL without a GPU
        shown = playwright.chromium.launch(executable_path=found, args=flags)
        yield shown
        shown.close()
