"""Files of edge-matching tile sets: NAME.png, and the terrains for Tiled (NAME.tsx) and Godot 4 (NAME.tres)."""

from collections.abc import Callable, Mapping
from pathlib import Path

from ..data.png import encode_png, to_image, to_indexed
from ..edit.tileset import TileSet
from ..edit.wang import RING, Controls
from ..io.files import write_files
from .sheet_formats import check_name, godot_text, xml_text
from .sheet_layout import Sheet, SheetPicture, pack_sheet

CENTER = 4  # the control of a tile's center
GODOT_BITS = (  # names of the peering bits, in the order of RING
    "top_side", "top_right_corner", "right_side", "bottom_right_corner",
    "bottom_side", "bottom_left_corner", "left_side", "top_left_corner",
)  # fmt: skip
GODOT_MODES = {True: 0, False: 1}  # match corners and sides; match corners

Format = Callable[[TileSet, Sheet, str], str]


def write_tileset(
    tileset: TileSet, folder: str | Path, name: str = "tileset", extrude: int = 0, metadata: Mapping[str, object] = {}
) -> list[Path]:
    """Write the files of `encode_tileset`; returns their paths."""
    return write_files(folder, encode_tileset(tileset, name, extrude, metadata))


def encode_tileset(
    tileset: TileSet, name: str = "tileset", extrude: int = 0, metadata: Mapping[str, object] = {}
) -> dict[str, bytes]:
    """NAME.png with the tiles in order, NAME.tsx and NAME.tres, by their names.

    extrude: how many times the edge pixels of each tile are repeated around it, 0 to 16. metadata: of the PNG. Raises
    InputError for a name that is not of letters, digits, - and _.
    """
    check_name(name)
    spec, colors = tileset.spec, tileset.colors
    pictures = [SheetPicture(f"{i:02d}", tile, colors=colors) for i, tile in enumerate(tileset.pixels.split(1))]
    sheet = pack_sheet(pictures, spec.layout.columns, extrude)
    about = {"kind": spec.kind, "tile": spec.tile, "border": spec.border, "terrains": list(spec.terrains)}
    picture = to_indexed(sheet.pixels, colors) if colors else to_image(sheet.pixels)
    texts = {f"{name}{ending}": encode(tileset, sheet, name) for ending, encode in TILESET_FORMATS.items()}
    return {f"{name}.png": encode_png(picture, {"tileset": about} | dict(metadata))} | {
        file: text.encode() for file, text in texts.items()
    }


def wang_id(controls: Controls, has_edges: bool) -> tuple[int, ...]:
    """The eight colors around a tile as Tiled counts them: clockwise from the top edge; 1 and 2 are the terrains, 0
    means that the edges do not count."""
    return tuple(1 + round(controls[i]) if has_edges or i in (0, 2, 6, 8) else 0 for i in RING)


def _tsx(tileset: TileSet, sheet: Sheet, name: str) -> str:
    """A tile set of Tiled with a terrain set. The tile of a single cell is left out: the colors around it are those of
    the first terrain's own tile."""
    spec, layout = tileset.spec, sheet.layout
    width, height = layout.size
    kind = spec.layout
    colors = "".join(
        f'   <wangcolor name="{xml_text(terrain)}" color="{_mean_color(tileset, value)}" '
        f'tile="{_plain(tileset, value)}" probability="1"/>\n'
        for value, terrain in enumerate(spec.terrains)
    )
    ids = [wang_id(controls, kind.has_edges) for controls in kind.tiles]
    tiles = "".join(
        f'   <wangtile tileid="{number}" wangid="{",".join(map(str, one))}"/>\n'
        for number, one in enumerate(ids)
        if ids.index(one) == number
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<tileset version="1.8" tiledversion="1.8.0" name="{xml_text(name)}" tilewidth="{layout.width}" '
        f'tileheight="{layout.height}" spacing="{2 * layout.extrude}" margin="{layout.extrude}" '
        f'tilecount="{layout.count}" columns="{layout.columns}">\n'
        f' <image source="{xml_text(name)}.png" width="{width}" height="{height}"/>\n'
        " <wangsets>\n"
        f'  <wangset name="{xml_text(" and ".join(spec.terrains))}" type="{"mixed" if kind.has_edges else "corner"}" '
        'tile="-1">\n'
        f"{colors}{tiles}"
        "  </wangset>\n </wangsets>\n</tileset>\n"
    )


def _tres(tileset: TileSet, sheet: Sheet, name: str) -> str:
    """A TileSet of Godot 4 with a terrain set, to be put beside the PNG. A tile's own terrain is that of its center."""
    spec, layout = tileset.spec, sheet.layout
    lines = []
    for number, controls in enumerate(spec.layout.tiles):
        row, column = divmod(number, layout.columns)
        cell = f"{column}:{row}/0"
        lines += [f"{cell} = 0", f"{cell}/terrain_set = 0", f"{cell}/terrain = {int(controls[CENTER] >= 0.5)}"]
        lines += [
            f"{cell}/terrains_peering_bit/{bit} = {color - 1}"
            for bit, color in zip(GODOT_BITS, wang_id(controls, spec.layout.has_edges), strict=True)
            if color
        ]
    terrains = []
    for value, terrain in enumerate(spec.terrains):
        color = ", ".join(f"{int(_mean_color(tileset, value)[i : i + 2], 16) / 255:.3f}" for i in (1, 3, 5))
        terrains += [
            f"terrain_set_0/terrain_{value}/name = {godot_text(terrain)}",
            f"terrain_set_0/terrain_{value}/color = Color({color}, 1)",
        ]
    return "\n".join([
        '[gd_resource type="TileSet" load_steps=3 format=3]\n',
        f'[ext_resource type="Texture2D" path="{name}.png" id="1"]\n',
        '[sub_resource type="TileSetAtlasSource" id="TileSetAtlasSource_1"]',
        'texture = ExtResource("1")',
        f"margins = Vector2i({layout.extrude}, {layout.extrude})",
        f"separation = Vector2i({2 * layout.extrude}, {2 * layout.extrude})",
        f"texture_region_size = Vector2i({layout.width}, {layout.height})",
        *lines,
        "\n[resource]",
        f"tile_size = Vector2i({layout.width}, {layout.height})",
        f"terrain_set_0/mode = {GODOT_MODES[spec.layout.has_edges]}",
        *terrains,
        'sources/0 = SubResource("TileSetAtlasSource_1")\n',
    ])  # fmt: skip


def _plain(tileset: TileSet, value: int) -> int:
    """The number of the tile that is of one terrain alone."""
    return tileset.spec.layout.tiles.index((float(value),) * 9)


def _mean_color(tileset: TileSet, value: int) -> str:
    """The mean color of a terrain, as #rrggbb."""
    pixels = tileset.pixels[_plain(tileset, value)]
    color = pixels[:3] if len(pixels) >= 3 else pixels[:1].expand(3, -1, -1)
    return "#" + "".join(f"{round(float(channel.float().mean())):02x}" for channel in color)


TILESET_FORMATS: dict[str, Format] = {".tsx": _tsx, ".tres": _tres}
