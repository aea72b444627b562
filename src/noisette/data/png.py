"""PNG files with metadata: pixels at native size, and JSON in an iTXt chunk with the keyword "noisette".

The chunk is uncompressed and before the pixels, so that tools that list a PNG's text show it. A chunk with the keyword
"Software" names Noisette in files without metadata, too. The same pixels and the same metadata give the same bytes.
"""

import json
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, PngImagePlugin

from ..errors import InputError
from ..io.files import atomic_write
from ..io.json_files import parse_json
from ..shapes import UInt8Images
from .origin_mark import XMP_KEYWORD, Origin, xmp_packet
from .palette import MAX_COLORS, parse_color
from .pictures import MODE_BY_CHANNELS

CHUNK_NAME = "noisette"
SOFTWARE = "noisette"  # names this program in the files that it writes


def to_image(pixels: UInt8Images) -> Image.Image:
    """One picture, uint8 (1, C, H, W), as a Pillow image; 1 to 4 channels are L, LA, RGB, RGBA."""
    assert len(pixels) == 1, "to_image takes a batch of one"
    array = pixels[0].permute(1, 2, 0).contiguous().cpu().numpy()
    return Image.fromarray(array[..., 0] if array.shape[2] == 1 else array, MODE_BY_CHANNELS[array.shape[2]])


def from_image(image: Image.Image) -> UInt8Images:
    """A Pillow image of mode L, LA, RGB or RGBA as uint8, (1, C, H, W)."""
    pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return pixels.reshape(image.height, image.width, len(image.getbands())).permute(2, 0, 1)[None].contiguous()


def _without_palette(image: Image.Image) -> Image.Image:
    """An image with a palette as RGB, or as RGBA if entries of it are transparent; any other as it is."""
    if image.mode != "P":
        return image
    return image.convert("RGBA" if "transparency" in image.info else "RGB")


def mark_chunks(origin: Origin = "generated") -> PngImagePlugin.PngInfo:
    """What every PNG of ours says: that Noisette wrote it, by which `own_files` knows it among pictures, and that a
    model made it. Nothing for origin "other"."""
    chunks, packet = PngImagePlugin.PngInfo(), xmp_packet(origin)
    if packet is not None:
        chunks.add_text("Software", SOFTWARE)
        chunks.add_itxt(XMP_KEYWORD, packet)
    return chunks


def to_indexed(pixels: UInt8Images, colors: Sequence[str]) -> Image.Image:
    """A picture of these colors, uint8 (1, C, H, W), RGB or RGBA, as a Pillow image with a palette.

    The palette begins with all of `colors` in their order, opaque. If the picture needs them, a clear entry follows,
    and then one for each color and alpha that occur together. A picture that needs more than 256 entries is RGBA.
    """
    flat = to_image(pixels).convert("RGBA")
    rows = np.asarray(flat).reshape(-1, 4).copy()
    rows[rows[:, 3] == 0] = 0
    different, indices = np.unique(rows.view("<u4")[:, 0], return_inverse=True)
    wanted: list[tuple[int, ...]] = [tuple(value) for value in different.view(np.uint8).reshape(-1, 4).tolist()]
    entries: list[tuple[int, ...]] = [(*parse_color(color), 255) for color in colors]
    entries += sorted(set(wanted).difference(entries), key=lambda value: (value[3] > 0, value))
    if len(entries) > MAX_COLORS:
        return flat
    places = np.array([entries.index(value) for value in wanted], np.uint8)
    image = Image.frombytes("P", flat.size, places[indices].tobytes())
    image.putpalette(bytes(value for entry in entries for value in entry[:3]))
    if any(alpha < 255 for *_, alpha in entries):
        image.info["transparency"] = bytes(alpha for *_, alpha in entries)
    return image


def encode_png(
    picture: UInt8Images | Image.Image, metadata: Mapping[str, object] | None = None, origin: Origin | None = None
) -> bytes:
    """The bytes of a PNG file with a picture, uint8 (1, C, H, W) or a Pillow image, and metadata (JSON types).

    origin: who made the picture. None: a model, from a picture that existed if the metadata name one. "other": the
    file does not say that Noisette wrote it.
    """
    image = picture if isinstance(picture, Image.Image) else to_image(picture)
    chunks = mark_chunks(origin or ("edited" if "picture" in (metadata or {}) else "generated"))
    if metadata is not None:
        chunks.add_itxt(CHUNK_NAME, json.dumps(metadata, ensure_ascii=False))
    file = BytesIO()
    image.save(file, "PNG", pnginfo=chunks)
    return file.getvalue()


def write_png(
    path: Path,
    picture: UInt8Images | Image.Image,
    metadata: Mapping[str, object] | None = None,
    origin: Origin | None = None,
) -> None:
    """Write a PNG file atomically. Arguments as in `encode_png`; raises InputError if the file cannot be written."""
    atomic_write(path, encode_png(picture, metadata, origin))


def read_metadata(path: Path) -> dict[str, Any]:
    """The metadata of a PNG file written by `write_png`. Pixels are not decoded.

    Raises InputError if the file cannot be read or has no such metadata.
    """
    try:
        with Image.open(BytesIO(path.read_bytes()), formats=["PNG"]) as image:
            text = getattr(image, "text", {}).get(CHUNK_NAME)
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else "it is not a PNG that can be read"
        raise InputError(f"{path} has no noisette metadata: {reason}") from error
    except (ValueError, SyntaxError, Image.DecompressionBombError) as error:  # Pillow, of damaged chunks
        raise InputError(f"{path} has no noisette metadata: the file is damaged") from error
    if text is None:
        raise InputError(
            f"{path} has no noisette metadata: it was not made by noisette, or another program saved it without them"
        )
    try:
        metadata = parse_json(text, path)
    except ValueError as error:
        raise InputError(f"{path} has damaged metadata: they are not JSON") from error
    if not isinstance(metadata, dict):
        raise InputError(f"{path} has damaged metadata: they are not a JSON object")
    return metadata


def read_png(path: Path) -> tuple[UInt8Images, dict[str, Any]]:
    """The pixels, uint8 (1, C, H, W), and metadata of a PNG file written by `write_png`.

    Raises InputError if it cannot be read or decoded, or has no such metadata.
    """
    metadata = read_metadata(path)
    try:
        with Image.open(path, formats=["PNG"]) as image:
            image.load()
            return from_image(_without_palette(image)), metadata
    except (OSError, ValueError, SyntaxError) as error:
        raise InputError(f"{path} cannot be decoded: it is damaged") from error
