"""Palettes: colors in an order, from a file, a picture or pictures, and files of them for other programs."""

import re
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import InputError, shorten
from ..io.files import atomic_write, read_bytes
from .color_mode import convert_mode
from .decode import decode_raw
from .entry import BadPicture, Pixels

MAX_COLORS = 256  # of a palette
MAX_FILE_BYTES = 2**20  # of a palette file; a picture may be larger
LEARNED_PIXELS = 2**20  # at most so many pixels are looked at, evenly spaced, when a palette is learned
COLOR = re.compile(r"#[0-9a-f]{6}")

Color = tuple[int, int, int]  # red, green, blue, 0 to 255


@dataclass(frozen=True)
class Palette:
    """1 to MAX_COLORS different colors like "#ff8000", in an order. InputError for others."""

    colors: tuple[str, ...]

    def __post_init__(self) -> None:
        check_colors(self.colors)
        if len(set(self.colors)) != len(self.colors):
            raise InputError("a palette must have each color once")

    def __len__(self) -> int:
        return len(self.colors)

    @property
    def rgb(self) -> tuple[Color, ...]:
        """Red, green and blue of each color, 0 to 255."""
        return tuple(parse_color(color) for color in self.colors)

    def write(self, path: str | Path) -> None:
        """Write it atomically, in the format of the name's ending: .gpl, .hex, .pal (JASC) or .png, a row of pixels.

        Raises InputError for other endings.
        """
        path = Path(path)
        if path.suffix.lower() not in WRITERS:
            raise InputError(f"{path.name} must end in {', '.join(WRITERS)}: a palette is written as one of these")
        atomic_write(path, WRITERS[path.suffix.lower()](self, path.stem))


def check_colors(colors: Sequence[str]) -> None:
    """Raise InputError unless these are 1 to MAX_COLORS colors like #ff8000, in lower case."""
    if not 1 <= len(colors) <= MAX_COLORS:
        raise InputError(f"a palette must have 1 to {MAX_COLORS} colors, got {len(colors)}")
    for color in colors:
        if not COLOR.fullmatch(color):
            raise InputError(f"{shorten(color)} is no color: write it like #ff8000")


def parse_color(color: str) -> Color:
    """Red, green and blue, 0 to 255, of a color like #ff8000."""
    red, green, blue = bytes.fromhex(color[1:])
    return red, green, blue


def format_color(red: int, green: int, blue: int) -> str:
    """A color like #ff8000."""
    return f"#{red:02x}{green:02x}{blue:02x}"


def read_palette(source: str | Path | Sequence[str]) -> Palette:
    """A palette: of "#ff8000,#000000", of a sequence of such colors, or of a file.

    Files: GIMP's .gpl, .hex (a color a line), .pal of JASC, .txt of Paint.NET, Adobe's .ase, or a picture. Of a
    picture with a palette its entries in their order, as far as they are visible; of others the visible colors in
    reading order. A color that comes again is left out. Raises InputError for what is none of these, and for more than
    MAX_COLORS colors.
    """
    if isinstance(source, str) and source.startswith("#"):
        source = source.split(",")
    if not isinstance(source, str | Path):
        return Palette(tuple(dict.fromkeys(color.strip().lower() for color in source)))
    colors = [format_color(*color) for color in _read_file(Path(source))]
    distinct = tuple(dict.fromkeys(colors))
    if not distinct:
        raise InputError(f"{source} has no colors: give a palette file, or a picture with visible pixels")
    if len(distinct) > MAX_COLORS:
        raise InputError(f"{source} {_too_many(len(distinct))}")
    return Palette(distinct)


def learn_palette(pictures: Iterable[Pixels], number: int = 16) -> Palette:
    """The colors of the visible pixels of pictures: all of them, most frequent first, if there are at most `number`;
    else about as many as `number`, chosen by median cut and k-means among those that the pictures have, from dark to
    light.

    Raises InputError without a visible pixel, and for `number` not between 1 and MAX_COLORS.
    """
    if not 1 <= number <= MAX_COLORS:
        raise InputError(f"the number of colors must be 1 to {MAX_COLORS}, got {number}")
    different, counts = _count_colors(pictures)
    if len(different) == 0:
        raise InputError("the pictures have no visible pixel: a palette needs some")
    if len(different) <= number:
        order = np.argsort(-counts, kind="stable")
        return Palette(tuple(f"#{color:06x}" for color in different[order].tolist()))
    known = np.stack([different >> 16, different >> 8 & 255, different & 255], axis=1)
    share = min(1.0, LEARNED_PIXELS / counts.sum())
    pixels = np.repeat(known.astype(np.uint8), np.ceil(counts * share).astype(np.int64), axis=0)
    image = Image.fromarray(pixels[None]).quantize(number, Image.Quantize.MEDIANCUT, kmeans=2)
    chosen = np.array(image.getpalette(), np.int64).reshape(-1, 3)[: int(np.asarray(image).max()) + 1]
    # the nearest color that the pictures have: a mean of several may be one that none of them has
    nearest = {int(((known - color) ** 2).sum(axis=1).argmin()) for color in chosen}
    light = known @ np.array([299, 587, 114])
    return Palette(tuple(f"#{different[i]:06x}" for i in sorted(nearest, key=lambda i: (light[i], i))))


def _count_colors(pictures: Iterable[Pixels]) -> tuple[np.ndarray, np.ndarray]:
    """The different colors of the visible pixels as whole numbers, ascending, and how often each occurs."""
    colors, counts = np.zeros(0, np.int64), np.zeros(0, np.int64)
    for pixels in pictures:
        some, some_counts = np.unique(pack(visible_colors(pixels)).astype(np.int64), return_counts=True)
        colors, places = np.unique(np.concatenate([colors, some]), return_inverse=True)
        counts = np.bincount(places, np.concatenate([counts, some_counts])).astype(np.int64)
    return colors, counts


def visible_colors(pixels: Pixels) -> np.ndarray:
    """Red, green and blue of the visible pixels (alpha above 0), uint8 (n, 3), in reading order."""
    flat = convert_mode(pixels, "RGBA").reshape(-1, 4)
    return flat[flat[:, 3] > 0, :3]


def pack(colors: np.ndarray) -> np.ndarray:
    """Colors, uint8 (n, 3), as whole numbers 0xRRGGBB."""
    wide = colors.astype(np.uint32)
    return wide[:, 0] << 16 | wide[:, 1] << 8 | wide[:, 2]


# ── files ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _read_file(path: Path) -> list[Color]:
    reader = READERS.get(path.suffix.lower(), _read_picture)
    data = read_bytes(path, None if reader is _read_picture else MAX_FILE_BYTES)
    try:
        return reader(data)
    except BadPicture as error:
        raise InputError(f"{path} {error}") from error
    except (ValueError, struct.error) as error:
        raise InputError(f"{path} is no palette of the kind that its name says: {error}") from error


def _read_gpl(data: bytes) -> list[Color]:
    """GIMP: a first line, header lines `Name: value`, then `R G B name`."""
    first, *lines = _lines(data)
    if first != "GIMP Palette":
        raise ValueError("the first line is not “GIMP Palette”")
    rows = [line.split() for line in lines if line and not line.startswith("#")]
    return [_numbers(row[:3]) for row in rows if not row[0].endswith(":")]


def _read_jasc(data: bytes) -> list[Color]:
    """Paint Shop Pro: JASC-PAL, 0100, the number of colors, then `R G B` (a fourth number is alpha)."""
    first, _, number, *lines = [*_lines(data), "", ""]
    if first != "JASC-PAL":
        raise ValueError("the first line is not “JASC-PAL”")
    return [_numbers(line.split()[:3]) for line in lines[: int(number)] if line]


def _read_hex(data: bytes) -> list[Color]:
    """A color a line: ff8000 or #ff8000."""
    return _hex_colors(_lines(data), "[0-9a-fA-F]{6}")


def _read_paint_net(data: bytes) -> list[Color]:
    """Paint.NET: a color a line, alpha first: ffff8000; comments begin with a semicolon."""
    return _hex_colors([line.split(";")[0].strip() for line in _lines(data)], "(?:[0-9a-fA-F]{2})?[0-9a-fA-F]{6}")


def _hex_colors(lines: Sequence[str], pattern: str) -> list[Color]:
    rows = [line.removeprefix("#") for line in lines if line]
    for row in rows:
        if not re.fullmatch(pattern, row):
            raise ValueError(f"{shorten(row)} is no color like ff8000")
    return [parse_color(f"#{row[-6:]}") for row in rows]


def _read_swatches(data: bytes) -> list[Color]:
    """Adobe Swatch Exchange: blocks, of which those of colors have a model and numbers from 0 to 1."""
    if len(data) > 6 and data[4:6] == b"\xe0\xa5":
        raise ValueError("it is a sprite of Aseprite, not a palette: save its palette as .gpl there")
    if data[:4] != b"ASEF":
        raise ValueError("it does not begin with ASEF, as Adobe's swatches do")
    (number,) = struct.unpack_from(">I", data, 8)
    colors, at = [], 12
    for _ in range(min(number, len(data) // 6)):
        kind, size = struct.unpack_from(">HI", data, at)
        if kind == 1:
            (length,) = struct.unpack_from(">H", data, at + 6)
            colors.append(_swatch(data, at + 8 + 2 * length))
        at += 6 + size
    return colors


def _swatch(data: bytes, at: int) -> Color:
    model = data[at : at + 4]
    if model == b"RGB ":
        values = struct.unpack_from(">3f", data, at + 4)
    elif model == b"Gray":
        values = struct.unpack_from(">f", data, at + 4) * 3
    else:
        name = model.decode("ascii", "replace").strip()
        raise ValueError(f"it has colors of the model {name}, and only RGB and Gray can be read")
    red, green, blue = (round(255 * min(max(value, 0.0), 1.0)) for value in values)
    return red, green, blue


def _read_picture(data: bytes) -> list[Color]:
    visible = pack(visible_colors(decode_raw(data).pixels))
    different, first = np.unique(visible, return_index=True)
    if len(different) > MAX_COLORS:
        raise BadPicture(_too_many(len(different)))
    in_order: list[int] = different[np.argsort(first)].tolist()
    with Image.open(BytesIO(data)) as image:
        table = image.getpalette() if image.mode == "P" else None
    if table:
        entries = pack(np.array(table, np.uint8).reshape(-1, 3)).tolist()
        seen = set(in_order)
        ordered = [entry for entry in dict.fromkeys(entries) if entry in seen]
        in_order = ordered if len(ordered) == len(in_order) else in_order
    return [(color >> 16, color >> 8 & 255, color & 255) for color in in_order]


def _too_many(number: int) -> str:
    return (
        f"has {number:,} colors, and a palette has at most {MAX_COLORS}: make one of fewer colors with noisette "
        "palette learn"
    )


def _lines(data: bytes) -> list[str]:
    """Lines without spaces around them; empty ones at the end are left out."""
    return [line.strip() for line in data.decode("utf-8-sig", "replace").strip().splitlines()] or [""]


def _numbers(words: Sequence[str]) -> Color:
    try:
        red, green, blue = (int(word) for word in words)
    except ValueError:
        raise ValueError(f"{shorten(' '.join(words))} is no color like 255 128 0") from None
    if not all(0 <= value <= 255 for value in (red, green, blue)):
        raise ValueError(f"{red} {green} {blue} is no color: the numbers are 0 to 255")
    return red, green, blue


READERS: dict[str, Callable[[bytes], list[Color]]] = {
    ".gpl": _read_gpl, ".pal": _read_jasc, ".hex": _read_hex, ".txt": _read_paint_net, ".ase": _read_swatches,
}  # fmt: skip


def _gpl(palette: Palette, name: str) -> bytes:
    rows = [f"{red:3d} {green:3d} {blue:3d}\t{color[1:]}" for (red, green, blue), color in _pairs(palette)]
    return "\n".join(["GIMP Palette", f"Name: {name}", "#", *rows, ""]).encode()


def _hex(palette: Palette, name: str) -> bytes:
    return "\n".join([*(color[1:] for color in palette.colors), ""]).encode()


def _jasc(palette: Palette, name: str) -> bytes:
    rows = ["JASC-PAL", "0100", str(len(palette)), *(f"{r} {g} {b}" for r, g, b in palette.rgb), ""]
    return "\r\n".join(rows).encode()


def _png(palette: Palette, name: str) -> bytes:
    """A row of one pixel a color, with the palette in its order; without the mark of our own pictures."""
    image = Image.new("P", (len(palette), 1))
    image.putpalette(bytes(value for color in palette.rgb for value in color))
    image.putdata(range(len(palette)))
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _pairs(palette: Palette) -> list[tuple[Color, str]]:
    return list(zip(palette.rgb, palette.colors, strict=True))


WRITERS: dict[str, Callable[[Palette, str], bytes]] = {".gpl": _gpl, ".hex": _hex, ".pal": _jasc, ".png": _png}
