"""Aseprite files, byte by byte as the published specification of the format says."""

import struct
import zlib
from dataclasses import dataclass

import numpy as np

CHANNELS = {8: 1, 16: 2, 32: 4}


def chunk(kind: int, content: bytes) -> bytes:
    return struct.pack("<IH", len(content) + 6, kind) + content


def text(value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("<H", len(data)) + data


def layer(name: str = "layer", flags: int = 1, kind: int = 0, level: int = 0, mode: int = 0, opacity: int = 255,
          tileset: int | None = None) -> bytes:  # fmt: skip
    end = b"" if tileset is None else struct.pack("<I", tileset)
    return chunk(0x2004, struct.pack("<HHHHHHB3x", flags, kind, level, 0, 0, mode, opacity) + text(name) + end)


def cel(pixels: np.ndarray, number: int = 0, x: int = 0, y: int = 0, opacity: int = 255, z: int = 0,
        packed: bool = True) -> bytes:  # fmt: skip
    """pixels: (h, w, channels), or (h, w) of a palette."""
    data = np.ascontiguousarray(pixels, np.uint8).tobytes()
    return cel_of(zlib.compress(data) if packed else data, pixels.shape[1], pixels.shape[0], number, x, y, opacity, z,
                  2 if packed else 0)  # fmt: skip


def cel_of(data: bytes, width: int, height: int, number: int = 0, x: int = 0, y: int = 0, opacity: int = 255,
           z: int = 0, kind: int = 2) -> bytes:  # fmt: skip
    head = struct.pack("<HhhBHh5x", number, x, y, opacity, kind, z)
    return chunk(0x2005, head + struct.pack("<HH", width, height) + data)


def link(frame: int, number: int = 0, x: int = 0, y: int = 0) -> bytes:
    return chunk(0x2005, struct.pack("<HhhBHh5xH", number, x, y, 255, 1, 0, frame))


def palette(colors: np.ndarray, first: int = 0, name: str | None = None) -> bytes:
    """colors: (n, 4)."""
    entries = [
        struct.pack("<H4B", name is not None, *map(int, color)) + (b"" if name is None else text(name))
        for color in colors
    ]
    head = struct.pack("<III8x", first + len(colors), first, first + len(colors) - 1)
    return chunk(0x2019, head + b"".join(entries))


def old_palette(colors: np.ndarray, skip: int = 0, kind: int = 4) -> bytes:
    """colors: (n, 3)."""
    return chunk(kind, struct.pack("<HBB", 1, skip, len(colors) % 256) + np.asarray(colors, np.uint8).tobytes())


def tags(*entries: tuple[int, int, str]) -> bytes:
    parts = [struct.pack("<HHBH6x3Bx", first, last, 0, 0, 1, 2, 3) + text(name) for first, last, name in entries]
    return chunk(0x2018, struct.pack("<H8x", len(entries)) + b"".join(parts))


def slice_(name: str, *keys: tuple[int, int, int, int, int], flags: int = 0) -> bytes:
    """keys: frame, left, top, width, height."""
    extra = bytes((16 if flags & 1 else 0) + (8 if flags & 2 else 0))
    parts = [struct.pack("<IiiII", *key) + extra for key in keys]
    return chunk(0x2022, struct.pack("<III", len(keys), flags, 0) + text(name) + b"".join(parts))


@dataclass
class File:
    """A file: the chunks of each frame."""

    width: int
    height: int
    frames: list[list[bytes]]
    depth: int = 32
    clear: int = 0
    flags: int = 1

    def encode(self) -> bytes:
        body = b""
        for chunks in self.frames:
            content = b"".join(chunks)
            body += struct.pack("<IHHH2xI", len(content) + 16, 0xF1FA, min(len(chunks), 0xFFFF), 100, len(chunks))
            body += content
        head = struct.pack("<IHHHHHIHII", 128 + len(body), 0xA5E0, len(self.frames), self.width, self.height,
                           self.depth, self.flags, 100, 0, 0)  # fmt: skip
        return (head + bytes([self.clear])).ljust(128, b"\0") + body


def walk(seed: int = 0, frames: int = 3, side: int = 8) -> tuple[bytes, list[np.ndarray]]:
    """A file of one layer with a picture in each frame and a tag for the first two, and its pictures."""
    rng = np.random.default_rng(seed)
    pictures = [np.maximum(rng.integers(0, 256, (side, side, 4), np.uint8), 1) for _ in range(frames)]
    chunks = [[cel(p)] for p in pictures]
    chunks[0] = [layer(), tags((0, 1, "walk")), *chunks[0]]
    return File(side, side, chunks).encode(), pictures
