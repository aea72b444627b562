"""Thumbnails of pictures: 8×8 averages of premultiplied color and alpha, 256 numbers a picture.

Those of a set are kept in a temporary file, if they take more than MEMORY_BYTES.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float32, Int64, UInt8

from .color_mode import convert_mode
from .entry import Pixels
from .resize import BAND_PIXELS, area_sums, coverage_matrix

THUMBNAIL_SIZE = 8  # pixels per side
VALUES = 4 * THUMBNAIL_SIZE**2
ROW_BYTES = 4 * VALUES
MEMORY_BYTES = 2**25  # of a store in memory; more is in a temporary file
BLOCK_ROWS = 8192  # that are read at a time

Thumbnails = Float[np.ndarray, "_ 256"]


def make_thumbnails(rgba: UInt8[np.ndarray, "n h w 4"]) -> Thumbnails:
    """The thumbnail of each picture: premultiplied red, green, blue and alpha planes of 8×8, 0 to 255, flat."""
    n, height, width, _ = rgba.shape
    if height * width > BAND_PIXELS // 8:
        sums = np.stack([area_sums(picture, THUMBNAIL_SIZE, THUMBNAIL_SIZE) for picture in rgba])
        sums[:, :3] /= 255
    else:
        down, across = coverage_matrix(height, THUMBNAIL_SIZE), coverage_matrix(width, THUMBNAIL_SIZE).T
        if height * width <= 2**16 and (rgba[..., 3] == 255).all():  # sums below 2^24, exact in single precision
            planes = rgba[..., :3].transpose(0, 3, 1, 2).astype(np.float32, order="C")
            sums = np.full((n, 4, THUMBNAIL_SIZE, THUMBNAIL_SIZE), 255.0 * height * width)
            sums[:, :3] = down.astype(np.float32) @ (planes @ across.astype(np.float32))
        else:
            premultiplied = rgba.transpose(0, 3, 1, 2).astype(np.float64, order="C")
            premultiplied[:, :3] *= premultiplied[:, 3:]
            sums = down @ (premultiplied @ across)  # whole numbers below 2^53: exact in any order
            sums[:, :3] /= 255
    return (sums / (height * width)).reshape(n, -1).astype(np.float32)


def make_thumbnail(pixels: Pixels) -> Float32[np.ndarray, "256"]:
    """The thumbnail of one picture (h, w, c)."""
    return make_thumbnails(convert_mode(pixels, "RGBA")[None])[0]


@runtime_checkable
class ThumbnailRows(Protocol):
    """Thumbnails that are read by their numbers: an array, or rows of a store."""

    def __len__(self) -> int: ...
    def __getitem__(self, rows: Int64[np.ndarray, "k"] | slice) -> Thumbnails: ...


class ThumbnailStore:
    """The thumbnails of a set, in memory or in a temporary file."""

    def __init__(self) -> None:
        self.file = tempfile.SpooledTemporaryFile(MEMORY_BYTES)  # noqa: SIM115 - it is closed when it is collected
        self.rows = 0

    def __len__(self) -> int:
        return self.rows

    def append(self, thumbnails: Thumbnails) -> None:
        """Add thumbnails at the end."""
        self.file.seek(self.rows * ROW_BYTES)
        self.file.write(np.ascontiguousarray(thumbnails).tobytes())
        self.rows += len(thumbnails)

    def read(self, first: int, count: int) -> Thumbnails:
        """Thumbnails that lie one after the other."""
        self.file.seek(first * ROW_BYTES)
        return np.frombuffer(self.file.read(count * ROW_BYTES), np.float32).reshape(-1, VALUES)

    def select(self, rows: Int64[np.ndarray, "n"], most: int) -> ThumbnailRows:
        """Thumbnails of these rows, increasing; up to `most` as an array."""
        chosen = ChosenThumbnails(self, rows)
        if len(rows) > most:
            return chosen
        array = np.empty((len(rows), VALUES), np.float32)
        for part, block in in_blocks(chosen):
            array[part] = block
        return array


@dataclass(frozen=True)
class ChosenThumbnails:
    """Some rows of a store, in increasing order."""

    store: ThumbnailStore
    rows: Int64[np.ndarray, "n"]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: Int64[np.ndarray, "k"] | slice) -> Thumbnails:
        """Thumbnails by their numbers: a slice of them, or any in any order."""
        wanted = self.rows[rows]
        if isinstance(rows, slice) and len(wanted) and wanted[-1] - wanted[0] < 2 * len(wanted):
            return self.store.read(int(wanted[0]), int(wanted[-1] - wanted[0] + 1))[wanted - wanted[0]]
        distinct, places = np.unique(wanted, return_inverse=True)
        array = np.empty((len(distinct), VALUES), np.float32)
        for i, row in enumerate(distinct.tolist()):
            array[i] = self.store.read(row, 1)[0]
        return array[places]


def in_blocks(thumbnails: ThumbnailRows, rows: int = BLOCK_ROWS) -> Iterator[tuple[slice, Thumbnails]]:
    """All thumbnails in blocks, each with the slice that it is."""
    for first in range(0, len(thumbnails), rows):
        part = slice(first, min(first + rows, len(thumbnails)))
        yield part, thumbnails[part]
