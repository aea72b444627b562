"""What the stand-ins for Aseprite and Krita share: arrays as pictures, and the result of a run."""

from dataclasses import dataclass, field

import numpy as np

Array = np.ndarray


@dataclass
class Result:
    """What a run of a script did: layers by name, (H, W, 4) of the whole canvas; and what it complained about."""

    layers: dict[str, Array] = field(default_factory=dict)
    problem: str | None = None


def paste(height: int, width: int, x: int, y: int, pixels: Array) -> Array:
    """A canvas with pixels at a place, cut at its edges."""
    canvas = np.zeros((height, width, *pixels.shape[2:]), pixels.dtype)
    h, w = pixels.shape[:2]
    top, left, down, right = max(y, 0), max(x, 0), min(y + h, height), min(x + w, width)
    canvas[top:down, left:right] = pixels[top - y : down - y, left - x : right - x]
    return canvas


def box_of(mask: Array) -> tuple[int, int, int, int]:
    """x, y, width and height of the marked pixels."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return columns[0].item(), rows[0].item(), np.ptp(columns).item() + 1, np.ptp(rows).item() + 1
