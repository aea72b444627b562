"""Pictures with masks: one bright shape a picture on dark texture, with noise over all."""

from pathlib import Path

import numpy as np
from PIL import Image


def shape(rng: np.random.Generator, side: int) -> np.ndarray:
    """A disc or a box somewhere, bool."""
    y, x = np.mgrid[:side, :side]
    r = rng.uniform(0.15, 0.3) * side
    cy, cx = rng.uniform(r, side - r, 2)
    if rng.random() < 0.5:
        return (y - cy) ** 2 + (x - cx) ** 2 <= r**2
    return (abs(y - cy) <= r) & (abs(x - cx) <= 0.7 * r)


def pair(rng: np.random.Generator, side: int) -> tuple[Image.Image, Image.Image]:
    """RGB, and black and white."""
    inside = shape(rng, side)
    texture = rng.uniform(20, 90, (side, side, 3))
    color = rng.uniform(150, 230, 3)
    pixels = np.where(inside[..., None], color, texture) + rng.normal(0, 10, (side, side, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), Image.fromarray((inside * 255).astype(np.uint8))


def folder(root: Path, n: int = 24, side: int = 8, seed: int = 0) -> Path:
    """images/NN.png and masks/NN.png."""
    rng = np.random.default_rng(seed)
    for sub in ("images", "masks"):
        (root / sub).mkdir(parents=True, exist_ok=True)
    for i in range(n):
        picture, mask = pair(rng, side)
        picture.save(root / "images" / f"{i:02d}.png")
        mask.save(root / "masks" / f"{i:02d}.png")
    return root
