"""Sources that are sprite sheets: one picture, cut into cells of equal size."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from ..errors import InputError
from .decode import decode
from .entry import DEFAULT_LIMITS, BadPicture, Entry, Pixels, Source
from .sheet_gaps import Grid, guess_grid

SHEET_LIMITS = replace(DEFAULT_LIMITS, max_aspect_ratio=DEFAULT_LIMITS.max_side)  # a sheet may be a long strip


def from_sheet(location: str, cell: tuple[int, int]) -> Source:
    """Cut a sheet into cells of (height, width), row by row. Empty cells are left out.

    Gaps between cells are recognized, see `guess_grid`. A cell is empty if it is fully transparent or, in an opaque
    cell, of one color. Raises InputError if the sheet cannot be read, is not a whole number of cells, or has only
    empty cells.
    """
    height, width = cell
    if min(cell) < 1:
        raise InputError(f"cell must be at least 1×1 pixels, got {width}×{height}")
    path = Path(location)
    if path.stat().st_size > DEFAULT_LIMITS.max_file_bytes:
        raise InputError(
            f"{location} is larger than {DEFAULT_LIMITS.max_file_bytes / 2**20:.0f} MiB: split it into smaller sheets"
        )
    try:
        pixels = decode(path.read_bytes(), SHEET_LIMITS).pixels
    except BadPicture as error:
        raise InputError(f"{location} {error}") from error
    h, w = pixels.shape[:2]
    grid = guess_grid(pixels, cell)
    if grid is None:
        raise InputError(
            f"{location} is {w}×{h}, which is not a whole number of cells of {width}×{height}, nor of such cells with "
            "empty lines between them: give the size of its cells"
        )
    entries, empty = [], 0
    for row, top in enumerate(grid.starts(h, height)):
        for column, left in enumerate(grid.starts(w, width)):
            content = pixels[top : top + height, left : left + width]
            if is_empty(content):
                empty += 1
                continue
            entries.append(Entry(f"row {row:03d}, column {column:03d}", partial(np.array, content, order="C")))
    if not entries:
        raise InputError(f"{location} holds no pictures: all its {empty} cells are empty")
    notes = [f"empty cells, left out: {empty}"] if empty else []
    if grid != Grid():
        notes.append(
            f"the sheet was cut with {grid.spacing} pixels between cells and a margin of {grid.margin}, where it is "
            "empty or repeats the edges of cells"
        )
    return Source(location, "sheet", tuple(entries), tuple(notes))


def is_empty(pixels: Pixels) -> bool:
    """Whether a cell is fully transparent or, if it is opaque, of one color."""
    if pixels.shape[2] in (2, 4) and not pixels[..., -1].any():
        return True
    opaque = pixels.shape[2] in (1, 3) or bool((pixels[..., -1] == 255).all())
    return opaque and bool((pixels == pixels[0, 0]).all())
