"""What tells a game engine where the pictures of a sheet are: files beside NAME.png, in the formats of each."""

import json
import re
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

from ..data.png import encode_png, to_image, to_indexed
from ..errors import InputError, check_range, lookup
from ..io.files import write_files
from ..io.version import __version__
from .sheet_layout import Sheet

MAX_FRAME_MS = 60_000
DEFAULT_FRAME_MS = 100  # that a frame is shown

Description = dict[str, str]  # name of a file → its text


def write_sheet(
    sheet: Sheet, folder: str | Path, kind: str, name: str = "sheet", frame_ms: int = DEFAULT_FRAME_MS
) -> list[Path]:
    """Write the files of `encode_sheet`; returns their paths."""
    return write_files(folder, encode_sheet(sheet, kind, name, frame_ms))


def encode_sheet(sheet: Sheet, kind: str, name: str = "sheet", frame_ms: int = DEFAULT_FRAME_MS) -> dict[str, bytes]:
    """NAME.png, at native size, and the files that describe it to an engine, by their names.

    kind: one of SHEET_KINDS. frame_ms: how long a frame is shown, 1 to 60,000 milliseconds. The PNG has a palette where
    all pictures are locked to the same one. Raises InputError for an unknown kind.
    """
    check_kind(kind)
    check_name(name)
    check_range("frame_ms", frame_ms, 1, MAX_FRAME_MS)
    picture = to_indexed(sheet.pixels, sheet.colors) if sheet.colors else to_image(sheet.pixels)
    texts = SHEET_KINDS[kind](sheet, name, frame_ms)
    return {f"{name}.png": encode_png(picture, origin=sheet.origin)} | {k: text.encode() for k, text in texts.items()}


def check_name(name: str) -> None:
    """Raise InputError unless `name` can be that of a sheet's files in every format."""
    if not re.fullmatch(r"[\w-]+", name):
        raise InputError(f"the name of a sheet must be letters, digits, - and _, got {name!r}")


def check_kind(kind: str) -> None:
    """Raise InputError unless `kind` is one of SHEET_KINDS."""
    lookup(kind, SHEET_KINDS, "kind of sheet")


# ── JSON: Aseprite, TexturePacker ─────────────────────────────────────────────────────────────────────────────────


def _frame(sheet: Sheet, index: int) -> dict[str, Any]:
    (x, y), layout = sheet.layout.position(index), sheet.layout
    size = {"w": layout.width, "h": layout.height}
    return {
        "frame": {"x": x, "y": y} | size,
        "rotated": False,
        "trimmed": False,
        "spriteSourceSize": {"x": 0, "y": 0} | size,
        "sourceSize": size,
    }


def _meta(sheet: Sheet, name: str) -> dict[str, Any]:
    width, height = sheet.layout.size
    return {
        "app": "noisette",
        "version": __version__,
        "image": f"{name}.png",
        "format": "RGBA8888",
        "size": {"w": width, "h": height},
        "scale": "1",
    }


def _aseprite(sheet: Sheet, name: str, frame_ms: int) -> Description:
    """The array that Aseprite exports with the item filename {frame}, which Phaser's createFromAseprite needs: a tag
    for each label, and a slice with the name of each picture."""
    size = {"x": 0, "y": 0, "w": sheet.layout.width, "h": sheet.layout.height}
    frames = [{"filename": str(i)} | _frame(sheet, i) | {"duration": frame_ms} for i in range(sheet.layout.count)]
    tags = [{"name": label, "from": run[0], "to": run[-1], "direction": "forward"} for label, run in sheet.runs]
    slices = [
        {"name": picture.name, "color": "#0000ffff", "keys": [{"frame": i, "bounds": size}]}
        for i, picture in enumerate(sheet.pictures)
    ]
    layers = [{"name": "noisette", "opacity": 255, "blendMode": "normal"}]
    meta = _meta(sheet, name) | {"frameTags": tags, "layers": layers, "slices": slices}
    return {f"{name}.json": _json({"frames": frames, "meta": meta})}


def _phaser(sheet: Sheet, name: str, frame_ms: int) -> Description:
    """TexturePacker's hash, which Phaser and PixiJS load, with PixiJS' animations; and Phaser's animations beside."""
    frames = {picture.name: _frame(sheet, i) | {"duration": frame_ms} for i, picture in enumerate(sheet.pictures)}
    runs = {label: [sheet.pictures[i].name for i in run] for label, run in sheet.runs}
    animations = [
        {
            "key": label,
            "type": "frame",
            "frames": [{"key": name, "frame": one} for one in names],
            "frameRate": 1000 / frame_ms,
            "repeat": -1,
        }
        for label, names in runs.items()
    ]
    return {
        f"{name}.json": _json({"frames": frames, "animations": runs, "meta": _meta(sheet, name)}),
        f"{name}-animations.json": _json({"anims": animations, "globalTimeScale": 1}),
    }


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


# ── Tiled ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _tiled(sheet: Sheet, name: str, frame_ms: int) -> Description:
    """A tile set: the label is a tile's type, its name and seed are properties."""
    layout, (width, height) = sheet.layout, sheet.layout.size
    numbers = (
        f'tilewidth="{layout.width}" tileheight="{layout.height}" spacing="{2 * layout.extrude}" '
        f'margin="{layout.extrude}" tilecount="{_cells(sheet)}" columns="{_columns(sheet)}"'
    )
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<tileset version="1.8" tiledversion="1.8.0" name="{xml_text(name)}" {numbers}>',
        f' <image source="{xml_text(name)}.png" width="{width}" height="{height}"/>',
    ]
    for index, picture in enumerate(sheet.pictures):
        row, column = divmod(index, layout.columns)
        kind = f' type="{xml_text(picture.label)}"' if picture.label else ""
        seed = [] if picture.seed is None else [f'   <property name="seed" value="{picture.seed}"/>']
        lines += [
            f' <tile id="{row * _columns(sheet) + column}"{kind}>',
            "  <properties>",
            f'   <property name="name" value="{xml_text(picture.name)}"/>',
            *seed,
            "  </properties>",
            " </tile>",
        ]
    return {f"{name}.tsx": "\n".join([*lines, "</tileset>", ""])}


def _columns(sheet: Sheet) -> int:
    """As Tiled counts: more than there are pictures side by side, where the sheet is a power of two."""
    layout = sheet.layout
    return (layout.size[0] + layout.extrude) // (layout.width + 2 * layout.extrude)


def _cells(sheet: Sheet) -> int:
    layout = sheet.layout
    return _columns(sheet) * ((layout.size[1] + layout.extrude) // (layout.height + 2 * layout.extrude))


def xml_text(text: str) -> str:
    """For an attribute of XML, which cannot hold control characters."""
    return escape("".join(c for c in text if c.isprintable()), quote=True)


# ── Godot ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _godot(sheet: Sheet, name: str, frame_ms: int) -> Description:
    """Resources of Godot 4: SpriteFrames with an animation for each label, and a TileSet. Put them beside the PNG."""
    layout = sheet.layout
    texture = f'[ext_resource type="Texture2D" path="{name}.png" id="1"]'
    regions = [
        f'[sub_resource type="AtlasTexture" id="AtlasTexture_{i}"]\natlas = ExtResource("1")\n'
        f"region = Rect2({x}, {y}, {layout.width}, {layout.height})\n"
        for i, (x, y) in enumerate(map(layout.position, range(layout.count)))
    ]
    animations = [
        '{\n"frames": ['
        + ", ".join(f'{{\n"duration": 1.0,\n"texture": SubResource("AtlasTexture_{i}")\n}}' for i in run)
        + f'],\n"loop": true,\n"name": &{godot_text(label)},\n"speed": {1000 / frame_ms:g}\n}}'
        for label, run in sheet.runs
    ]
    frames = [
        f'[gd_resource type="SpriteFrames" load_steps={layout.count + 2} format=3]\n',
        f"{texture}\n",
        *regions,
        f"[resource]\nanimations = [{', '.join(animations)}]\n",
    ]
    cells = [divmod(i, layout.columns) for i in range(layout.count)]
    tiles = [
        '[gd_resource type="TileSet" load_steps=3 format=3]\n',
        f"{texture}\n",
        '[sub_resource type="TileSetAtlasSource" id="TileSetAtlasSource_1"]\ntexture = ExtResource("1")\n'
        f"margins = Vector2i({layout.extrude}, {layout.extrude})\n"
        f"separation = Vector2i({2 * layout.extrude}, {2 * layout.extrude})\n"
        f"texture_region_size = Vector2i({layout.width}, {layout.height})\n"
        + "".join(f"{column}:{row}/0 = 0\n" for row, column in cells),
        f"[resource]\ntile_size = Vector2i({layout.width}, {layout.height})\n"
        'sources/0 = SubResource("TileSetAtlasSource_1")\n',
    ]
    return {f"{name}-frames.tres": "\n".join(frames), f"{name}-tiles.tres": "\n".join(tiles)}


def godot_text(text: str) -> str:
    """A string of Godot's text format."""
    return json.dumps("".join(c for c in text if c.isprintable()), ensure_ascii=False)


# ── CSS ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _css(sheet: Sheet, name: str, frame_ms: int) -> Description:
    """A class for the sheet and one for each picture: <i class="sheet sheet-potion-000001"></i>."""
    base, layout = _css_name(name), sheet.layout
    lines = [
        f".{base} {{ display: inline-block; width: {layout.width}px; height: {layout.height}px; "
        f'background-image: url("{name}.png"); background-repeat: no-repeat; image-rendering: pixelated; }}'
    ]
    taken: set[str] = set()
    for index, picture in enumerate(sheet.pictures):
        (x, y), own = layout.position(index), _css_name(picture.name)
        own = f"{own}-{index}" if own in taken else own
        taken.add(own)
        lines.append(f".{base}-{own} {{ background-position: {-x}px {-y}px; }}")
    return {f"{name}.css": "\n".join([*lines, ""])}


def _css_name(text: str) -> str:
    return re.sub(r"[^\w-]", "-", text)


SHEET_KINDS: dict[str, Callable[[Sheet, str, int], Description]] = {
    "aseprite": _aseprite,
    "phaser": _phaser,
    "tiled": _tiled,
    "godot": _godot,
    "css": _css,
}
