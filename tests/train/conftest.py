"""A small folder of pictures, and runs on it: as function calls, and as the commands that people type."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

TINY = ("--preset", "tiny", "--batch", "8", "--precision", "fp32")


@pytest.fixture(scope="session")
def sprites(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 pictures of 8×8, a square of one colour each, in two sub-folders."""
    folder, rng = tmp_path_factory.mktemp("sprites"), np.random.default_rng(0)
    for i in range(40):
        label = ("food", "tool")[i % 2]
        (folder / label).mkdir(exist_ok=True)
        pixels = np.zeros((8, 8, 4), dtype=np.uint8)
        top, left = rng.integers(0, 4, 2)
        pixels[top : top + 4, left : left + 4] = (*rng.integers(0, 256, 3), 255)
        Image.fromarray(pixels, "RGBA").save(folder / label / f"{i:02d}.png")
    return folder


def command(*args: str | Path, launcher: tuple[str, ...] = ()) -> list[str]:
    """python -m noisette …, perhaps by a launcher."""
    return [sys.executable, *(("-m", *launcher) if launcher else ()), "-m", "noisette", *map(str, args)]


def run(*args: str | Path, launcher: tuple[str, ...] = (), **extra: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"} | extra
    return subprocess.run(
        command(*args, launcher=launcher), capture_output=True, text=True, env=env, timeout=240, check=False
    )
