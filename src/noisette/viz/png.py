"""PNG files that carry what they are: pixels at native size, and a text chunk of JSON beside them.

The chunk is an iTXt called "noisette", uncompressed and before the pixels, so that any tool that lists a PNG's text
shows it. The same pixels and the same JSON give the same bytes.
"""

import json
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from PIL import Image, PngImagePlugin

from ..errors import InputError
from ..files import atomic_write
from ..pictures import CHANNELS
from ..shapes import Bytes

CHUNK = "noisette"
MODES = {channels: mode for mode, channels in CHANNELS.items()}


def to_image(pixels: Bytes) -> Image.Image:
    """A batch of one, (1, C, H, W) of 1 to 4 channels: L, LA, RGB, RGBA."""
    assert len(pixels) == 1, "one picture at a time"
    array = pixels[0].permute(1, 2, 0).contiguous().cpu().numpy()
    return Image.fromarray(array[..., 0] if array.shape[2] == 1 else array, MODES[array.shape[2]])


def from_image(image: Image.Image) -> Bytes:
    """(1, C, H, W). The image is L, LA, RGB or RGBA."""
    pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return pixels.reshape(image.height, image.width, len(image.getbands())).permute(2, 0, 1)[None].contiguous()


def png(picture: Bytes | Image.Image, text: Mapping[str, object] | None = None) -> bytes:
    """A PNG file of a picture, (1, C, H, W) or an image, and of what is said of it."""
    image = picture if isinstance(picture, Image.Image) else to_image(picture)
    chunks = PngImagePlugin.PngInfo()
    if text is not None:
        chunks.add_itxt(CHUNK, json.dumps(text, ensure_ascii=False))
    file = BytesIO()
    image.save(file, "PNG", pnginfo=chunks)
    return file.getvalue()


def write_png(path: Path, picture: Bytes | Image.Image, text: Mapping[str, object] | None = None) -> None:
    """Write a picture, (1, C, H, W) or an image, and what is said of it, wholly or not at all."""
    atomic_write(path, png(picture, text))


def read_text(path: Path) -> dict[str, Any]:
    """What a PNG says of itself. The pixels are not decoded."""
    try:
        with Image.open(BytesIO(path.read_bytes()), formats=["PNG"]) as image:
            text = getattr(image, "text", {}).get(CHUNK)
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else "it is not a PNG that can be read"
        raise InputError(f"{path} says nothing of how it was drawn: {reason}") from error
    except (ValueError, SyntaxError, Image.DecompressionBombError) as error:  # Pillow, of damaged chunks
        raise InputError(f"{path} says nothing of how it was drawn: it is damaged") from error
    if text is None:
        raise InputError(
            f"{path} says nothing of how it was drawn: it is not from noisette, or a program that saved it again "
            "left its metadata out"
        )
    try:
        told = json.loads(text)
    except ValueError as error:
        raise InputError(f"{path} has metadata that are not JSON: they were damaged on the way") from error
    if not isinstance(told, dict):
        raise InputError(f"{path} has metadata that are not an object of JSON: they were damaged on the way")
    return told


def read_png(path: Path) -> tuple[Bytes, dict[str, Any]]:
    """A PNG that was written here: its pixels (1, C, H, W), and what it says of itself."""
    text = read_text(path)
    try:
        with Image.open(path, formats=["PNG"]) as image:
            image.load()
            return from_image(image), text
    except (OSError, ValueError, SyntaxError) as error:
        raise InputError(f"{path} cannot be decoded: it is damaged") from error
