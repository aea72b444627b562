"""Recognition of sprite sheets whose cells have gaps between them, and a margin around them.

Many sheets leave a pixel or two between cells, so that neighbors do not bleed into each other. Cut without them, every
cell but the first is shifted, by more with each column.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
from jaxtyping import UInt8

from .entry import Pixels

MAX_GAP = 8  # pixels between cells, and of the margin
MIN_CELLS = 3  # along one side, to take lines without content for gaps

Lines = UInt8[np.ndarray, "n m c"]  # the columns, or the rows, of a sheet


@dataclass(frozen=True)
class Grid:
    """Where the cells of a sheet are. Lengths in pixels."""

    spacing: int = 0  # between cells
    margin: int = 0  # before the first cell

    def starts(self, length: int, cell: int) -> list[int]:
        """The first line of each cell along a side; empty if a side of this length cannot be cut into whole cells.

        After the last cell, margin and spacing may be left out.
        """
        step = cell + self.spacing
        for after in (self.margin, self.margin + self.spacing, 0, self.spacing):
            count, rest = divmod(length - self.margin - after + self.spacing, step)
            if rest == 0 and count >= 1:
                return [self.margin + i * step for i in range(count)]
        return []


def guess_grid(pixels: Pixels, cell: tuple[int, int]) -> Grid | None:
    """The grid of a sheet (h, w, c) with cells of (height, width): Grid() if the sheet is a whole number of cells.

    Gaps are assumed only where all lines between cells are without content, or repeat the edges of the cells, and not
    all borders of the cells without gaps are. None: no grid fits.
    """
    sides = ((pixels, cell[0]), (pixels.swapaxes(0, 1), cell[1]))
    plain = all(len(lines) % size == 0 for lines, size in sides)
    if plain and all(_has_quiet_borders(lines, size) for lines, size in sides):
        return Grid()
    fitting: list[tuple[int, int, Grid]] = []
    for spacing, margin in product(range(int(plain), MAX_GAP + 1), range(MAX_GAP + 1)):
        grid = Grid(spacing, margin)
        starts = [grid.starts(len(lines), size) for lines, size in sides]
        if all(starts) and max(map(len, starts)) >= MIN_CELLS:
            parts = zip(sides, starts, strict=True)
            if _are_blank(pixels, cell, starts[0], starts[1]) or (
                spacing == 2 * margin and all(_repeat_edges(lines, size, at) for (lines, size), at in parts)
            ):
                fitting.append((len(starts[0]) * len(starts[1]), margin, grid))
    if fitting:
        return min(fitting, key=lambda f: f[:2])[2]  # the fewest cells: that which leaves most blank lines outside
    return Grid() if plain else None


def describe_fitting(shape: tuple[int, int], cell: tuple[int, int], grid: Grid) -> str:
    """What would fit a sheet of `shape` that these cells (height, width) do not fit: spacings, or other cell sizes.

    For a message: "with these cells a spacing of 2 and a margin of 1 would fit", …
    """
    words = []
    pairs = sorted(product(range(MAX_GAP + 1), repeat=2), key=sum)
    if fitting := [Grid(*p) for p in pairs if all(map(Grid(*p).starts, shape, cell))]:
        best = min(fitting, key=lambda g: abs(g.spacing - grid.spacing) + abs(g.margin - grid.margin))
        words.append(f"a spacing of {best.spacing} and a margin of {best.margin} would fit them")
    heights, widths = (_nearest_sizes(length, size, grid) for length, size in zip(shape, cell, strict=True))
    if heights and widths:
        between = "" if grid == Grid() else " with this spacing and margin"
        wide, high = (" or ".join(map(str, sizes)) for sizes in (widths, heights))
        words.append(f"cells that fit{between} are {wide} wide and {high} high")
    return "; ".join(words) if words else "give the size of its cells, and the spacing and margin of its grid"


def _nearest_sizes(length: int, size: int, grid: Grid) -> list[int]:
    """The size of a cell itself if it fits a side, or else the nearest smaller and larger ones that do."""
    if grid.starts(length, size):
        return [size]
    smaller = next((c for c in range(min(size, length) - 1, 0, -1) if grid.starts(length, c)), None)
    larger = next((c for c in range(size + 1, length + 1) if grid.starts(length, c)), None)
    return [c for c in (smaller, larger) if c is not None]


def _has_quiet_borders(lines: Lines, cell: int) -> bool:
    """Whether a line without content lies at each border between cells that touch."""
    blank = _blank_lines(lines)
    return all(blank[i - 1] or blank[i] for i in range(cell, len(lines), cell))


def _blank_lines(lines: Lines) -> np.ndarray:
    """For each line, whether it is fully transparent or, without alpha, of one color."""
    if lines.shape[2] in (2, 4) and (lines[..., -1] == 0).any():
        return np.asarray((lines[..., -1] == 0).all(1))
    return np.asarray((lines == lines[:, :1]).all((1, 2)))


def _are_blank(pixels: Pixels, cell: tuple[int, int], tops: list[int], lefts: list[int]) -> bool:
    """Whether all pixels outside of the cells are transparent or of one color, and not all of those inside."""
    rows, columns = np.zeros(pixels.shape[0], bool), np.zeros(pixels.shape[1], bool)
    for starts, size, chosen in ((tops, cell[0], rows), (lefts, cell[1], columns)):
        for start in starts:
            chosen[start : start + size] = True
    inside = rows[:, None] & columns[None, :]
    if inside.all():
        return False
    if pixels.shape[2] in (2, 4) and not pixels[..., -1][~inside].any():
        return bool(pixels[..., -1][inside].any())
    outside = pixels[~inside]
    return bool((outside == outside[0]).all()) and bool((pixels[inside] != outside[0]).any())


def _repeat_edges(lines: Lines, cell: int, starts: list[int]) -> bool:
    """Whether the line before each cell repeats its first one, and the line after it its last one."""
    return all(
        start > 0
        and start + cell < len(lines)
        and bool((lines[start - 1] == lines[start]).all())
        and bool((lines[start + cell] == lines[start + cell - 1]).all())
        for start in starts
    )
