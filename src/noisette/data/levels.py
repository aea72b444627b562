"""Gray pictures of more than 8 bits: which stored samples become black and white, found once for a whole set.

Microscopes, scanners and simulations store numbers whose range no format states. Two percentiles of all samples of a
set become the ends of the model's range, which are kept with the data set and the model, so that generated pictures can
be written in the unit of the files again.
"""

import math
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor

from ..errors import InputError
from .decode import decode_deep
from .entry import DEFAULT_LIMITS, BadPicture, Entry, Limits, Source

MAX_PER_PICTURE = 2**14  # samples of a picture that count for the percentiles, evenly spaced
MAX_SAMPLES = 2**23  # of all pictures
MIN_PER_PICTURE = 64
MOST = 1e30  # absolute value of a sample

Percentiles = tuple[float, float]


@dataclass(frozen=True)
class Levels:
    """The stored samples at the ends of the model's range. What lies beyond them is clipped."""

    low: float  # becomes black, -1 in model space
    high: float  # becomes white, 1
    is_integer: bool  # the files hold whole numbers from 0 to 65,535; otherwise any numbers

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and -MOST <= self.low < self.high <= MOST):
            raise InputError(
                f"levels must be two numbers from {-MOST:g} to {MOST:g}, the first below the second, got {self.low:g} "
                f"and {self.high:g}"
            )
        if self.is_integer and not 0 <= self.low < self.high <= 65535:
            raise InputError(f"levels of whole numbers must be 0 to 65535, got {self.low} and {self.high}")

    def scale(self, samples: Shaped[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 1"]:
        """Stored samples as 8-bit gray."""
        gray = np.empty((*samples.shape, 1), np.uint8)
        for rows, target in zip(_split_rows(samples), _split_rows(gray), strict=True):
            shares = (rows.astype(np.float64) - self.low) / (self.high - self.low)
            target[..., 0] = np.rint(shares.clip(0, 1) * 255)
        return gray

    def restore(self, x: Float[Tensor, "1 h w"]) -> Shaped[np.ndarray, "h w"]:
        """A picture in model space as samples in the unit of the files: uint16, or float32."""
        shares = ((x[0].double().cpu().numpy() + 1) / 2).clip(0, 1)
        samples = self.low + shares * (self.high - self.low)
        return np.rint(samples).astype(np.uint16) if self.is_integer else samples.astype(np.float32)


def _split_rows(array: np.ndarray) -> list[np.ndarray]:
    """Blocks of rows of at most about 2**20 pixels, so that their float64 copies stay small."""
    return np.array_split(array, -(-array.shape[0] * array.shape[1] // 2**20) or 1)


def check_percentiles(percentiles: Percentiles) -> Percentiles:
    """The same. Raises InputError unless 0 ≤ low < high ≤ 100."""
    low, high = percentiles
    if not 0 <= low < high <= 100:
        raise InputError(f"percentiles must be two numbers from 0 to 100, increasing, got {low:g} and {high:g}")
    return float(low), float(high)


def scale_source(source: Source, percentiles: Percentiles, limits: Limits = DEFAULT_LIMITS) -> tuple[Source, Levels]:
    """The source with its gray pictures of more than 8 bits as 8-bit ones, scaled by percentiles of all of them.

    Other pictures cannot be read from it. Raises InputError if there are none, or if all have one value.
    """
    low, high = check_percentiles(percentiles)
    levels = measure_levels(source, (low, high), limits)
    entries = tuple(replace(entry, read=partial(_read_scaled, entry, levels, limits)) for entry in source.entries)
    note = f"samples from {levels.low:g} to {levels.high:g} (percentiles {low:g} and {high:g}) are black to white"
    return replace(source, entries=entries, notes=(*source.notes, note)), levels


def measure_levels(source: Source, percentiles: Percentiles, limits: Limits = DEFAULT_LIMITS) -> Levels:
    """The levels at two percentiles of the samples of all gray pictures of more than 8 bits.

    Of each picture at most MAX_PER_PICTURE samples count, evenly spaced. Raises InputError as `scale_source`.
    """
    most = min(MAX_PER_PICTURE, max(MIN_PER_PICTURE, MAX_SAMPLES // max(len(source.entries), 1)))
    parts, are_integers, refused = list[np.ndarray](), True, ""
    for entry in source.entries:
        try:
            samples, is_integer = _read_samples(entry, limits)
        except (BadPicture, OSError) as error:  # said of each one when it is scanned
            refused = refused or f" ({entry.name} {error})"
            continue
        flat = samples.ravel()
        parts.append(flat[np.linspace(0, len(flat) - 1, min(most, len(flat))).round().astype(np.int64)])
        are_integers = are_integers and is_integer
    if not parts:
        raise InputError(
            f"{source.location} has no gray pictures of 9 to 16 bits or of floating-point numbers: percentiles are for "
            f"those, leave them out{refused}"
        )
    low, high = (float(v) for v in np.percentile(np.concatenate(parts).astype(np.float64), percentiles))
    if not low < high:
        raise InputError(
            f"the samples of {source.location} at both percentiles are {low:g}: give percentiles that are further apart"
        )
    return Levels(low, high, are_integers)


def _read_samples(entry: Entry, limits: Limits) -> tuple[Shaped[np.ndarray, "h w"], bool]:
    data = entry.read()
    if not isinstance(data, bytes):
        raise BadPicture("has 8 bits, and percentiles are for more")
    return decode_deep(data, limits)


def _read_scaled(entry: Entry, levels: Levels, limits: Limits) -> UInt8[np.ndarray, "h w 1"]:
    return levels.scale(_read_samples(entry, limits)[0])
