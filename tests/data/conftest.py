"""A set that many tests prepare."""

from pathlib import Path

import pytest

from .build import noise, put


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Thirty pictures of 12×20 with alpha, in two sub-folders."""
    for i in range(30):
        pixels = noise(i, 20, 12, 4)
        pixels[:5, :, 3] = 0
        put(tmp_path / "source" / ("cat" if i % 3 else "dog") / f"{i:02d}.png", pixels)
    return tmp_path / "source"
