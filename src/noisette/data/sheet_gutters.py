"""`--cell auto`: where the pictures of a sheet are, found by the empty rows and columns between them.

The sheet is cut along its empty rows and columns, each part again along its own, and so on (recursive X-Y cut, Nagy &
Seth 1984). If the parts lie in a regular grid, at the smallest step at which empty lines repeat through the sheet, its
cells are taken instead. Empty is transparent, or the one color of whole rows or columns.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, UInt8, UInt32

from ..errors import InputError
from .color_mode import convert_mode
from .decode import pack_channels
from .entry import Pixels
from .sheet_gaps import Grid

MIN_STEP = 4  # pixels from one cell to the next
MAX_GRID_GAP = 16  # pixels between the cells of a regular grid, and of its margin
MAX_PARTS = 1.5  # regions in a cell of a regular grid, on average
MAX_CUTS = 32  # levels of cuts within cuts
MAX_REGIONS = 20_000
MIN_SIDE = 3  # of the longer side of a picture; smaller ones are specks
BACKGROUNDS = 3  # colors of whole lines that are tried

Content = Bool[np.ndarray, "h w"]  # where a sheet is not empty
Lines = Bool[np.ndarray, "n"]  # whether there is content in each row, or in each column


@dataclass(frozen=True)
class Box:
    """A part of a sheet, in pixels."""

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True)
class RegularCells:
    """Cells of one size in rows and columns."""

    tops: list[int]
    lefts: list[int]
    height: int
    width: int


@dataclass(frozen=True)
class Gutters:
    """The pictures of a sheet: `cells` of a regular grid, or else `boxes` around each."""

    background: UInt8[np.ndarray, "c"]  # the color of the empty pixels in the sheet's mode
    cells: RegularCells | None = None
    boxes: tuple[Box, ...] = ()  # from the top left to the bottom right, cut by cut
    specks: int = 0  # regions that are too small to be a picture


def find_gutters(pixels: Pixels, location: str, spacing: int = 1) -> Gutters:
    """The pictures of a sheet (h, w, c) that `spacing` or more empty rows or columns separate.

    Raises InputError, with `location` as its subject, if there are not at least two.
    """
    packed = pack_channels(convert_mode(pixels, "RGBA"))
    for color in _backgrounds(packed):
        content = packed != color
        background = pixels[np.unravel_index(content.argmin(), content.shape)]  # the first empty pixel
        boxes = _cut_all(content, spacing, location)
        large = tuple(box for box in boxes if max(box.height, box.width) >= MIN_SIDE)
        if len(large) > 1:
            cells = _find_cells(content, spacing, is_clear=color == 0)
            if cells is not None and len(large) <= MAX_PARTS * _count_used(content, cells):
                return Gutters(background, cells)
            return Gutters(background, None, large, len(boxes) - len(large))
    lines = "an empty row or column" if spacing == 1 else f"{spacing} empty rows or columns"
    raise InputError(f"{location} has no two pictures with {lines} between them: give the size of its cells")


def _backgrounds(packed: UInt32[np.ndarray, "h w"]) -> list[int]:
    """The colors of whole rows and columns: transparent first, then the most frequent."""
    colors: Counter[int] = Counter()
    for lines in (packed, packed.T):
        colors.update(lines[(lines == lines[:, :1]).all(1), 0].tolist())
    return sorted(colors, key=lambda color: (color != 0, -colors[color]))[:BACKGROUNDS]


# ── regular grids ─────────────────────────────────────────────────────────────────────────────────────────────────


def _find_cells(content: Content, spacing: int, is_clear: bool) -> RegularCells | None:
    """The cells of a regular grid that leaves only empty lines between them; None: there is none."""
    sides = [_used_lines(content, axis) for axis in (0, 1)]
    found = [_find_grid(lines, spacing, is_clear) for lines in sides]
    starts, sizes = [], []
    for lines, own, other in zip(sides, found, reversed(found), strict=True):
        grid, size = own or _one_cell(lines, other, spacing)
        if grid is None:
            return None
        starts.append(grid.starts(len(lines), size))
        sizes.append(size)
    return RegularCells(starts[0], starts[1], sizes[0], sizes[1])


def _count_used(content: Content, cells: RegularCells) -> int:
    """The number of cells with content."""
    rows = np.add.reduceat(content, cells.tops, axis=0, dtype=np.int64)
    return int(np.count_nonzero(np.add.reduceat(rows, cells.lefts, axis=1)))


def _one_cell(lines: Lines, other: tuple[Grid, int] | None, spacing: int) -> tuple[Grid | None, int]:
    """A side with one cell, with the margin of the other side if it is empty here; no grid if the side has gaps."""
    runs = _runs(lines, spacing)
    margin = 0 if other is None else other[0].margin
    if len(runs) != 1:
        return None, 0
    if runs[0][0] < margin or runs[0][1] > len(lines) - margin:
        margin = 0
    return Grid(0, margin), len(lines) - 2 * margin


def _find_grid(lines: Lines, spacing: int, is_clear: bool) -> tuple[Grid, int] | None:
    """The grid with the most cells, and the size of its cells along this side; None: fewer than two cells.

    Where several grids have as many: on a transparent sheet, a size that is a multiple of 8 and a small margin and
    spacing; on a colored one, the smallest cells, which have no edges of that color.
    """
    runs = _runs(lines, spacing)
    if len(runs) < 2:
        return None
    span, best = runs[-1][1] - runs[0][0], None
    fitting: list[tuple[tuple[int, ...], Grid, int]] = []
    most = int(MAX_PARTS * span / max(len(runs) - MAX_PARTS, 1)) + 1  # with fewer cells, many have several parts
    for step in range(max(MIN_STEP, span // (len(runs) + 1)), min(most, len(lines))):
        if best is not None and step > 2 * best:
            break
        if 2 * MAX_GRID_GAP < len(lines) % step < step - MAX_GRID_GAP:
            continue  # no spacing and margin make these whole cells; most large steps end here
        folded = _used_lines(np.pad(lines, (0, -len(lines) % step)).reshape(-1, step), 1)
        if folded.all() or _longest_gap(folded) < spacing:
            continue
        for gap in range(min(MAX_GRID_GAP, step - 1) + 1):
            for margin in range(MAX_GRID_GAP + 1):
                grid, size = Grid(gap, margin), step - gap
                if used := _count_separated(lines, grid, size):
                    order = (size % 8 > 0, margin, gap, step) if is_clear else (size, margin)
                    fitting.append(((-used, *map(int, order)), grid, size))
                    best = step if best is None else best
    return min(fitting, key=lambda f: f[0])[1:] if fitting else None


def _count_separated(lines: Lines, grid: Grid, size: int) -> int:
    """The number of cells with content, if all content is in cells, with an empty line at each border; 0 if not.

    Nor may a cell between two others be empty.
    """
    starts = np.array(grid.starts(len(lines), size), int)
    if len(starts) < 2:
        return 0
    inside = lines[starts[:, None] + np.arange(size)]
    if inside.sum() != lines.sum():
        return 0
    used = np.flatnonzero(inside.any(1))
    if len(used) < 2 or len(used) != used[-1] - used[0] + 1:
        return 0
    is_quiet = grid.spacing > 0 or not (lines[starts[1:]] & lines[starts[1:] - 1]).any()
    return len(used) if is_quiet else 0


def _longest_gap(folded: Lines) -> int:
    """The longest run of empty lines, where the last line is followed by the first."""
    first = int(folded.argmax())
    around = np.flatnonzero(np.append(np.roll(folded, -first), True))
    return int(np.diff(around).max()) - 1 if folded.any() else len(folded)


# ── regions ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _cut_all(content: Content, spacing: int, location: str) -> list[Box]:
    boxes: list[Box] = []
    for box in _cut(content, 0, 0, spacing, MAX_CUTS):
        boxes.append(box)
        if len(boxes) > MAX_REGIONS:
            raise InputError(
                f"{location} has more than {MAX_REGIONS:,} regions with empty rows or columns between them: give the "
                "size of its cells"
            )
    return boxes


def _cut(content: Content, top: int, left: int, spacing: int, levels: int) -> Iterator[Box]:
    """The regions of a part of a sheet, whose first pixel is at (top, left)."""
    rows = _runs(_used_lines(content, 0), spacing)
    for first, end in rows:
        band = content[first:end]
        columns = _runs(_used_lines(band, 1), spacing)
        for start, stop in columns:
            part = band[:, start:stop]
            if len(columns) > 1 and levels:  # it may have empty rows of its own
                yield from _cut(part, top + first, left + start, spacing, levels - 1)
            else:
                yield Box(top + first, left + start, *part.shape)


def _used_lines(content: Content, axis: int) -> Lines:
    """Whether there is content in each row (axis 0), or in each column (axis 1)."""
    return np.asarray(content.any(1 - axis))


def _runs(lines: Lines, spacing: int) -> list[tuple[int, int]]:
    """The first line and the end of each run of lines with content; fewer than `spacing` empty lines do not end it."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], lines, [False])).astype(np.int8))).reshape(-1, 2)
    runs: list[tuple[int, int]] = []
    for first, end in edges.tolist():
        if runs and first - runs[-1][1] < spacing:
            runs[-1] = (runs[-1][0], end)
        else:
            runs.append((first, end))
    return runs
