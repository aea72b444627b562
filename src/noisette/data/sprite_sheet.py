"""Sources that are sprite sheets: one picture, cut into cells."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from ..errors import InputError
from .decode import decode
from .entry import DEFAULT_LIMITS, BadPicture, Entry, Pixels, ResizedPixels, Source
from .sheet_gaps import Grid, describe_fitting, guess_grid
from .sheet_gutters import Box, Gutters, find_gutters

SHEET_LIMITS = replace(DEFAULT_LIMITS, max_aspect_ratio=DEFAULT_LIMITS.max_side)  # a sheet may be a long strip

CellSize = int | tuple[int, int] | Literal["auto"]  # side, or height and width, in pixels


@dataclass(frozen=True)
class Cells:
    """How a sprite sheet is cut into cells. Lengths in pixels.

    Without spacing and margin, gaps between the cells are recognized, see `sheet_gaps`. If one of them is given, the
    other is 0. With the size "auto", the cells are found by the empty rows and columns between them, at least
    `spacing` (1) of them, see `sheet_gutters`.
    """

    size: CellSize
    spacing: int | None = None  # between cells
    margin: int | None = None  # before the first cell; after the last one, it may be there or not

    def __post_init__(self) -> None:
        if isinstance(self.size, str):
            if self.size != "auto":
                raise InputError(f"cell must be a size in pixels or auto, got {self.size!r}")
            if self.margin is not None:
                raise InputError("margin belongs to cells of a given size: leave it out with cell auto")
        elif min(self.shape) < 1:
            raise InputError(f"cell must be at least 1×1 pixels, got {self.shape[1]}×{self.shape[0]}")
        for name, least in (("spacing", int(self.size == "auto")), ("margin", 0)):
            value = getattr(self, name)
            if value is not None and not least <= value <= DEFAULT_LIMITS.max_side:
                raise InputError(f"{name} must be {least} to {DEFAULT_LIMITS.max_side} pixels, got {value}")

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of cells of a given size."""
        if isinstance(self.size, tuple):
            return self.size
        assert isinstance(self.size, int)
        return self.size, self.size

    @property
    def grid(self) -> Grid | None:
        """The given spacing and margin; None: they are to be recognized."""
        if self.spacing is None and self.margin is None:
            return None
        return Grid(self.spacing or 0, self.margin or 0)


def make_cells(size: CellSize | None, spacing: int | None = None, margin: int | None = None) -> Cells | None:
    """`Cells`, or None without a size. Raises InputError for spacing or margin without a size."""
    if size is not None:
        return Cells(size, spacing, margin)
    if spacing is not None or margin is not None:
        raise InputError("spacing and margin are those of the cells of a sprite sheet: give the size of its cells, too")
    return None


def from_sheet(location: str, cells: Cells) -> Source:
    """Cut a sheet into cells, row by row. Empty cells are left out.

    A cell is empty if it is fully transparent or, in an opaque cell, of one color. Raises InputError if the sheet
    cannot be read, is not a whole number of cells, or has only empty cells.
    """
    path = Path(location)
    if path.stat().st_size > DEFAULT_LIMITS.max_file_bytes:
        raise InputError(
            f"{location} is larger than {DEFAULT_LIMITS.max_file_bytes / 2**20:.0f} MiB: split it into smaller sheets"
        )
    try:
        pixels = decode(path.read_bytes(), SHEET_LIMITS).pixels
    except BadPicture as error:
        raise InputError(f"{location} {error}") from error
    if cells.size != "auto":
        return _cut_grid(location, pixels, cells)
    gutters = find_gutters(pixels, location, cells.spacing or 1)
    if gutters.cells is None:
        return _cut_boxes(location, pixels, gutters)
    found = gutters.cells
    note = f"cells found by the empty lines between them: {len(found.lefts)}×{len(found.tops)} of "
    size = (found.height, found.width)
    return _cut_cells(location, pixels, size, found.tops, found.lefts, (f"{note}{found.width}×{found.height} pixels",))


def _cut_grid(location: str, pixels: Pixels, cells: Cells) -> Source:
    """A sheet with cells of a given size."""
    (height, width), (h, w) = cells.shape, pixels.shape[:2]
    given = cells.grid
    grid = guess_grid(pixels, cells.shape) if given is None else given
    tops, lefts = ([], []) if grid is None else (grid.starts(h, height), grid.starts(w, width))
    if grid is None or not (tops and lefts):
        kind = f"{width}×{height}, nor of such cells with empty lines between them"
        if given is not None:
            kind = f"{width}×{height} with a spacing of {given.spacing} and a margin of {given.margin}"
        raise InputError(
            f"{location} is {w}×{h}, which is not a whole number of cells of {kind}: "
            f"{describe_fitting((h, w), cells.shape, given or Grid())}"
        )
    notes: tuple[str, ...] = ()
    if grid != Grid() or given is not None:
        reason = "as requested" if given else "where it is empty or repeats the edges of cells"
        notes = (f"the sheet was cut with {grid.spacing} pixels between cells and a margin of {grid.margin}, {reason}",)
    return _cut_cells(location, pixels, cells.shape, tops, lefts, notes)


def _cut_cells(
    location: str, pixels: Pixels, size: tuple[int, int], tops: list[int], lefts: list[int], notes: tuple[str, ...]
) -> Source:
    entries, empty = [], 0
    for row, top in enumerate(tops):
        for column, left in enumerate(lefts):
            content = pixels[top : top + size[0], left : left + size[1]]
            if is_empty(content):
                empty += 1
                continue
            entries.append(Entry(f"row {row:03d}, column {column:03d}", partial(np.array, content, order="C")))
    if not entries:
        raise InputError(f"{location} holds no pictures: all its {empty} cells are empty")
    left_out = (f"empty cells, left out: {empty}",) if empty else ()
    return Source(location, "sheet", tuple(entries), (*left_out, *notes))


def _cut_boxes(location: str, pixels: Pixels, gutters: Gutters) -> Source:
    """A sheet without a regular grid: each picture is centered on the size of the largest, to keep their scale."""
    size = max(box.height for box in gutters.boxes), max(box.width for box in gutters.boxes)
    entries = tuple(
        Entry(f"x {box.left:05d}, y {box.top:05d}", partial(_centered, pixels, box, size, gutters.background))
        for box in gutters.boxes
    )
    largest = max(gutters.boxes, key=lambda box: box.height * box.width)
    notes = [
        f"pictures found between empty rows and columns: {len(entries)}; each is centered on {size[1]}×{size[0]} "
        f"pixels, and the largest is that at x {largest.left}, y {largest.top}"
    ]
    if gutters.specks:
        notes.append(f"specks of at most 2×2 pixels, left out: {gutters.specks}")
    return Source(location, "sheet", entries, tuple(notes))


def _centered(pixels: Pixels, box: Box, size: tuple[int, int], background: UInt8[np.ndarray, "c"]) -> ResizedPixels:
    """The part of a sheet in the middle of a picture of (height, width)."""
    picture = np.tile(background, (*size, 1))
    top, left = (size[0] - box.height) // 2, (size[1] - box.width) // 2
    part = pixels[box.top : box.top + box.height, box.left : box.left + box.width]
    picture[top : top + box.height, left : left + box.width] = part
    return picture


def is_empty(pixels: Pixels) -> bool:
    """Whether a cell is fully transparent or, if it is opaque, of one color."""
    if pixels.shape[2] in (2, 4) and not pixels[..., -1].any():
        return True
    opaque = pixels.shape[2] in (1, 3) or bool((pixels[..., -1] == 255).all())
    return opaque and bool((pixels == pixels[0, 0]).all())
