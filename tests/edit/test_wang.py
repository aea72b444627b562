"""The tiles of each kind, and the rules by which they are neighbors."""

from collections.abc import Callable

import pytest
import torch

from noisette.edit.wang import SIDES, TileKind, tile_kinds

KINDS = list(tile_kinds().values())
OPPOSITE = {"right": ("left", 0, 1), "bottom": ("top", 1, 0)}  # the side of the neighbor, and where the neighbor is


def random_terrains(seed: int, rows: int = 20, columns: int = 25) -> torch.Tensor:
    return torch.rand(rows, columns, generator=torch.Generator().manual_seed(seed)) < 0.6


def neighbors(tiles: torch.Tensor) -> list[tuple[int, str, int, str]]:
    """Every two tiles of a torus that touch: a tile, its side, the other tile and its side."""
    found = []
    for side, (other_side, down, right) in OPPOSITE.items():
        other = tiles.roll((-down, -right), (0, 1))
        found += [
            (a, side, b, other_side) for a, b in zip(tiles.flatten().tolist(), other.flatten().tolist(), strict=True)
        ]
    return found


def test_there_are_16_and_47_tiles() -> None:
    corner, blob = KINDS
    assert len(corner.tiles) == 16 and len({tuple(tile[i] for i in (0, 2, 6, 8)) for tile in corner.tiles}) == 16
    assert len(blob.tiles) == 48 and sum(tile[4] for tile in blob.tiles) == 47
    for kind in KINDS:
        assert kind.map.unique().tolist() == list(range(len(kind.tiles)))
        for number, (row, column) in enumerate(kind.first_places()):
            assert kind.map[row, column] == number
        assert kind.tiles[0] == (0.0,) * 9 and kind.tiles[-1] == (1.0,) * 9


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_neighbors_have_the_same_edge(kind: TileKind) -> None:
    """On random maps, and on the one that is drawn, which has all edges."""
    for tiles in (kind.lay_out(random_terrains(1)), kind.lay_out(random_terrains(2)), kind.map):
        pairs = neighbors(tiles)
        assert all(kind.edge(a, side) == kind.edge(b, other) for a, side, b, other in pairs)
    seen = {(side, kind.edge(a, side)) for a, side, _, _ in neighbors(kind.map)}
    assert seen == {(side, kind.edge(a, side)) for a in range(len(kind.tiles)) for side in OPPOSITE}


def test_corner_tiles_have_the_terrains_of_their_vertices() -> None:
    kind, terrains = KINDS[0], random_terrains(3)
    tiles = kind.lay_out(terrains)
    for row, column in ((0, 0), (7, 11), (19, 24)):
        corners = [terrains[(row + y) % 20, (column + x) % 25] for y in (0, 1) for x in (0, 1)]
        assert [kind.tiles[tiles[row, column]][i] for i in (0, 2, 6, 8)] == [float(c) for c in corners]


def test_blobs_count_a_corner_only_between_two_edges() -> None:
    kind, terrains = KINDS[1], torch.zeros(5, 5, dtype=torch.bool)
    terrains[1:4, 2] = terrains[2, 1:4] = terrains[1, 1] = True  # a plus with one corner filled
    tiles = [kind.tiles[n] for n in kind.lay_out(terrains)[2, 1:4].tolist()]
    assert tiles[1] == (1, 1, 0, 1, 1, 1, 0, 1, 0)
    assert tiles[0] == (0, 1, 1, 0, 1, 1, 0, 0, 0) and tiles[2] == (0, 0, 0, 1, 1, 0, 0, 0, 0)
    assert kind.lay_out(terrains)[0].tolist() == [0] * 5  # the first terrain has one tile


@pytest.mark.parametrize(("tile", "border"), [(8, 1), (12, 2)])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_tied_are_the_borders_of_equal_edges_and_nothing_else(kind: TileKind, tile: int, border: int) -> None:
    rows, columns = kind.map.shape
    cells = kind.tie(tile, border).groups.reshape(rows, tile, columns, tile).transpose(1, 2).reshape(-1, tile, tile)
    bands: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
        "top": lambda c: c[:border], "bottom": lambda c: c[-border:],
        "left": lambda c: c[:, :border], "right": lambda c: c[:, -border:],
    }  # fmt: skip
    assert bands.keys() == SIDES.keys()
    for side, cut in bands.items():
        by_edge: dict[tuple[float, ...], torch.Tensor] = {}
        for number, cell in zip(kind.map.flatten().tolist(), cells, strict=True):
            assert torch.equal(cut(cell), by_edge.setdefault(kind.edge(number, side), cut(cell)))
        # different edges differ in the middle
        middles = [edge[tile // 2] if edge.shape[0] == tile else edge[:, tile // 2] for edge in by_edge.values()]
        assert len({tuple(middle.flatten().tolist()) for middle in middles}) == len(by_edge)
    inside = cells[:, border:-border, border:-border]
    assert inside.unique().numel() == inside.numel()


def test_a_mask_is_the_terrain_of_corners_edges_and_centers() -> None:
    for kind in KINDS:
        mask = kind.mask(16)[0, 0]
        rows, columns = kind.map.shape
        assert mask.shape == (16 * rows, 16 * columns) and mask.min() >= 0 and mask.max() <= 1
        for row, column in kind.first_places():
            controls = kind.tiles[kind.map[row, column]]
            cell = mask[16 * row : 16 * row + 16, 16 * column : 16 * column + 16]
            near = [cell[y, x] for y in (0, 8, 15) for x in (0, 8, 15)]
            assert (torch.stack(near) - torch.tensor(controls)).abs().max() < 0.27
