"""What kind of picture it is, and as what kind a set is kept."""

from collections.abc import Iterable
from typing import Literal

import numpy as np

from ..pictures import CHANNELS, Mode
from .entry import Pixels, Recoloured

Alpha = Literal["none", "binary", "soft"]
MODES: dict[int, Mode] = {n: mode for mode, n in CHANNELS.items()}


def alpha_kind(pixels: Pixels) -> Alpha:
    """none: opaque everywhere; binary: 0 or 255; soft: something between."""
    if pixels.shape[2] not in (2, 4):
        return "none"
    alpha = pixels[..., -1]
    if (alpha == 255).all():
        return "none"
    return "soft" if ((alpha > 0) & (alpha < 255)).any() else "binary"


def is_grey(pixels: Pixels) -> bool:
    """Whether red, green and blue are the same everywhere."""
    if pixels.shape[2] <= 2:
        return True
    return bool((pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 1] == pixels[..., 2]).all())


def choose(kinds: Iterable[tuple[Alpha, bool]]) -> Mode:
    """The smallest mode that loses nothing of pictures of these (alpha kind, grey)."""
    kinds = list(kinds)
    alpha, grey = any(a != "none" for a, _ in kinds), all(g for _, g in kinds)
    if alpha:
        return "LA" if grey else "RGBA"
    return "L" if grey else "RGB"


def as_mode(pixels: Pixels, mode: Mode) -> Recoloured:
    """Convert; what is transparent is laid on white where the mode has no alpha, and grey is Rec. 601 luma."""
    if pixels.shape[2] == CHANNELS[mode]:
        return pixels
    colour, alpha = pixels, np.full((*pixels.shape[:2], 1), 255, np.uint8)
    if pixels.shape[2] in (2, 4):
        colour, alpha = pixels[..., :-1], pixels[..., -1:]
    if mode in ("L", "RGB") and alpha_kind(pixels) != "none":
        a = alpha.astype(np.uint32)
        colour = ((colour * a + 255 * (255 - a) + 127) // 255).astype(np.uint8)
    if mode in ("RGB", "RGBA"):
        colour = np.broadcast_to(colour, (*colour.shape[:2], 3))
    elif colour.shape[2] == 3:
        colour = luma(colour)
    return np.concatenate([colour, alpha], axis=2) if mode in ("LA", "RGBA") else np.ascontiguousarray(colour)


def luma(colour: Pixels) -> Recoloured:
    """Rec. 601, in whole numbers: greys stay what they are."""
    weights = np.array([299, 587, 114], np.uint32)
    return ((colour.astype(np.uint32) @ weights + 500) // 1000).astype(np.uint8)[..., None]
