"""A sprite sheet: one picture that is cut into cells of one size."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from ..errors import InputError
from .decode import decode
from .entry import LIMITS, BadPicture, Entry, Pixels, Source

SHEET_LIMITS = replace(LIMITS, aspect=LIMITS.side)  # a strip is as good a sheet as a square


def from_sheet(given: str, cell: tuple[int, int]) -> Source:
    """Cut a sheet into cells of (height, width), row by row. Cells with nothing in them are left out.

    Nothing: transparent throughout, or, in a sheet without alpha, of one colour throughout.
    """
    height, width = cell
    if min(cell) < 1:
        raise InputError(f"a cell of {width}×{height} holds nothing: give its size in pixels")
    path = Path(given)
    if path.stat().st_size > LIMITS.file_bytes:
        raise InputError(f"{given} is larger than {LIMITS.file_bytes / 2**20:.0f} MiB: cut it into smaller sheets")
    try:
        pixels = decode(path.read_bytes(), SHEET_LIMITS).pixels
    except BadPicture as error:
        raise InputError(f"{given} {error}") from error
    h, w = pixels.shape[:2]
    if h % height or w % width:
        raise InputError(
            f"{given} is {w}×{h}, which is not a whole number of cells of {width}×{height}: give the size of its cells"
        )
    entries, empty = [], 0
    for row in range(h // height):
        for column in range(w // width):
            one = pixels[row * height : (row + 1) * height, column * width : (column + 1) * width]
            if _is_empty(one):
                empty += 1
                continue
            entries.append(Entry(f"row {row:03d}, column {column:03d}", partial(np.array, one, order="C")))
    if not entries:
        raise InputError(f"{given} holds no pictures: all its {empty} cells are empty")
    notes = (f"empty cells, left out: {empty}",) if empty else ()
    return Source(given, "sheet", tuple(entries), notes)


def _is_empty(pixels: Pixels) -> bool:
    if pixels.shape[2] in (2, 4) and not pixels[..., -1].any():
        return True
    opaque = pixels.shape[2] in (1, 3) or bool((pixels[..., -1] == 255).all())
    return opaque and bool((pixels == pixels[0, 0]).all())
