"""Exact resizing of pictures: area averaging, or whole factors for pixel art.

Area averaging gives each new pixel the mean of the old pixels that it covers, weighted by the covered area. Means are
taken of premultiplied color, so transparent pixels contribute no color. All sums are integers below 2^53 (coverage is
counted in units of 1 / new size), so the only rounding is the last one.

Pixel art is enlarged or reduced by a whole factor: every new pixel is a copy of an old one.
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Float, Float64, Int64

from ..errors import InputError
from .entry import Pixels, ResizedPixels

BAND_PIXELS = 2**20  # pixels that are converted to float64 at a time


def resize_and_pad(pixels: Pixels, height: int, width: int, pixel_art: bool = False) -> ResizedPixels:
    """Resize a picture (h, w, c) to fit into height × width, keeping its proportions, and `pad` it to that size.

    Raises InputError as `fitted_size` does.
    """
    size = fitted_size(pixels.shape[0], pixels.shape[1], height, width, pixel_art)
    return pad(_resize_integer(pixels, *size) if pixel_art else resize_area(pixels, *size), height, width)


def fitted_size(h: int, w: int, height: int, width: int, pixel_art: bool = False) -> tuple[int, int]:
    """The size, before padding, of a picture of h × w that is resized to fit into height × width.

    Raises InputError for pixel art if no whole factor leads to such a size.
    """
    if not pixel_art:
        return size_within(h, w, height, width)
    k = integer_factor(h, w, height, width)
    if k == 0:
        raise InputError(
            f"a picture of {w}×{h} cannot become pixel art of {width}×{height} by a whole factor: "
            f"use {describe_integer_sizes(h, w)}, or turn pixel art off"
        )
    return (h * k, w * k) if k > 0 else (h // -k, w // -k)


def size_within(h: int, w: int, height: int, width: int) -> tuple[int, int]:
    """The largest size with the proportions of h × w, rounded to whole pixels, that fits into height × width."""
    if h * width >= w * height:  # the height decides
        return height, min(width, max(1, (2 * w * height + h) // (2 * h)))
    return min(height, max(1, (2 * h * width + w) // (2 * w))), width


def resize_area(pixels: Pixels, height: int, width: int) -> ResizedPixels:
    """Resize a picture (h, w, c) to height × width by exact area averaging of premultiplied color; rounds half up."""
    if pixels.shape[:2] == (height, width):
        return pixels
    sums = area_sums(pixels, height, width).astype(np.int64)  # (c, height, width)
    covered = pixels.shape[0] * pixels.shape[1]  # the sum of the weights of a new pixel
    if pixels.shape[2] not in (2, 4):
        return _divide_rounded(sums, np.int64(covered)).transpose(1, 2, 0)
    alpha = sums[-1:]
    color = _divide_rounded(sums[:-1], np.maximum(alpha, 1))
    alpha = _divide_rounded(alpha, np.int64(covered))
    return np.concatenate([np.where(alpha > 0, color, np.uint8(0)), alpha]).transpose(1, 2, 0)


def area_sums(pixels: Pixels, height: int, width: int) -> Float64[np.ndarray, "c height width"]:
    """The weighted sum for each new pixel: h · w times the mean of color · alpha, or of color without alpha."""
    h, w, channels = pixels.shape
    down, across = coverage_matrix(h, height), coverage_matrix(w, width).T
    sums = np.zeros((channels, height, width))
    rows = max(1, BAND_PIXELS // w)
    for top in range(0, h, rows):
        band = pixels[top : top + rows].transpose(2, 0, 1).astype(np.float64, order="C")
        if channels in (2, 4):
            band[:-1] *= band[-1:]
        sums += down[:, top : top + rows] @ (band @ across)
    return sums


@lru_cache(maxsize=64)
def coverage_matrix(old: int, new: int) -> Float[np.ndarray, "new old"]:
    """The overlap of old pixel j with new pixel i along one axis, in units of 1/new old pixels. Rows sum to `old`."""
    i, j = np.arange(new)[:, None], np.arange(old)[None, :]
    overlap = np.minimum((i + 1) * old, (j + 1) * new) - np.maximum(i * old, j * new)
    coverage = np.maximum(overlap, 0).astype(np.float64)
    coverage.flags.writeable = False
    return coverage


def _divide_rounded(sums: Int64[np.ndarray, "..."], divisor: np.int64 | Int64[np.ndarray, "..."]) -> np.ndarray:
    """Integer division, rounded half up, as uint8."""
    return ((2 * sums + divisor) // (2 * divisor)).astype(np.uint8)


# ── pixel art ─────────────────────────────────────────────────────────────────────────────────────────────────────


def integer_factor(h: int, w: int, height: int, width: int) -> int:
    """The whole factor from h × w into height × width: k enlarges k times, -k reduces k times, 0 means impossible."""
    if h <= height and w <= width:
        return min(height // h, width // w)
    k = max(-(-h // height), -(-w // width))
    return -k if h % k == 0 and w % k == 0 else 0


def _resize_integer(pixels: Pixels, height: int, width: int) -> ResizedPixels:
    """Resize to height × width, the old size times or divided by a whole factor k; keeps one pixel of each k × k."""
    k = height // pixels.shape[0]
    if k > 0:
        return pixels.repeat(k, axis=0).repeat(k, axis=1)
    k = pixels.shape[0] // height
    return pixels[k // 2 :: k, k // 2 :: k]


def is_lossless_shrink(pixels: Pixels, height: int, width: int) -> bool:
    """Whether resizing by a whole factor loses nothing: no reduction, or each block of k × k pixels has one color."""
    h, w = pixels.shape[:2]
    k = -integer_factor(h, w, height, width)
    if k <= 1:
        return True
    restored = pixels[::k, ::k].repeat(k, axis=0).repeat(k, axis=1)
    return bool((restored == pixels).all())


def describe_integer_sizes(h: int, w: int) -> str:
    """For messages: up to four sizes, width×height, that whole factors lead to from h × w."""
    sizes = [f"{w // k}×{h // k}" for k in range(1, min(h, w) // 8 + 1) if h % k == 0 and w % k == 0]
    return " or ".join(sizes[:4]) or "nothing smaller"


def pad(pixels: Pixels, height: int, width: int) -> ResizedPixels:
    """Center a picture in height × width; the padding is transparent or, without alpha, repeats the edge pixels."""
    h, w, channels = pixels.shape
    if (h, w) == (height, width):
        return pixels
    top, left = (height - h) // 2, (width - w) // 2
    widths = ((top, height - h - top), (left, width - w - left), (0, 0))
    return np.pad(pixels, widths) if channels in (2, 4) else np.pad(pixels, widths, mode="edge")
