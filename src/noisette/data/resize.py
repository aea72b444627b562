"""From one size to another, exactly, or not at all.

Area averaging gives every new pixel the mean of the light that falls into its square. Averages are taken of colour
times alpha, so a transparent pixel adds no colour. All sums are whole numbers below 2^53 (coverage is counted in
fractions of 1 / new size), so nothing is lost before the one rounding at the end.

Pixel art is copied, not averaged: every new pixel is one of the old ones, and the scale is a whole number.
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Float, Float64, Int64

from ..errors import InputError
from .entry import Pixels, Resized

BAND = 2**20  # pixels that are held as float64 at a time


def fit(pixels: Pixels, height: int, width: int, pixel_art: bool = False) -> Resized:
    """Scale a picture to height × width. Its proportions are kept; what is left over is filled by `pad`."""
    size = fitted(pixels.shape[0], pixels.shape[1], height, width, pixel_art)
    return pad(_whole(pixels, *size) if pixel_art else area(pixels, *size), height, width)


def fitted(h: int, w: int, height: int, width: int, pixel_art: bool = False) -> tuple[int, int]:
    """The size to which `fit` scales a picture of h × w before it is padded. Raises InputError where there is none."""
    if not pixel_art:
        return inside(h, w, height, width)
    k = whole_factor(h, w, height, width)
    if k == 0:
        raise InputError(
            f"a picture of {w}×{h} cannot become pixel art of {width}×{height} by a whole factor: "
            f"ask for {reachable(h, w)}, or do without pixel art"
        )
    return (h * k, w * k) if k > 0 else (h // -k, w // -k)


def inside(h: int, w: int, height: int, width: int) -> tuple[int, int]:
    """The largest size of h × w's proportions, rounded to whole pixels, that fits into height × width."""
    if h * width >= w * height:  # the height decides
        return height, min(width, max(1, (2 * w * height + h) // (2 * h)))
    return min(height, max(1, (2 * h * width + w) // (2 * w))), width


def area(pixels: Pixels, height: int, width: int) -> Resized:
    """Resample to height × width by exact area averaging of premultiplied colour. Rounds half up."""
    if pixels.shape[:2] == (height, width):
        return pixels
    sums = area_sums(pixels, height, width).astype(np.int64)  # (c, height, width)
    covered = pixels.shape[0] * pixels.shape[1]  # the sum of all weights that a new pixel gives
    if pixels.shape[2] not in (2, 4):
        return _rounded(sums, np.int64(covered)).transpose(1, 2, 0)
    alpha = sums[-1:]
    colour = _rounded(sums[:-1], np.maximum(alpha, 1))
    alpha = _rounded(alpha, np.int64(covered))
    return np.concatenate([np.where(alpha > 0, colour, np.uint8(0)), alpha]).transpose(1, 2, 0)


def area_sums(pixels: Pixels, height: int, width: int) -> Float64[np.ndarray, "c height width"]:
    """What falls into every new pixel: h · w times the mean of c · a, or of c where there is no alpha."""
    h, w, channels = pixels.shape
    down, across = coverage(h, height), coverage(w, width).T
    sums = np.zeros((channels, height, width))
    rows = max(1, BAND // w)
    for top in range(0, h, rows):
        band = pixels[top : top + rows].transpose(2, 0, 1).astype(np.float64, order="C")
        if channels in (2, 4):
            band[:-1] *= band[-1:]
        sums += down[:, top : top + rows] @ (band @ across)
    return sums


@lru_cache(maxsize=64)
def coverage(old: int, new: int) -> Float[np.ndarray, "new old"]:
    """How much of old pixel j lies in new pixel i, in units of 1 / new of an old pixel. Every row sums to `old`."""
    i, j = np.arange(new)[:, None], np.arange(old)[None, :]
    overlap = np.minimum((i + 1) * old, (j + 1) * new) - np.maximum(i * old, j * new)
    cover = np.maximum(overlap, 0).astype(np.float64)
    cover.flags.writeable = False
    return cover


def _rounded(sums: Int64[np.ndarray, "..."], over: np.int64 | Int64[np.ndarray, "..."]) -> np.ndarray:
    return ((2 * sums + over) // (2 * over)).astype(np.uint8)


# ── pixel art ─────────────────────────────────────────────────────────────────────────────────────────────────────


def whole_factor(h: int, w: int, height: int, width: int) -> int:
    """The scale from h × w into height × width: k > 0 enlarges k times, -k keeps one pixel of k × k; 0: impossible."""
    if h <= height and w <= width:
        return min(height // h, width // w)
    k = max(-(-h // height), -(-w // width))
    return -k if h % k == 0 and w % k == 0 else 0


def _whole(pixels: Pixels, height: int, width: int) -> Resized:
    """At height × width, which is its size times a whole number, or divided by one."""
    k = height // pixels.shape[0]
    if k > 0:
        return pixels.repeat(k, axis=0).repeat(k, axis=1)
    k = pixels.shape[0] // height
    return pixels[k // 2 :: k, k // 2 :: k]


def is_enlarged(pixels: Pixels, height: int, width: int) -> bool:
    """Whether nothing is lost: either nothing is shrunk, or every block that becomes one pixel is of one colour."""
    h, w = pixels.shape[:2]
    k = -whole_factor(h, w, height, width)
    if k <= 1:
        return True
    kept = pixels[::k, ::k].repeat(k, axis=0).repeat(k, axis=1)
    return bool((kept == pixels).all())


def reachable(h: int, w: int) -> str:
    """The sizes that a whole factor leads to, width × height, in words."""
    sizes = [f"{w // k}×{h // k}" for k in range(1, min(h, w) // 8 + 1) if h % k == 0 and w % k == 0]
    return " or ".join(sizes[:4]) or "nothing smaller"


def pad(pixels: Pixels, height: int, width: int) -> Resized:
    """Centre a picture in height × width: transparent around it, or, without alpha, its edge drawn out."""
    h, w, channels = pixels.shape
    if (h, w) == (height, width):
        return pixels
    top, left = (height - h) // 2, (width - w) // 2
    around = ((top, height - h - top), (left, width - w - left), (0, 0))
    return np.pad(pixels, around) if channels in (2, 4) else np.pad(pixels, around, mode="edge")
