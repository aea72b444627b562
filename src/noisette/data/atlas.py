"""Sources that are texture atlases or tile sets: a sheet, and a file beside it that says where its pictures are.

Read are the JSON of Aseprite (array and hash), of TexturePacker and Phaser (hash, array, several sheets), and the tile
sets of Tiled (.tsx, .tsj). A file names its sheets; only files in its own folder are opened.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from jaxtyping import UInt8

from ..errors import InputError, shorten
from ..io.files import read_bytes
from ..io.json_files import parse_json
from ..io.json_types import get_field
from .aseprite import MAX_FILE_PIXELS
from .color_mode import convert_mode
from .decode import decode
from .entry import DEFAULT_LIMITS, AttributeValue, BadPicture, Entry, Pixels, Source, normalize_name
from .frame_tags import label_frames
from .pictures import Mode
from .rejection import find_size_problem
from .sprite_sheet import SHEET_LIMITS, is_empty

ATLAS_SUFFIXES = (".json", ".tsj", ".tsx")
MAX_BYTES = 2**24  # of the file that describes a sheet
MAX_SIDE = DEFAULT_LIMITS.max_side
OWN_PROPERTIES = ("name", "seed")  # of tiles that `noisette sheet` writes: no attributes


@dataclass(frozen=True)
class Region:
    """Where a picture is on its sheet, and how it was packed. Lengths in pixels."""

    name: str
    sheet: str  # name of the sheet's file
    x: int
    y: int
    width: int  # of the picture, before it was rotated
    height: int
    is_rotated: bool = False  # by 90° clockwise
    whole: tuple[int, int, int, int] | None = None  # left, top, width and height within the picture before trimming
    label: str | None = None
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)


def is_atlas(path: Path) -> bool:
    """Whether the name of a file is that of an atlas or a tile set."""
    return path.suffix.lower() in ATLAS_SUFFIXES


def from_atlas(location: str) -> Source:
    """The pictures of an atlas or a tile set, in its order. Empty ones are left out.

    Labels: Aseprite's tags; the folder in the name of a frame (potion/red.png); the type of a tile. The other
    properties of a tile are attributes. Raises InputError for a file of another kind, and for sheets that are not in
    its folder or are too small for it.
    """
    path = Path(location)
    data = read_bytes(path, MAX_BYTES)
    regions = list(_parse_tsx(data, location) if path.suffix.lower() == ".tsx" else _parse_json(data, location))
    if len(regions) > DEFAULT_LIMITS.max_entries:
        raise InputError(f"{location} has {len(regions):,} pictures, the maximum is {DEFAULT_LIMITS.max_entries:,}")
    pixels = sum(region.width * region.height if region.whole is None else region.whole[2] * region.whole[3]
                 for region in regions)  # fmt: skip
    if pixels > MAX_FILE_PIXELS:
        raise InputError(f"{location} has pictures of {pixels:,} pixels together, the maximum is {MAX_FILE_PIXELS:,}")
    sheets = {name: _read_sheet(path, name) for name in dict.fromkeys(region.sheet for region in regions)}
    entries, names, empty = [], set[str](), 0
    for region in regions:
        content = _cut(sheets[region.sheet], region, location)
        if _is_empty(content, region):
            empty += 1
            continue
        if region.name in names:
            raise InputError(f"{location} names {shorten(region.name)} twice: give each picture a name of its own")
        names.add(region.name)
        read = partial(_restore, content, region)
        entries.append(Entry(region.name, read, region.label, region.attributes))
    if not entries:
        raise InputError(
            f"{location} has no pictures: all {empty} are empty" if empty else f"{location} has no pictures"
        )
    notes = [f"empty pictures, left out: {empty}"] if empty else []
    return Source(location, "sheet", tuple(entries), (f"pictures and labels as {path.name} says", *notes))


def _read_sheet(atlas: Path, name: str) -> Pixels:
    """A sheet in the folder of the file that names it, whatever folders are in the name."""
    path = atlas.parent / re.split(r"[/\\]", name)[-1]
    if not path.is_file():
        raise InputError(f"{atlas} names the sheet {shorten(path.name)}, which is not in its folder: put it there")
    try:
        return decode(read_bytes(path, DEFAULT_LIMITS.max_file_bytes), SHEET_LIMITS).pixels
    except BadPicture as error:
        raise InputError(f"{path} {error}") from error


def _cut(sheet: Pixels, region: Region, location: str) -> UInt8[np.ndarray, "height width channels"]:
    """A picture of a sheet, upright."""
    across, down = (region.height, region.width) if region.is_rotated else (region.width, region.height)
    if region.x + across > sheet.shape[1] or region.y + down > sheet.shape[0]:
        raise InputError(
            f"{location}: {shorten(region.name)} is outside of its sheet of {sheet.shape[1]}×{sheet.shape[0]} pixels"
        )
    content = sheet[region.y : region.y + down, region.x : region.x + across]
    return np.rot90(content) if region.is_rotated else content


def _is_empty(content: Pixels, region: Region) -> bool:
    """Whether a picture is empty, see `is_empty`; one with clear pixels around it is not of one color."""
    if region.whole is None or region.whole[2:] == (region.width, region.height):
        return is_empty(content)
    return content.shape[2] in (2, 4) and not content[..., -1].any()


def _restore(content: Pixels, region: Region) -> UInt8[np.ndarray, "height width channels"]:
    """A picture with the clear pixels around it that were trimmed. Raises BadPicture for a size beyond the limits."""
    if region.whole is None:
        return np.array(content, order="C")
    left, top, width, height = region.whole
    if problem := find_size_problem(width, height, DEFAULT_LIMITS):
        raise BadPicture(problem)
    mode: Mode = "LA" if content.shape[2] <= 2 else "RGBA"
    whole = np.zeros((height, width, len(mode)), np.uint8)
    whole[top : top + region.height, left : left + region.width] = convert_mode(content, mode)
    return whole


# ── JSON ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _parse_json(data: bytes, location: str) -> Iterator[Region]:
    value = parse_json(data, location)
    if isinstance(value, dict) and "tilewidth" in value:
        yield from _parse_tsj(value, location)
        return
    parts: Sequence[Any] = [value]
    if isinstance(value, dict) and isinstance(value.get("textures"), list):
        parts = value["textures"]  # of Phaser: several sheets
    for part in parts:
        if not isinstance(part, dict) or "frames" not in part:
            raise InputError(
                f"{location} is no atlas: it has no frames, which files of Aseprite and TexturePacker have; give a "
                "folder, or the sheet with --cell"
            )
        given = part.get("meta")
        meta = given if isinstance(given, dict) else part
        image = get_field(meta, "image", str, f"{location}: meta")
        yield from _parse_frames(part["frames"], meta, part.get("animations"), image, location)


def _parse_frames(frames: Any, meta: Mapping[str, Any], animations: Any, sheet: str, location: str) -> Iterator[Region]:
    if isinstance(frames, dict):
        frames = [{"filename": name} | frame for name, frame in frames.items() if isinstance(frame, dict)]
    if not isinstance(frames, list) or not all(isinstance(frame, dict) for frame in frames):
        raise InputError(f"{location}: frames must be a list or an object of frames")
    tags, names = label_frames(_parse_tags(meta, location), len(frames)), _parse_slices(meta, len(frames))
    animated = _parse_animations(animations, meta)
    for number, frame in enumerate(frames):
        where = f"{location}: frame {number}"
        name = normalize_name(get_field(frame, "filename", str, where))
        x, y, width, height = _box(get_field(frame, "frame", dict, where), where)
        whole = None
        if frame.get("trimmed") is True:
            left, top, *_ = _box(get_field(frame, "spriteSourceSize", dict, where), where)
            size = get_field(frame, "sourceSize", dict, where)
            whole = (left, top, _length(size, "w", where), _length(size, "h", where))
            if left + width > whole[2] or top + height > whole[3]:
                raise InputError(f"{where}: the trimmed picture is larger than sourceSize")
        label = tags[number] or animated.get(name) or (name.rsplit("/", 2)[-2] if "/" in name else None)
        rotated = frame.get("rotated") is True
        yield Region(names.get(number, name), sheet, x, y, width, height, rotated, whole, label)


def _parse_tags(meta: Mapping[str, Any], location: str) -> list[tuple[int, int, str]]:
    """Aseprite's tags: first frame, last frame, name. noisette sheet calls pictures without a label "all"."""
    tags, given = list[tuple[int, int, str]](), meta.get("frameTags")
    for number, tag in enumerate(given if isinstance(given, list) else []):
        where = f"{location}: tag {number}"
        if not isinstance(tag, dict):
            raise InputError(f"{where} is no object")
        name = normalize_name(get_field(tag, "name", str, where).strip())
        if not (name == "all" and meta.get("app") == "noisette"):
            tags.append((_length(tag, "from", where, 0), _length(tag, "to", where, 0), name))
    return tags


def _parse_animations(animations: Any, meta: Mapping[str, Any]) -> dict[str, str]:
    """Name of a frame → the first of PixiJS' animations that it is part of."""
    labels: dict[str, str] = {}
    for label, names in animations.items() if isinstance(animations, dict) else ():
        if isinstance(names, list) and not (label == "all" and meta.get("app") == "noisette"):
            for name in names:
                if isinstance(name, str):
                    labels.setdefault(name, label)
    return {normalize_name(name): normalize_name(label) for name, label in labels.items()}


def _parse_slices(meta: Mapping[str, Any], count: int) -> dict[int, str]:
    """Number of a frame → its name, where each slice is of one frame, as `noisette sheet` writes names."""
    slices = meta.get("slices")
    if meta.get("app") != "noisette" or not isinstance(slices, list) or len(slices) != count:
        return {}
    names = [one.get("name") if isinstance(one, dict) else None for one in slices]
    return {i: normalize_name(name) for i, name in enumerate(names) if isinstance(name, str)}


def _box(value: Mapping[str, Any], where: str) -> tuple[int, int, int, int]:
    x, y = (_length(value, name, where, 0) for name in "xy")
    return x, y, _length(value, "w", where), _length(value, "h", where)


def _length(value: Mapping[str, Any], name: str, where: str, least: int = 1) -> int:
    """A number of pixels, or of frames."""
    number = get_field(value, name, int, where)
    if not least <= number <= max(MAX_SIDE, DEFAULT_LIMITS.max_entries if name in ("from", "to") else 0):
        raise InputError(f"{where}: {name} must be {least} to {MAX_SIDE}, got {shorten(number)}")
    return number


# ── Tiled ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _TileSet:
    """The geometry of a tile set."""

    image: str
    width: int  # of a tile
    height: int
    margin: int
    spacing: int
    columns: int
    count: int

    def region(self, number: int, name: str, label: str | None, attributes: Mapping[str, AttributeValue]) -> Region:
        row, column = divmod(number, self.columns)
        x, y = self.margin + column * (self.width + self.spacing), self.margin + row * (self.height + self.spacing)
        return Region(name, self.image, x, y, self.width, self.height, label=label, attributes=attributes)


def _parse_tsx(data: bytes, location: str) -> Iterator[Region]:
    # entities can grow without bound, and name files; in other encodings than UTF-8 they would not be seen
    if b"<!" in data.replace(b"<!--", b"") or b"\0" in data:
        raise InputError(
            f"{location} has declarations, which tile sets do not need, or is not UTF-8: save it again with Tiled"
        )
    try:
        root = ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise InputError(f"{location} is no tile set of Tiled: {error}") from error
    image = root.find("image")
    if root.tag != "tileset" or image is None:
        raise InputError(f"{location} is no tile set with one picture: collections of pictures are folders to train on")
    value: dict[str, Any] = {**root.attrib, "image": image.get("source", "")}
    value["tiles"] = [
        {
            "id": tile.get("id"),
            "type": tile.get("type") or tile.get("class"),
            "properties": [
                {"name": one.get("name"), "type": one.get("type", "string"), "value": one.get("value", one.text)}
                for one in tile.iterfind("properties/property")
            ],
        }
        for tile in root.iterfind("tile")
    ]
    yield from _parse_tsj(value, location)


def _parse_tsj(value: Mapping[str, Any], location: str) -> Iterator[Region]:
    """Tiles in the order of their numbers. In XML all values are text."""

    def number(source: Mapping[str, Any], name: str, least: int, default: int | None = None) -> int:
        given = source.get(name, default)
        text = str(given)
        if isinstance(given, bool) or not re.fullmatch(r"\d{1,7}", text) or not least <= int(text) <= 10**6:
            raise InputError(f"{location}: {name} must be a whole number of at least {least}, got {shorten(given)}")
        return int(text)

    image = value.get("image")
    if not isinstance(image, str) or not image:
        raise InputError(f"{location} is no tile set with one picture: collections of pictures are folders to train on")
    tile_set = _TileSet(
        image, number(value, "tilewidth", 1), number(value, "tileheight", 1), number(value, "margin", 0, 0),
        number(value, "spacing", 0, 0), number(value, "columns", 1), number(value, "tilecount", 1),
    )  # fmt: skip
    tiles = value.get("tiles", [])
    if not isinstance(tiles, list) or not all(isinstance(tile, dict) for tile in tiles):
        raise InputError(f"{location}: tiles must be a list of objects")
    known = {number(tile, "id", 0): tile for tile in tiles}
    for tile_id in range(tile_set.count):
        tile = known.get(tile_id, {})
        label = tile.get("type") or tile.get("class")
        properties = _parse_properties(tile.get("properties"), location)
        name = properties.get("name")
        attributes = {k: v for k, v in properties.items() if k not in OWN_PROPERTIES}
        yield tile_set.region(
            tile_id,
            name if isinstance(name, str) and name else f"tile {tile_id:04d}",
            normalize_name(label) if isinstance(label, str) else None,
            attributes,
        )


def _parse_properties(value: Any, location: str) -> dict[str, AttributeValue]:
    """Properties with a number or a word."""
    found: dict[str, AttributeValue] = {}
    for one in value if isinstance(value, list) else []:
        if not isinstance(one, dict) or not isinstance(one.get("name"), str):
            raise InputError(f"{location}: a property of a tile has no name")
        name, given = normalize_name(one["name"].strip()), one.get("value")
        if one.get("type") in ("int", "float") and not isinstance(given, bool):
            try:
                found[name] = float(given)  # type: ignore[arg-type]
            except (TypeError, ValueError, OverflowError) as error:
                raise InputError(f"{location}: the property {shorten(name)} is {shorten(given)}, no number") from error
            if not np.isfinite(found[name]):  # type: ignore[call-overload]
                raise InputError(f"{location}: the property {shorten(name)} is no finite number")
        elif isinstance(given, bool):
            found[name] = str(given).lower()
        elif isinstance(given, str) and given.strip():
            found[name] = normalize_name(given.strip())
    return found
