"""Color modes of decoded pictures: detection of alpha and grayscale, and conversion between L, LA, RGB and RGBA."""

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np

from .entry import ConvertedPixels, Pixels
from .pictures import MODE_CHANNELS, Mode

AlphaKind = Literal["none", "binary", "soft"]
MAX_SNAP = 16  # levels of 255 by which `alpha_snap` may change an alpha
SNAP_SHARE = 0.03  # pixels that it may change, as a share of those that are clear, or opaque


def alpha_kind(pixels: Pixels) -> AlphaKind:
    """The alpha of a picture: "none" (opaque everywhere), "binary" (0 or 255) or "soft" (values between)."""
    if pixels.shape[2] not in (2, 4):
        return "none"
    alpha = pixels[..., -1]
    if (alpha == 255).all():
        return "none"
    return "soft" if ((alpha > 0) & (alpha < 255)).any() else "binary"


def measure_alpha_snap(counts: Sequence[int]) -> tuple[int, int]:
    """`Pictures.alpha_snap` of pictures in which counts[a] pixels have alpha a, 0 to 255.

    As far from 0 and from 255 as the pictures have next to nothing there: a generated alpha of 5, where the data have
    hundreds of clear pixels for each such alpha, is a clear pixel with an error of 5 levels. Pictures without clear
    pixels, or with a soft shadow that begins right beside them, are left alone.
    """
    low = next(k for k in range(MAX_SNAP, -1, -1) if sum(counts[1 : k + 1]) <= SNAP_SHARE * counts[0])
    high = next(k for k in range(MAX_SNAP, -1, -1) if sum(counts[255 - k : 255]) <= SNAP_SHARE * counts[255])
    return (low if counts[0] else 0), (255 - high if counts[255] else 255)


def is_grayscale(pixels: Pixels) -> bool:
    """Whether red, green and blue are equal in every pixel."""
    if pixels.shape[2] <= 2:
        return True
    return bool((pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 1] == pixels[..., 2]).all())


def choose_mode(kinds: Iterable[tuple[AlphaKind, bool]]) -> Mode:
    """The smallest lossless mode for a set, given each picture's alpha kind and whether it is grayscale."""
    kinds = list(kinds)
    has_alpha, grayscale = any(alpha != "none" for alpha, _ in kinds), all(gray for _, gray in kinds)
    if has_alpha:
        return "LA" if grayscale else "RGBA"
    return "L" if grayscale else "RGB"


def convert_mode(pixels: Pixels, mode: Mode) -> ConvertedPixels:
    """Convert pixels (h, w, c) to a mode.

    Dropping alpha composites the picture on white; grayscale is Rec. 601 luma; added alpha is 255.
    """
    if pixels.shape[2] == MODE_CHANNELS[mode]:
        return pixels
    color, alpha = pixels, np.full((*pixels.shape[:2], 1), 255, np.uint8)
    if pixels.shape[2] in (2, 4):
        color, alpha = pixels[..., :-1], pixels[..., -1:]
    if mode in ("L", "RGB") and alpha_kind(pixels) != "none":
        a = alpha.astype(np.uint32)
        color = ((color * a + 255 * (255 - a) + 127) // 255).astype(np.uint8)
    if mode in ("RGB", "RGBA"):
        color = np.broadcast_to(color, (*color.shape[:2], 3))
    elif color.shape[2] == 3:
        color = rgb_to_luma(color)
    return np.concatenate([color, alpha], axis=2) if mode in ("LA", "RGBA") else np.ascontiguousarray(color)


def rgb_to_luma(rgb: Pixels) -> ConvertedPixels:
    """Rec. 601 luma in integer arithmetic, rounded to nearest: gray pixels keep their value."""
    weights = np.array([299, 587, 114], np.uint32)
    return ((rgb.astype(np.uint32) @ weights + 500) // 1000).astype(np.uint8)[..., None]
