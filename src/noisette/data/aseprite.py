"""Reading .aseprite and .ase files: layers, cels, palettes, tags and slices, as Aseprite's file specification says.

https://github.com/aseprite/aseprite/blob/main/docs/ase-file-specs.md. The pixels of cels stay packed: `sprite_render`
unpacks those of one frame at a time. All lengths are checked against the file, and all counts against a maximum, before
anything is allocated. Only BadPicture is raised.
"""

import struct
from bisect import bisect_right
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import UInt8

from .entry import BadPicture, normalize_name
from .frame_tags import label_frames

MAGIC, FRAME_MAGIC, ADOBE_MAGIC = 0xA5E0, 0xF1FA, b"ASEF"
MAX_PIXELS = 2**24  # of the canvas, and of a cel
MAX_FRAME_PIXELS = 2**26  # of the cels of a frame together
MAX_FILE_PIXELS = 2**30  # of the canvas and the cels of all frames together
MAX_CHUNKS, MAX_CELS, MAX_NAMED = 1_000_000, 100_000, 4096  # MAX_NAMED: layers, tags, slices, keys of a slice
TOO_MUCH = "has more pixels or parts than can be read: export its frames as PNG"
MAX_RATIO = 1040  # of Deflate: bytes for each packed one
CHANNELS = {8: 1, 16: 2, 32: 4}  # bits of a pixel → bytes
OLD_PALETTES, LAYER, CEL, TAGS, PALETTE, SLICE = (0x0004, 0x0011), 0x2004, 0x2005, 0x2018, 0x2019, 0x2022
VISIBLE, BACKGROUND, REFERENCE = 1, 8, 64  # flags of layers
IMAGE, GROUP, TILEMAP = 0, 1, 2  # types of layers
RAW, LINKED, COMPRESSED = 0, 1, 2  # types of cels

Colors = UInt8[np.ndarray, "256 4"]


@dataclass(frozen=True)
class Layer:
    """A layer of pictures, as it counts for the result."""

    is_drawn: bool  # it and all groups around it are visible, and it is no reference
    is_background: bool
    opacity: int  # 0 to 255
    blend_mode: int
    kind: int


@dataclass(frozen=True)
class Cel:
    """The picture of a layer in a frame; x and y are those of its top left corner on the canvas."""

    layer: int
    x: int
    y: int
    opacity: int
    z: int  # how many layers it is drawn above its own
    width: int
    height: int
    data: bytes = field(repr=False)
    is_packed: bool

    @property
    def order(self) -> tuple[int, int]:
        """Cels with lower numbers are below."""
        return self.layer + self.z, self.z


@dataclass(frozen=True)
class Frame:
    """The cels of a frame, from below, and the palette that is valid there."""

    cels: tuple[Cel, ...]
    palette: Colors = field(repr=False)


@dataclass(frozen=True)
class Slice:
    """A named rectangle: (left, top, width, height) from each of its frames on."""

    name: str
    frames: tuple[int, ...]
    boxes: tuple[tuple[int, int, int, int], ...]

    def box(self, frame: int) -> tuple[int, int, int, int] | None:
        """The rectangle in a frame; None if there is none."""
        key = bisect_right(self.frames, frame) - 1
        return self.boxes[key] if key >= 0 and min(self.boxes[key][2:]) > 0 else None


@dataclass(frozen=True)
class Sprite:
    """A file."""

    width: int
    height: int
    depth: int  # bits of a pixel: 8 (of a palette), 16 (gray and alpha) or 32 (RGBA)
    clear_index: int  # of the palette: transparent in all layers but backgrounds
    layers: tuple[Layer, ...]
    frames: tuple[Frame, ...]
    labels: tuple[str | None, ...]  # of each frame, the first tag that it has
    slices: tuple[Slice, ...]


def parse_sprite(data: bytes) -> Sprite:
    """Read a file, without the pixels. Raises BadPicture."""
    if data.startswith(ADOBE_MAGIC):
        raise BadPicture("is a palette of Adobe, not a picture")
    if len(data) < 128 or struct.unpack_from("<H", data, 4)[0] != MAGIC:
        raise BadPicture("is no file of Aseprite, or is truncated" if data else "is empty: 0 bytes")
    try:
        return _Parser(data).parse()
    except struct.error as error:
        raise BadPicture("is damaged: a value leads out of its chunk") from error


class _Parser:
    """The state while a file is read: its chunks refer to earlier ones."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        size, _, self.count, self.width, self.height, self.depth, self.flags = struct.unpack_from("<IHHHHHI", data)
        self.clear_index = data[28]
        self.layers: list[Layer] = []
        self.groups: list[Layer] = []  # around the next layer
        self.frames: list[dict[int, Cel]] = []  # by layer
        self.palettes: list[Colors] = []  # one for each frame
        self.old_colors = _gray_ramp()  # of chunks of the old kind, which count if there are none of the new one
        self.colors: Colors | None = None
        self.tags: list[tuple[int, int, str]] = []
        self.slices: list[Slice] = []
        self.cels = self.chunks = self.pixels = 0
        if size > len(data):
            raise BadPicture("is truncated")
        if self.depth not in CHANNELS:
            raise BadPicture(f"has pixels of {self.depth} bits, which Aseprite does not write: 8, 16 or 32")
        if not 0 < self.width * self.height <= MAX_PIXELS:
            raise BadPicture(f"is {self.width}×{self.height}: a sprite has 1 to {MAX_PIXELS:,} pixels")

    def parse(self) -> Sprite:
        position = 128
        for _ in range(self.count):
            position = self.read_frame(position)
        if not self.frames:
            raise BadPicture("has no frames")
        self.check_layers()
        frames = tuple(
            Frame(tuple(sorted(cels.values(), key=lambda cel: cel.order)), palette)
            for cels, palette in zip(self.frames, self.palettes, strict=True)
        )
        return Sprite(
            self.width, self.height, self.depth, self.clear_index, tuple(self.layers), frames,
            label_frames(self.tags, len(self.frames)), tuple(self.slices),
        )  # fmt: skip

    def read_frame(self, start: int) -> int:
        """Read a frame and return the position behind it."""
        size, magic, old_count, _, new_count = struct.unpack_from("<IHHH2xI", self.data, start)
        end, position = start + size, start + 16
        if magic != FRAME_MAGIC or size < 16 or end > len(self.data):
            raise BadPicture(f"is damaged or truncated in frame {len(self.frames) + 1}")
        self.frames.append({})
        for _ in range(new_count or old_count):
            size, kind = struct.unpack_from("<IH", self.data, position)
            self.chunks += 1
            if size < 6 or position + size > end:
                raise BadPicture(f"is damaged or truncated in frame {len(self.frames)}")
            if self.chunks > MAX_CHUNKS:
                raise BadPicture(TOO_MUCH)
            self.read_chunk(kind, self.data[position + 6 : position + size])
            position += size
        self.palettes.append(self.old_colors if self.colors is None else self.colors)
        pixels = sum(cel.width * cel.height for cel in self.frames[-1].values())
        self.pixels += self.width * self.height + pixels
        if pixels > MAX_FRAME_PIXELS or self.pixels > MAX_FILE_PIXELS:
            raise BadPicture(TOO_MUCH)
        return end

    def read_chunk(self, kind: int, chunk: bytes) -> None:
        if kind == LAYER:
            self.read_layer(chunk)
        elif kind == CEL:
            self.read_cel(chunk)
        elif kind == PALETTE:
            self.read_palette(chunk)
        elif kind in OLD_PALETTES:
            self.read_old_palette(chunk, 255 / 63 if kind == OLD_PALETTES[1] else 1.0)
        elif kind == TAGS:
            self.read_tags(chunk)
        elif kind == SLICE:
            self.read_slice(chunk)

    def read_layer(self, chunk: bytes) -> None:
        flags, kind, level, mode, opacity = struct.unpack_from("<HHH4xHB", chunk)
        del self.groups[level:]
        is_drawn = bool(flags & VISIBLE) and not flags & REFERENCE and all(g.is_drawn for g in self.groups)
        layer = Layer(is_drawn, bool(flags & BACKGROUND), opacity if self.flags & 1 else 255, mode, kind)
        if kind == GROUP:
            if is_drawn and self.flags & 2 and (mode or opacity < 255):
                raise BadPicture("has a group of layers with an opacity or a blend mode of its own: flatten the group")
            self.groups.append(layer)
        elif kind == TILEMAP and is_drawn:
            raise BadPicture("has a layer of tiles, which is not read: convert it to a layer in Aseprite, or hide it")
        self.layers.append(layer)
        _check_number(len(self.layers), "layers")

    def check_layers(self) -> None:
        """Raise BadPicture for cels of layers that do not exist."""
        if any(layer >= len(self.layers) for cels in self.frames for layer in cels):
            raise BadPicture("is damaged: a cel is of a layer that does not exist")

    def read_cel(self, chunk: bytes) -> None:
        layer, x, y, opacity, kind, z = struct.unpack_from("<HhhBHh", chunk)
        self.cels += 1
        if self.cels > MAX_CELS:
            raise BadPicture(f"has more than {MAX_CELS:,} cels: export its frames as PNG")
        if kind == LINKED:
            (number,) = struct.unpack_from("<H", chunk, 16)
            linked = self.frames[number].get(layer) if number < len(self.frames) else None
            if linked is not None:  # without it, Aseprite draws nothing, too
                self.frames[-1][layer] = replace(linked, x=x, y=y, opacity=opacity, z=z)
        elif kind in (RAW, COMPRESSED):
            width, height = struct.unpack_from("<HH", chunk, 16)
            data, size = chunk[20:], width * height * CHANNELS[self.depth]
            if width * height > MAX_PIXELS:
                raise BadPicture(f"has a cel of {width}×{height}: the maximum is {MAX_PIXELS:,} pixels")
            if size > len(data) * (MAX_RATIO if kind == COMPRESSED else 1):
                raise BadPicture(f"has a cel of {width}×{height} pixels in {len(data)} bytes: damaged, or a zip bomb")
            self.frames[-1][layer] = Cel(layer, x, y, opacity, z, width, height, data, kind == COMPRESSED)
        # others are cels of layers of tiles, which are hidden here

    def read_palette(self, chunk: bytes) -> None:
        first, last = struct.unpack_from("<II", chunk, 4)
        colors = np.zeros((256, 4), np.uint8) if self.colors is None else self.colors.copy()
        position = 20
        for index in range(first, min(last, 255) + 1):
            (has_name,) = struct.unpack_from("<H", chunk, position)
            colors[index] = struct.unpack_from("4B", chunk, position + 2)
            position += 6
            if has_name & 1:
                position += 2 + struct.unpack_from("<H", chunk, position)[0]
        self.colors = colors

    def read_old_palette(self, chunk: bytes, scale: float) -> None:
        (packets,) = struct.unpack_from("<H", chunk)
        colors, index, position = self.old_colors.copy(), 0, 2
        for _ in range(packets):
            skipped, count = struct.unpack_from("BB", chunk, position)
            index, position, count = index + skipped, position + 2, count or 256
            for place in range(index, min(index + count, 256)):
                rgb = struct.unpack_from("3B", chunk, position + 3 * (place - index))
                colors[place] = (*(min(round(v * scale), 255) for v in rgb), 255)
            index, position = index + count, position + 3 * count
        self.old_colors = colors

    def read_tags(self, chunk: bytes) -> None:
        (count,) = struct.unpack_from("<H", chunk)
        position = 10
        for _ in range(count):
            first, last = struct.unpack_from("<HH", chunk, position)
            name, position = _read_text(chunk, position + 17)
            self.tags.append((first, last, name))
            _check_number(len(self.tags), "tags")

    def read_slice(self, chunk: bytes) -> None:
        count, flags = struct.unpack_from("<II", chunk)
        _check_number(count, "keys of a slice")
        name, position = _read_text(chunk, 12)
        keys: dict[int, tuple[int, int, int, int]] = {}
        for _ in range(count):
            frame, *box = struct.unpack_from("<IiiII", chunk, position)
            keys[frame] = (box[0], box[1], box[2], box[3])
            position += 20 + (16 if flags & 1 else 0) + (8 if flags & 2 else 0)
        frames = sorted(keys)
        self.slices.append(Slice(name, tuple(frames), tuple(keys[frame] for frame in frames)))
        _check_number(len(self.slices), "slices")


def _gray_ramp() -> Colors:
    """The palette of a file without one: gray, as Aseprite's first versions had it."""
    return np.stack([*[np.arange(256)] * 3, np.full(256, 255)], 1).astype(np.uint8)


def _read_text(chunk: bytes, position: int) -> tuple[str, int]:
    """A text, printable, and the position behind it."""
    (size,) = struct.unpack_from("<H", chunk, position)
    if position + 2 + size > len(chunk):
        raise struct.error("a text leads out of its chunk")
    text = chunk[position + 2 : position + 2 + size].decode(errors="replace")
    printable = "".join(c if c.isprintable() else "\ufffd" for c in text)
    return normalize_name(printable.strip()), position + 2 + size


def _check_number(number: int, what: str) -> None:
    if number > MAX_NAMED:
        raise BadPicture(f"has more than {MAX_NAMED:,} {what}: export its frames as PNG")
