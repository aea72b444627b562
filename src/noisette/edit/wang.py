"""Edge-matching tile sets of two terrains: which tiles there are, and which of them may be neighbors.

A tile has nine control values, 0 for the first terrain and 1 for the second: its corners, the middles of its edges and
its center. Two tiles may be neighbors if the three values on their common edge are equal. `corner16`: each corner is of
one terrain (marching squares). `blob47`: each cell of a map is of one terrain, and a cell of the second one has a tile
for each state of its eight neighbors that makes a difference; the cells of the first terrain have one more tile.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..diffusion.regions import TiedPixels

Controls = tuple[float, ...]  # nine values, row by row
Terrains = Bool[Tensor, "rows columns"]  # of the vertices (corner16) or the cells (blob47) of a torus; true: the second
TileMap = Int[Tensor, "rows columns"]  # numbers of tiles
SIDES: Mapping[str, tuple[int, int, int]] = {  # the controls on each edge, from the left or from the top
    "top": (0, 1, 2), "bottom": (6, 7, 8), "left": (0, 3, 6), "right": (2, 5, 8),
}  # fmt: skip
RING = (1, 2, 5, 8, 7, 6, 3, 0)  # the controls from the top edge on, clockwise: the order of Tiled and Godot
SADDLES = ((1, 0, 0, 1), (0, 1, 1, 0))  # corners of which opposite ones are equal: the second terrain is connected

CORNER_MAP = ("...#", "..#.", "#.##", ".###")  # vertices of a torus with each of the 16 tiles once
BLOB_MAP = (  # cells of a torus with each of the 48 tiles at least once, found by simulated annealing
    ".######.#",
    "##.#.#.#.",
    "#########",
    ".#####.##",
    "#.#.####.",
    ".#####.##",
    "#.#.#####",
    "########.",
    "#..###.##",
)


@dataclass(frozen=True)
class TileKind:
    """The tiles of a kind, and how they are laid out."""

    name: str
    tiles: tuple[Controls, ...]
    terrains: tuple[str, ...]  # a torus on which each tile occurs, as rows of "." and "#"
    columns: int  # of the sheet
    read_controls: Callable[[Terrains], list[list[Controls]]]  # of the cells of a torus
    has_edges: bool  # whether the middles of edges count, too, and not only the corners

    @property
    def map(self) -> TileMap:
        """The torus that is drawn: the number of the tile of each cell."""
        return self.lay_out(torch.tensor([[cell == "#" for cell in row] for row in self.terrains]))

    def lay_out(self, terrains: Terrains) -> TileMap:
        """The tiles of a torus with these terrains."""
        numbers = {controls: number for number, controls in enumerate(self.tiles)}
        return torch.tensor([[numbers[cell] for cell in row] for row in self.read_controls(terrains)])

    def edge(self, tile: int, side: str) -> Controls:
        """The values on an edge: tiles may be neighbors where these are equal."""
        return tuple(self.tiles[tile][i] for i in SIDES[side])

    def mask(self, tile: int) -> Float[Tensor, "1 1 height width"]:
        """The control values of the torus, interpolated to tiles of `tile` pixels."""
        position = 2 * (torch.arange(tile, dtype=torch.float32) + 0.5) / tile
        weights = (1 - (position[:, None] - torch.arange(3)).abs()).clamp(min=0)  # (tile, 3), linear
        rows = [
            torch.cat([weights @ torch.tensor(self.tiles[n]).reshape(3, 3) @ weights.T for n in row], 1)
            for row in self.map.tolist()
        ]
        return torch.cat(rows)[None, None]

    def tie(self, tile: int, border: int) -> TiedPixels:
        """The pixels of the torus that must be equal: those within `border` of equal edges of tiles."""
        rows, columns = self.map.shape
        pixels = torch.arange(rows * tile * columns * tile).reshape(rows, tile, columns, tile).transpose(1, 2)
        edges: dict[tuple[str, Controls], list[Tensor]] = {}
        for row, numbers in enumerate(self.map.tolist()):
            for column, number in enumerate(numbers):
                for side, band in _bands(pixels[row, column], border).items():
                    edges.setdefault((side, self.edge(number, side)), []).append(band.flatten())
        groups = torch.arange(pixels.numel())
        while True:  # a pixel in a corner is in two bands: its group is joined from both
            before = groups.clone()
            for bands in edges.values():
                same = torch.stack(bands)
                groups[same] = groups[same].amin(0).expand(len(same), -1)
            if torch.equal(groups, before):
                return TiedPixels(groups.unique(return_inverse=True)[1].reshape(rows * tile, columns * tile))

    def first_places(self) -> list[tuple[int, int]]:
        """The row and column of each tile's first place on the torus."""
        cells = self.map.flatten().tolist()
        return [divmod(cells.index(number), self.map.shape[1]) for number in range(len(self.tiles))]


def _bands(pixels: Int[Tensor, "tile tile"], border: int) -> dict[str, Tensor]:
    return {
        "top": pixels[:border], "bottom": pixels[-border:], "left": pixels[:, :border], "right": pixels[:, -border:],
    }  # fmt: skip


def _corner_controls(terrains: Terrains) -> list[list[Controls]]:
    """Of the cells between vertices: a cell has its vertex at the top left."""
    v = terrains.float()
    corners = torch.stack([v, v.roll(-1, 1), v.roll(-1, 0), v.roll((-1, -1), (0, 1))], -1)
    return [[_corner_tile(*cell) for cell in row] for row in corners.tolist()]


def _corner_tile(a: float, b: float, c: float, d: float) -> Controls:
    """The controls of a tile with these corners: top left, top right, bottom left, bottom right."""
    center = 1.0 if (a, b, c, d) in SADDLES else (a + b + c + d) / 4
    return (a, (a + b) / 2, b, (a + c) / 2, center, (b + d) / 2, c, (c + d) / 2, d)


def _blob_controls(terrains: Terrains) -> list[list[Controls]]:
    """Of cells: an edge is of the second terrain if both its cells are, a corner if all four are."""
    near = {(y, x): terrains.roll((-y, -x), (0, 1)) for y in (-1, 0, 1) for x in (-1, 0, 1)}
    values = []
    for y in (-1, 0, 1):
        for x in (-1, 0, 1):
            values.append(near[0, 0] & near[y, 0] & near[0, x] & near[y, x])
    return [[tuple(map(float, cell)) for cell in row] for row in torch.stack(values, -1).tolist()]


def _list_blobs() -> tuple[Controls, ...]:
    """The tile of the first terrain, and the 47 of the second."""
    found = set()
    for number in range(256):
        ring = [float(number >> i & 1) for i in range(8)]
        for i in (1, 3, 5, 7):  # corners, between the edges before and after
            ring[i] *= ring[i - 1] * ring[(i + 1) % 8]
        controls = [1.0] * 9
        for place, value in zip(RING, ring, strict=True):
            controls[place] = value
        found.add(tuple(controls))
    return ((0.0,) * 9, *sorted(found))


@cache
def tile_kinds() -> dict[str, TileKind]:
    """The kinds by their names."""
    corners = tuple(_corner_tile(*(float(number >> i & 1) for i in range(4))) for number in range(16))
    kinds = (
        TileKind("corner16", corners, CORNER_MAP, 4, _corner_controls, has_edges=False),
        TileKind("blob47", _list_blobs(), BLOB_MAP, 8, _blob_controls, has_edges=True),
    )
    return {kind.name: kind for kind in kinds}
