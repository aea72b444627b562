"""Pictures and files to try things on."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def noise(seed: int = 0, h: int = 16, w: int = 16, channels: int = 3) -> np.ndarray:
    """A picture like no other."""
    return np.random.default_rng(seed).integers(0, 256, (h, w, channels), np.uint8)


def image(pixels: np.ndarray) -> Image.Image:
    h, w, channels = pixels.shape
    return Image.frombytes(MODES[channels], (w, h), np.ascontiguousarray(pixels).tobytes())


def encoded(pixels: np.ndarray | Image.Image, format: str = "PNG", **options: Any) -> bytes:
    """The bytes of a file."""
    buffer = io.BytesIO()
    (image(pixels) if isinstance(pixels, np.ndarray) else pixels).save(buffer, format, **options)
    return buffer.getvalue()


def put(path: Path, pixels: np.ndarray | bytes) -> Path:
    """Write a picture, as PNG, and the folders on the way."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pixels if isinstance(pixels, bytes) else encoded(pixels))
    return path


def folder(root: Path, *names: str, **options: int) -> Path:
    """A folder of different pictures of these names."""
    for i, name in enumerate(names):
        put(root / name, noise(i, **options))
    return root


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, bits: int, color: int, rows: bytes, *extra: bytes) -> bytes:
    """A PNG by hand: `rows` with their filter bytes."""
    head = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0)
    parts = (chunk(b"IHDR", head), *extra, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)
