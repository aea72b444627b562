"""Sheets for game engines, read by Tiled, by parsers of Tiled's and Godot's files, and by Phaser, PixiJS and CSS in a
browser.

Tiled comes from Debian, Phaser and PixiJS from npm (NOISETTE_NPM is the folder that they are installed in); .ci/run
brings all of them, and without them their tests are skipped elsewhere.
"""

import functools
import http.server
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import godot_parser
import numpy as np
import pytest
import torch
from PIL import Image
from pytiled_parser.parsers.tmx.tileset import parse

from noisette.data.png import write_png
from noisette.errors import InputError
from noisette.interop.sheet_formats import SHEET_KINDS, write_sheet
from noisette.interop.sheet_layout import Sheet, SheetPicture, pack_sheet, read_sheet_pictures

LABELS = ("potion", None, "sword & shield", "potion", "sword & shield")


def pictures(count: int = 5, width: int = 6, height: int = 4, channels: int = 4) -> list[SheetPicture]:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (count, channels, height, width), dtype=torch.uint8, generator=generator)
    if channels == 4:
        pixels[:, 3] = 255 * (pixels[:, 3] > 99)
        pixels[:, :3] *= pixels[:, 3:] > 0
    return [
        SheetPicture(f"p{i:02d}", pixels[i : i + 1], LABELS[i % 5], seed=i if i % 2 else None) for i in range(count)
    ]


def cut(path: Path, sheet: Sheet, index: int) -> np.ndarray:
    """A picture as another program cuts it out of the PNG, RGBA."""
    (x, y), layout = sheet.layout.position(index), sheet.layout
    with Image.open(path) as image:
        return np.asarray(image.convert("RGBA"))[y : y + layout.height, x : x + layout.width]


def rgba(picture: SheetPicture) -> np.ndarray:
    pixels = picture.pixels[0].permute(1, 2, 0).numpy()
    return pixels if pixels.shape[2] == 4 else np.concatenate([pixels, np.full_like(pixels[..., :1], 255)], axis=2)


# ── the sheet ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("columns", "extrude", "power"), [(None, 0, False), (2, 1, False), (99, 3, True), (1, 0, True)]
)
def test_every_picture_is_where_the_layout_says(columns: int | None, extrude: int, power: bool, tmp_path: Path) -> None:
    """With its edges repeated around it; labels are together, in the order of their names."""
    sheet = pack_sheet(pictures(), columns, extrude, power)
    assert [picture.label for picture in sheet.pictures] == [None, "potion", "potion", *["sword & shield"] * 2]
    (path,) = (p for p in write_sheet(sheet, tmp_path, "css") if p.suffix == ".png")
    assert Image.open(path).size == sheet.layout.size
    if power:
        assert all(side & (side - 1) == 0 for side in sheet.layout.size)
    if columns is not None:
        assert sheet.layout.columns == min(columns, 5)
    for index, picture in enumerate(sheet.pictures):
        assert np.array_equal(cut(path, sheet, index), rgba(picture))
        x, y = sheet.layout.position(index)
        around = sheet.pixels[0, :, y - extrude : y + 4 + extrude, x - extrude : x + 6 + extrude].numpy()
        edges = np.pad(picture.pixels[0].numpy(), ((0, 0), (extrude, extrude), (extrude, extrude)), mode="edge")
        assert np.array_equal(around, edges)
    assert list(sheet.runs) == [("all", range(1)), ("potion", range(1, 3)), ("sword & shield", range(3, 5))]


def test_what_cannot_be_packed(tmp_path: Path) -> None:
    few = pictures()
    for given, options, reason in (
        ([], {}, "at least one picture"),
        ([*few, *pictures(1, 8)], {}, "6×4 RGBA, 8×4 RGBA"),
        (few, {"columns": 0}, "at least 1 column"),
        (few, {"extrude": 17}, "0 to 16"),
        (pictures(3, 6000), {"columns": 3}, "18000×4 pixels is too large"),
    ):
        with pytest.raises(InputError, match=reason):
            pack_sheet(given, **options)
    with pytest.raises(InputError, match="did you mean 'tiled'"):
        write_sheet(pack_sheet(few), tmp_path / "a", "tilde")
    with pytest.raises(InputError, match="letters, digits"):
        write_sheet(pack_sheet(few), tmp_path / "a", "tiled", "../x")
    assert not (tmp_path / "a").exists()


def test_pictures_of_a_folder(tmp_path: Path) -> None:
    """Our records, or else the subfolder; names that occur twice get that of the folder, too; grid.png is left out."""
    record = {"label": "potion", "seed": 7, "lock": {"colors": ["#000000"]}}
    for i, name in enumerate(("a/1.png", "b/1.png", "2.png", "grid.png", "10.png")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_png(tmp_path / name, torch.full((1, 3, 2, 2), i, dtype=torch.uint8), record if i == 2 else None)
    found = {p.name: (p.label, p.seed, p.colors, int(p.pixels[0, 0, 0, 0])) for p in read_sheet_pictures(tmp_path)}
    assert found == {
        "1": ("a", None, (), 0), "b-1": ("b", None, (), 1), "2": ("potion", 7, ("#000000",), 2),
        "10": (None, None, (), 4),
    }  # fmt: skip


def test_a_locked_sheet_has_the_palette_in_order(tmp_path: Path) -> None:
    colors = ("#ff8000", "#101010", "#00ff00")
    black = torch.full((1, 3, 4, 4), 16, dtype=torch.uint8)
    some = [SheetPicture(str(i), black, colors=colors) for i in range(3)]
    path = write_sheet(pack_sheet(some), tmp_path, "css")[0]
    with Image.open(path) as image:
        assert image.mode == "P" and image.getpalette()[:9] == [255, 128, 0, 16, 16, 16, 0, 255, 0]
    assert Image.open(write_sheet(pack_sheet([*some, SheetPicture("x", black)]), tmp_path, "css")[0]).mode == "RGB"


# ── parsers ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("extrude", "power"), [(0, False), (2, True)])
def test_tiled_tile_sets(extrude: int, power: bool, tmp_path: Path) -> None:
    """As pytiled_parser reads them: the geometry, the label as type, name and seed as properties."""
    sheet = pack_sheet(pictures(), 2, extrude, power)
    _, path = write_sheet(sheet, tmp_path, "tiled")
    tiles = parse(ElementTree.parse(path).getroot(), 1, path)
    assert (tiles.tile_width, tiles.tile_height, tiles.margin, tiles.spacing) == (6, 4, extrude, 2 * extrude)
    assert tiles.image == tmp_path / "sheet.png" or Path(tiles.image).name == "sheet.png"
    assert (tiles.image_width, tiles.image_height) == sheet.layout.size
    assert len(tiles.tiles) == 5 and tiles.tile_count >= 5
    for index, (picture, tile_id) in enumerate(zip(sheet.pictures, tiles.tiles, strict=True)):
        tile = tiles.tiles[tile_id]
        assert (tile.class_ or None) == picture.label
        assert tile.properties["name"] == picture.name
        assert tile.properties.get("seed") == (None if picture.seed is None else str(picture.seed))
        # where Tiled finds this id
        row, column = divmod(tile_id, tiles.columns)
        at = (extrude + column * (6 + 2 * extrude), extrude + row * (4 + 2 * extrude))
        assert at == sheet.layout.position(index)


def test_godot_resources(tmp_path: Path) -> None:
    """As godot_parser reads them; by the rules of Godot 4's text format, which Debian's Godot does not know."""
    sheet = pack_sheet(pictures(), 2, 1)
    _, frames_path, tiles_path = write_sheet(sheet, tmp_path, "godot", frame_ms=125)
    frames = godot_parser.parse(frames_path.read_text().replace('&"', '"'))  # it knows no names of Godot 4, &"name"
    regions = [section["region"].args for section in frames.get_sub_resources()]
    assert regions == [[*sheet.layout.position(i), 6, 4] for i in range(5)]
    assert [r.path for r in frames.get_ext_resources()] == ["sheet.png"]
    text = frames_path.read_text()
    assert text.startswith('[gd_resource type="SpriteFrames" load_steps=7 format=3]')
    for label, run in sheet.runs:
        block = text[text.index("[resource]") :].split(f'"name": &"{label}"')[0].rsplit('"frames": [', 1)[1]
        assert [f'SubResource("AtlasTexture_{i}")' in block for i in range(5)] == [i in run for i in range(5)]
    assert text.count('"speed": 8') == 3
    tiles = godot_parser.load(str(tiles_path))
    (source,) = tiles.get_sub_resources()
    assert source["margins"].args == [1, 1] and source["separation"].args == [2, 2]
    assert source["texture_region_size"].args == [6, 4]
    cells = [key for key in source.properties if key.endswith("/0") and ":" in key]
    assert cells == ["0:0/0", "1:0/0", "0:1/0", "1:1/0", "0:2/0"]


# ── programs ──────────────────────────────────────────────────────────────────────────────────────────────────────


def require(condition: object, what: str) -> None:
    """Skip the test where a program is missing, except in CI."""
    if not condition and "CI" not in os.environ:
        pytest.skip(f"{what} is not installed")
    assert condition, f"{what} is not installed"


@pytest.mark.parametrize(("extrude", "power"), [(0, False), (2, True)])
def test_tiled_draws_the_tiles(extrude: int, power: bool, tmp_path: Path) -> None:
    """Tiled's own rasterizer, of a map of all tiles."""
    require(shutil.which("tmxrasterizer"), "Tiled")
    sheet = pack_sheet(pictures(), 2, extrude, power)
    _, path = write_sheet(sheet, tmp_path, "tiled")
    ids = [int(line.split('"')[1]) for line in path.read_text().splitlines() if line.startswith(" <tile id=")]
    csv = ",".join(str(1 + number) for number in ids)
    (tmp_path / "map.tmx").write_text(
        '<map version="1.8" orientation="orthogonal" renderorder="right-down" width="5" height="1" tilewidth="6" '
        f'tileheight="4" infinite="0"><tileset firstgid="1" source="{path.name}"/><layer id="1" name="a" width="5" '
        f'height="1"><data encoding="csv">{csv}</data></layer></map>'
    )
    subprocess.run(
        ["tmxrasterizer", "map.tmx", "out.png"], cwd=tmp_path, check=True, timeout=60, capture_output=True,
        env=os.environ | {"QT_QPA_PLATFORM": "offscreen", "XDG_RUNTIME_DIR": str(tmp_path)},
    )  # fmt: skip
    with Image.open(tmp_path / "out.png") as image:
        drawn = np.asarray(image.convert("RGBA"))
    for index, picture in enumerate(sheet.pictures):
        found, wanted = drawn[:4, 6 * index : 6 * index + 6], rgba(picture)
        assert np.array_equal(found * (found[..., 3:] > 0), wanted)


PHASER = """<!doctype html><link rel="icon" href="data:,"><script src="/npm/phaser/dist/phaser.min.js"></script><script>
const scene = {
  preload() {
    this.load.LOADER("sheet", "sheet.png", "sheet.json");
    if (OWN) this.load.animation("animations", "sheet-animations.json");
  },
  create() {
    if (!OWN) this.anims.createFromAseprite("sheet");
    const texture = this.textures.get("sheet"), frames = {}, animations = {};
    for (const name of texture.getFrameNames()) {
      const frame = texture.get(name), canvas = document.createElement("canvas");
      [canvas.width, canvas.height] = [frame.width, frame.height];
      const context = canvas.getContext("2d");
      context.drawImage(texture.getSourceImage(), frame.cutX, frame.cutY, frame.cutWidth, frame.cutHeight, 0, 0,
        frame.width, frame.height);
      frames[name] = Array.from(context.getImageData(0, 0, frame.width, frame.height).data);
    }
    for (const [key, one] of Object.entries(this.anims.anims.entries))
      animations[key] = [one.frames.map((frame) => frame.textureFrame), one.msPerFrame];
    window.result = {frames, animations};
  },
};
new Phaser.Game({type: Phaser.CANVAS, width: 64, height: 64, scene, banner: false});
</script>"""
PIXI = """<!doctype html><link rel="icon" href="data:,"><script type="module">
import * as PIXI from "/npm/pixi.js/dist/pixi.min.mjs";
const app = new PIXI.Application();
await app.init({width: 16, height: 16, preference: "webgl", backgroundAlpha: 0, antialias: false, autoStart: false});
const sheet = await PIXI.Assets.load("sheet.json"), frames = {}, animations = {};
for (const [name, texture] of Object.entries(sheet.textures)) {
  texture.source.scaleMode = "nearest";
  const target = new PIXI.Sprite(texture);
  frames[name] = Array.from(app.renderer.extract.pixels({target, antialias: false, clearColor: [0, 0, 0, 0]}).pixels);
}
for (const [label, textures] of Object.entries(sheet.animations))
  animations[label] = textures.map((one) => Object.keys(sheet.textures).find((name) => sheet.textures[name] === one));
window.result = {frames, animations};
</script>"""
CSS = """<!doctype html><link rel="icon" href="data:,"><link rel="stylesheet" href="sheet.css">
<style>body { margin: 0; font-size: 0; line-height: 0 }</style>BODY<script>window.result = {}</script>"""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address at which a browser finds it, with the packages of npm beside it."""
    packages = Path(os.environ.get("NOISETTE_NPM", "missing")).resolve() / "node_modules"
    (tmp_path / "npm").symlink_to(packages)
    handler = functools.partial(Handler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield tmp_path, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        """Nothing."""


def open_page(browser: Any, url: str, shot: Path | None = None) -> Any:
    """What a page leaves in window.result."""
    page, errors = browser.new_page(viewport={"width": 90, "height": 40}), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(url)
    page.wait_for_function("window.result", timeout=60_000)
    if shot is not None:
        page.screenshot(path=str(shot), omit_background=True)
    result = page.evaluate("window.result")
    page.close()
    assert not errors
    return result


@pytest.mark.parametrize("kind", ["aseprite", "phaser", "pixi"])
def test_engines_cut_the_sheet(kind: str, served: tuple[Path, str], browser: Any) -> None:
    """Phaser's loaders of Aseprite's and TexturePacker's files, and PixiJS': pixels, animations and their times."""
    folder, address = served
    require((folder / "npm").is_dir(), "Phaser or PixiJS")
    sheet = pack_sheet(pictures(), 2, 1, power_of_two=True)
    write_sheet(sheet, folder, "phaser" if kind == "pixi" else kind, frame_ms=125)
    phaser = PHASER.replace("LOADER", "aseprite" if kind == "aseprite" else "atlas")
    page = PIXI if kind == "pixi" else phaser.replace("OWN", str(kind == "phaser").lower())
    (folder / "page.html").write_text(page)
    found = open_page(browser, f"{address}/page.html")
    names = [str(i) if kind == "aseprite" else picture.name for i, picture in enumerate(sheet.pictures)]
    assert sorted(found["frames"]) == sorted(names)
    for name, picture in zip(names, sheet.pictures, strict=True):
        assert np.array_equal(np.array(found["frames"][name]).reshape(4, 6, 4), rgba(picture))
    runs = {label: [names[i] for i in run] for label, run in sheet.runs}
    assert found["animations"] == (runs if kind == "pixi" else {label: [run, 125] for label, run in runs.items()})


def test_style_sheets_show_the_pictures(served: tuple[Path, str], browser: Any) -> None:
    folder, address = served
    sheet = pack_sheet(pictures(), 2, 1)
    write_sheet(sheet, folder, "css")
    body = "".join(f'<i class="sheet sheet-{picture.name}"></i>' for picture in sheet.pictures)
    (folder / "page.html").write_text(CSS.replace("BODY", body))
    open_page(browser, f"{address}/page.html", folder / "shot.png")
    with Image.open(folder / "shot.png") as image:
        shot = np.asarray(image.convert("RGBA"))
    for index, picture in enumerate(sheet.pictures):
        found, wanted = shot[:4, 6 * index : 6 * index + 6], rgba(picture)
        assert np.array_equal(found, wanted)


def test_json_is_what_aseprite_writes(tmp_path: Path) -> None:
    """The names of the pictures are slices, since the file names are the numbers that Phaser wants."""
    sheet = pack_sheet(pictures(), 3)
    _, path = write_sheet(sheet, tmp_path, "aseprite")
    read = json.loads(path.read_text())
    assert [frame["filename"] for frame in read["frames"]] == list("01234")
    assert [one["name"] for one in read["meta"]["slices"]] == [picture.name for picture in sheet.pictures]
    assert read["meta"]["frameTags"][1] == {"name": "potion", "from": 1, "to": 2, "direction": "forward"}
    assert read["meta"]["image"] == "sheet.png" and set(SHEET_KINDS) == {"aseprite", "phaser", "tiled", "godot", "css"}
