"""Tile sets: every two tiles that may be neighbors have the border of those that were drawn side by side; the files
are read by Tiled, pytiled_parser and godot_parser."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import godot_parser
import numpy as np
import pytest
import torch
from PIL import Image
from pytiled_parser.parsers.tmx.tileset import parse

import noisette
from cli.conftest import call, refused
from edit.test_wang import neighbors, random_terrains
from noisette.data.png import read_metadata, read_png
from noisette.edit.tileset import TileSet, TileSetSpec, draw_tileset, terrain_lineages
from noisette.edit.wang import RING
from noisette.errors import InputError
from noisette.interop.tileset import make_tileset_request
from noisette.interop.tileset_formats import GODOT_BITS, wang_id, write_tileset
from noisette.sampling.request import make_request
from tiny_models import tiny

__all__ = ["call", "refused"]
TERRAINS = ("bread", "sword")


@pytest.fixture(scope="module")
def drawn() -> dict[str, TileSet]:
    """Of each kind, with tiles of 8 and of 12 pixels."""
    made = {}
    for kind, tile, steps, palette in (("corner16", 12, 3, None), ("blob47", 8, 1, "#203040,#ff8000,#ffffff")):
        made[kind] = noisette.tileset(
            tiny("RGB"), TERRAINS, kind=kind, tile=tile, steps=steps, sampler="ddpm", palette=palette, seed=3
        )
    return made


KINDS = pytest.mark.parametrize("kind", ["corner16", "blob47"])


def band(tileset: TileSet, number: int, side: str) -> torch.Tensor:
    k, tile = tileset.spec.border, tileset.pixels[number]
    return {"top": tile[:, :k], "bottom": tile[:, -k:], "left": tile[:, :, :k], "right": tile[:, :, -k:]}[side]


@KINDS
def test_all_tiles_with_an_edge_have_the_same_pixels_there(kind: str, drawn) -> None:
    """So whatever two tiles may be neighbors, the pixels on both sides of their border are those of one pair."""
    tileset = drawn[kind]
    layout = tileset.spec.layout
    assert len(tileset.pixels) == len(layout.tiles)
    assert len(tileset.pixels.flatten(1).unique(dim=0)) == len(layout.tiles)  # and they are different tiles
    for side in ("top", "bottom", "left", "right"):
        known: dict[tuple[float, ...], torch.Tensor] = {}
        for number in range(len(layout.tiles)):
            pixels = band(tileset, number, side)
            assert torch.equal(known.setdefault(layout.edge(number, side), pixels), pixels)
        assert len({tuple(pixels.flatten().tolist()) for pixels in known.values()}) > 1


@KINDS
def test_every_border_of_a_random_map_is_one_that_was_drawn(kind: str, drawn) -> None:
    tileset = drawn[kind]
    side, layout = tileset.spec.tile, tileset.spec.layout
    pairs = {}
    for a, first, b, second in neighbors(layout.map):
        pairs[first, layout.edge(a, first)] = (band(tileset, a, first), band(tileset, b, second))
    terrains = random_terrains(7, 9, 11)
    tiles, picture = layout.lay_out(terrains), tileset.assemble(terrains)
    assert picture.shape == (1, 3, 9 * side, 11 * side)
    for row, column in np.ndindex(9, 11):
        number = int(tiles[row, column])
        cell = picture[0, :, row * side : (row + 1) * side, column * side : (column + 1) * side]
        assert torch.equal(cell, tileset.pixels[number])
    for a, first, b, second in neighbors(tiles):
        left, right = pairs[first, layout.edge(a, first)]
        assert torch.equal(band(tileset, a, first), left) and torch.equal(band(tileset, b, second), right)


def test_a_palette_is_kept(drawn) -> None:
    colors = drawn["blob47"].pixels.movedim(1, -1).reshape(-1, 3).unique(dim=0).tolist()
    assert {tuple(c) for c in colors} <= {(0x20, 0x30, 0x40), (0xFF, 0x80, 0), (255, 255, 255)}


def test_each_terrain_is_drawn_by_its_label() -> None:
    """A tile of one terrain, far from the other one, is what a model draws for that label."""
    model, spec = tiny("RGB"), TileSetSpec("corner16", 8, TERRAINS)
    options = {"lineages": terrain_lineages(0), "size": spec.size, "seamless": "xy", "steps": 1}
    both, one = (
        draw_tileset(model, make_request(model, label=labels, **options), spec)
        for labels in (list(TERRAINS), ["sword", "sword"])
    )
    assert torch.equal(both.pixels[-1], one.pixels[-1]) and not torch.equal(both.pixels[0], one.pixels[0])
    with pytest.raises(InputError, match="drawn on a seamless picture of 32×32"):
        draw_tileset(model, make_request(model, 2, list(TERRAINS)), spec)


# ── files ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("extrude", [0, 1])
@KINDS
def test_tiled_files(kind: str, extrude: int, drawn, tmp_path: Path) -> None:
    """As pytiled_parser reads them; neighbors on a map have one color at each corner and edge that they share."""
    tileset = drawn[kind]
    picture, path, _ = write_tileset(tileset, tmp_path, extrude=extrude)
    read, layout = parse(ElementTree.parse(path).getroot(), 1, path), tileset.spec.layout
    assert (read.tile_count, read.columns, read.margin) == (len(layout.tiles), layout.columns, extrude)
    (wang,) = read.wang_sets
    assert wang.wang_type == ("corner" if kind == "corner16" else "mixed")
    assert [color.name for color in wang.wang_colors] == list(TERRAINS)
    assert [color.tile for color in wang.wang_colors] == [0, len(layout.tiles) - 1]
    ids = {tile.tile_id: tuple(tile.wang_id) for tile in wang.wang_tiles.values()}
    assert len(set(ids.values())) == len(ids) == {"corner16": 16, "blob47": 47}[kind]  # the single cell is left out
    for a, side, b, _ in neighbors(layout.lay_out(random_terrains(4))):
        if a in ids and b in ids:
            one, two = ids[a], ids[b]
            shared = ((1, 7), (2, 6), (3, 5)) if side == "right" else ((3, 1), (4, 0), (5, 7))
            assert all(one[i] == two[j] for i, j in shared)
    step = tileset.spec.tile + 2 * extrude
    sheet = read_png(picture)[0]
    for number, pixels in enumerate(tileset.pixels):
        row, column = divmod(number, layout.columns)
        top, left = row * step + extrude, column * step + extrude
        assert torch.equal(sheet[0, :, top : top + tileset.spec.tile, left : left + tileset.spec.tile], pixels)


@KINDS
def test_godot_files(kind: str, drawn, tmp_path: Path) -> None:
    """As godot_parser reads them; by the rules of Godot 4's text format, which Debian's Godot does not know."""
    tileset = drawn[kind]
    *_, path = write_tileset(tileset, tmp_path, "mine", 1)
    read, layout = godot_parser.load(str(path)), tileset.spec.layout
    (source,), resource = read.get_sub_resources(), read.find_section("resource")
    assert [r.path for r in read.get_ext_resources()] == ["mine.png"]
    assert resource["terrain_set_0/mode"] == {"corner16": 1, "blob47": 0}[kind]
    assert [resource[f"terrain_set_0/terrain_{i}/name"] for i in (0, 1)] == list(TERRAINS)
    for number, controls in enumerate(layout.tiles):
        row, column = divmod(number, layout.columns)
        cell = f"{column}:{row}/0"
        assert (source[cell], source[f"{cell}/terrain_set"]) == (0, 0)
        assert source[f"{cell}/terrain"] == (1 if controls[4] >= 0.5 else 0)
        bits = {
            k.rsplit("/", 1)[1]: v for k, v in source.properties.items() if k.startswith(f"{cell}/terrains_peering")
        }
        wanted = {bit: int(controls[i]) for bit, i in zip(GODOT_BITS, RING, strict=True)}
        assert bits == {b: v for b, v in wanted.items() if kind == "blob47" or b.endswith("corner")}


@KINDS
def test_tiled_itself(kind: str, drawn, tmp_path: Path) -> None:
    """Tiled's rasterizer draws a random map as `assemble` does, and Tiled exports the terrains that it read."""
    if shutil.which("tmxrasterizer") is None and "CI" not in os.environ:
        pytest.skip("Tiled is not installed here")
    tileset, terrains = drawn[kind], random_terrains(5, 6, 7)
    _, path, _ = write_tileset(tileset, tmp_path, extrude=1)
    side, rows = tileset.spec.tile, tileset.spec.layout.lay_out(terrains).tolist()
    csv = ",".join(str(1 + number) for row in rows for number in row)
    (tmp_path / "map.tmx").write_text(
        '<map version="1.8" orientation="orthogonal" renderorder="right-down" width="7" height="6" '
        f'tilewidth="{side}" tileheight="{side}" infinite="0"><tileset firstgid="1" source="{path.name}"/>'
        f'<layer id="1" name="a" width="7" height="6"><data encoding="csv">{csv}</data></layer></map>'
    )
    env = os.environ | {"QT_QPA_PLATFORM": "offscreen", "XDG_RUNTIME_DIR": str(tmp_path)}
    for words in (
        ["tmxrasterizer", "map.tmx", "out.png"],
        ["tiled", "--export-tileset", "json", path.name, "out.json"],
    ):
        subprocess.run(words, cwd=tmp_path, check=True, timeout=60, capture_output=True, env=env)
    with Image.open(tmp_path / "out.png") as image:
        found = torch.from_numpy(np.asarray(image.convert("RGB")).copy()).permute(2, 0, 1)[None]
    assert torch.equal(found, tileset.assemble(terrains))
    (wang,) = json.loads((tmp_path / "out.json").read_text())["wangsets"]
    layout = tileset.spec.layout
    assert all(tuple(t["wangid"]) == wang_id(layout.tiles[t["tileid"]], layout.has_edges) for t in wang["wangtiles"])
    assert len(wang["wangtiles"]) == {"corner16": 16, "blob47": 47}[kind]


# ── the command ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_command_is_the_function(call, refused, tmp_path: Path) -> None:
    model = tmp_path / "model"
    tiny().save_pretrained(model)
    words = ("--terrain", "bread", "--terrain", "sword", "--tile", 8, "--steps", 1, "--seed", 5, "--batch", 9)
    result = call("tileset", model, "--out", tmp_path / "a", *words, "--json")
    assert result.code == 0, result.err
    written = [Path(json.loads(line)["path"]).name for line in result.out.splitlines()]
    assert written == ["tileset.png", "tileset.tsx", "tileset.tres", "map.png"]
    noisette.tileset(model, TERRAINS, tmp_path / "b", tile=8, steps=1, seed=5, batch=9)
    for name in written:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    metadata = read_metadata(tmp_path / "a" / "tileset.png")
    assert metadata["tileset"] == {"kind": "corner16", "tile": 8, "border": 1, "terrains": ["bread", "sword"]}
    assert (metadata["seed"], metadata["batch"], metadata["canvas"]["width"]) == (5, 9, 32)
    like = ("sample", model, "--out", tmp_path / "c", "--like", tmp_path / "a" / "tileset.png")
    assert "was written by noisette tileset" in refused(*like)


def test_what_cannot_be_is_refused_in_a_sentence(refused, tmp_path: Path) -> None:
    model, out = tmp_path / "model", tmp_path / "a"
    tiny().save_pretrained(model)
    tiny(labels=()).save_pretrained(tmp_path / "plain")
    tiny(height=64, width=64).save_pretrained(tmp_path / "large")
    two = ("--terrain", "bread", "--terrain", "sword")
    for words, message in (
        ((model, "--terrain", "bread"), "needs two terrains, got 1"),
        ((model, *two, "--terrain", "bread"), "needs two terrains, got 3"),
        ((model, "--terrain", "bread", "--terrain", "bread"), "two different terrains, got 'bread' twice"),
        ((model, "--terrain", "bread", "--terrain", "swrod"), "did you mean 'sword'"),
        ((model, *two, "--kind", "blob48"), "did you mean 'blob47'"),
        ((model, *two, "--tile", 7), "a tile must have 8 to 256 pixels a side, got 7"),
        ((model, *two, "--name", "../x"), "letters, digits, - and _"),
        ((model, *two, "--dither", 0.5), "dither is an option of lock"),
        ((tmp_path / "plain", *two), "needs a model with labels or text"),
        ((tmp_path / "large", *two, "--tile", 8), "at least 64×64 pixels, the model's own size, got 32×32"),
    ):
        assert message in refused("tileset", *words, "--out", out)
    with pytest.raises(InputError, match="extrude must be 0 to 16 pixels, got 17"):
        noisette.tileset(model, TERRAINS, extrude=17)
    assert not out.exists()
    spec, request = make_tileset_request(noisette.load(model), TERRAINS)
    assert spec.tile == 8 and request.labels == TERRAINS
