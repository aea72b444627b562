"""From a file's bytes to 8-bit pixels, whatever way the file stores them.

The format is told from the content, never from the name, and only six are tried: the others that Pillow knows have
no place in a set of pictures, and some of them start other programs. What is decoded is normalised: 8 bits, straight
alpha, upright as EXIF says, the first frame of an animation, and colour under alpha 0 set to 0, so that what nobody
has ever seen of a picture cannot be learned.
"""

import io
import struct
import warnings
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import UInt16, UInt32
from PIL import Image, UnidentifiedImageError

from .entry import LIMITS, BadPicture, Limits, Pixels, Resized

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
ANIMATED = ("PNG", "GIF", "WEBP")  # a TIFF with pages is none
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
ORIENTATION, BITS_PER_SAMPLE = 0x0112, 258  # EXIF and TIFF tags


@dataclass(frozen=True)
class Decoded:
    """A picture's pixels, and how they were stored."""

    pixels: Pixels
    format: str  # "PNG", …, or "array"
    stored: str  # Pillow's name for what a stored pixel is: "P", "RGBA", "I;16", …
    bits: int = 8  # a stored sample
    animated: bool = False  # only the first frame is here
    hidden: int = 0  # pixels that hid a colour under alpha 0


def decode(data: bytes, limits: Limits = LIMITS) -> Decoded:
    """Decode a picture file. Raises BadPicture with the reason why it cannot be used, and nothing else."""
    return without_hidden(stored(data, limits))


def stored(data: bytes, limits: Limits = LIMITS) -> Decoded:
    """The same, with the colours that hide under alpha 0."""
    if problem := _refused(data, limits):
        raise BadPicture(problem)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of large, truncated or odd files: we judge for ourselves
        try:
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                if problem := _wrong_size(*image.size, limits):
                    raise BadPicture(problem)
                bits, mode = _bits(image, data), image.mode
                animated = image.format in ANIMATED and bool(getattr(image, "is_animated", False))
                image.load()
                orientation = _orientation(image)
                pixels = _normalised(image, bits)
                format = "JPEG" if image.format == "MPO" else str(image.format)
        except BadPicture:
            raise
        except UnidentifiedImageError as error:
            raise BadPicture("is damaged from its first bytes on") from error
        except Image.DecompressionBombError as error:
            raise BadPicture("claims more pixels than are decoded: a decompression bomb") from error
        except Exception as error:  # Pillow's decoders raise anything on damaged files
            raise BadPicture(f"cannot be decoded: {_said(error)}") from error
    upright = np.ascontiguousarray(_upright(pixels, orientation))
    return Decoded(upright, format, mode, bits, animated)


def from_array(pixels: Pixels, limits: Limits = LIMITS) -> Decoded:
    """Take pixels as they are."""
    height, width, channels = pixels.shape
    if problem := _wrong_size(width, height, limits):
        raise BadPicture(problem)
    stored = ("L", "LA", "RGB", "RGBA")[channels - 1]
    return without_hidden(Decoded(np.ascontiguousarray(pixels), "array", stored))


def without_hidden(decoded: Decoded) -> Decoded:
    """Set colour under alpha 0 to 0, and count where there was any."""
    pixels = decoded.pixels
    if pixels.shape[2] not in (2, 4):
        return decoded
    values = packed(pixels)
    hiding = (pixels[..., -1] == 0) & (values != 0)
    if not (hidden := int(np.count_nonzero(hiding))):
        return decoded
    seen = np.where(hiding, values.dtype.type(0), values).view(np.uint8).reshape(pixels.shape)
    return replace(decoded, pixels=seen, hidden=hidden)


def packed(pixels: Pixels) -> UInt16[np.ndarray, "h w"] | UInt32[np.ndarray, "h w"]:
    """Pixels of two or four channels, each as one number; 0 is clear and hides nothing."""
    whole = np.uint32 if pixels.shape[2] == 4 else np.uint16
    return np.ascontiguousarray(pixels).view(whole)[..., 0]


def _normalised(image: Image.Image, bits: int) -> Pixels:
    """(H, W, 1 to 4), uint8."""
    mode = image.mode
    if mode.startswith("I;16"):
        return _sixteen(np.asarray(image).astype(np.uint16), image.info.get("transparency"))
    if mode in ("I", "F"):
        kind = "32-bit integers" if mode == "I" else "floating-point numbers"
        raise BadPicture(f"holds {kind}, for which black and white are not defined: save it with 8 or 16 bits")
    clear = image.info.get("transparency")
    if image.format == "PNG" and clear is not None and mode in ("L", "RGB") and bits != 8:
        image.info["transparency"] = _scaled(clear, bits)
    grey = mode in ("1", "L", "LA", "La")
    if mode in ("LA", "La", "RGBA", "RGBa", "PA") or image.has_transparency_data:
        wanted = "LA" if grey else "RGBA"
    else:
        wanted = "L" if grey else "RGB"
    array = np.asarray(image if mode == wanted and clear is None else image.convert(wanted))
    return array[..., None] if array.ndim == 2 else array


def _sixteen(values: np.ndarray, clear: object) -> Pixels:
    """16-bit grey to 8 bits, 65535 to 255, with the one transparent value that a PNG may name."""
    grey = ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if not isinstance(clear, int):
        return grey[..., None]
    alpha = np.where(values == clear, 0, 255).astype(np.uint8)
    return np.stack([grey, alpha], axis=2)


def _scaled(clear: object, bits: int) -> object:
    """A PNG's transparent colour in the 8 bits that Pillow gives: it leaves it in the file's own range."""
    if isinstance(clear, tuple):
        return tuple(v >> 8 for v in clear) if bits == 16 else clear
    return clear * 255 // (2**bits - 1) if isinstance(clear, int) and bits in (2, 4) else clear


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # damaged EXIF is no reason to lose a picture
        return 1


def _upright(pixels: Pixels, orientation: int) -> Resized:
    """Undo an EXIF orientation, 1 to 8."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 7, 6):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels


def _bits(image: Image.Image, data: bytes) -> int:
    """Bits a sample, as the file says."""
    if image.format == "PNG":
        return data[24]
    if image.format == "TIFF":
        tag = getattr(image, "tag_v2", {}).get(BITS_PER_SAMPLE, (8,))
        return int(max(tag)) if isinstance(tag, tuple) else int(tag)
    return 1 if image.mode == "1" else 8


# ── what is refused, in words ─────────────────────────────────────────────────────────────────────────────────────


def _refused(data: bytes, limits: Limits) -> str | None:
    """Why these bytes are not worth decoding."""
    if not data:
        return "is empty: 0 bytes"
    if len(data) > limits.file_bytes:
        return too_large(len(data), limits)
    if data.startswith(PNG_MAGIC) and len(data) >= 24:
        width, height = struct.unpack(">II", data[16:24])
        return _wrong_size(width, height, limits)
    magics = (PNG_MAGIC[:8], b"\xff\xd8\xff", b"BM", b"GIF8", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
    if data.startswith(magics) or (data.startswith(b"RIFF") and data[8:12] == b"WEBP"):
        return None
    if data.startswith(b"version https://git-lfs"):
        return "is only a pointer to a file in Git LFS: run git lfs pull"
    head = data[:4096].decode("utf-8", errors="ignore").lstrip("\ufeff \t\r\n").lower()
    if head.startswith(("<!doctype html", "<html")):
        return "is a web page, not a picture"
    if head.startswith(("<svg", "<?xml")) and "<svg" in head:
        return "is an SVG drawing: export it as PNG"
    if head and sum(c.isprintable() or c in "\t\r\n" for c in head) >= 0.99 * len(head) and b"\0" not in data[:4096]:
        return "is a text file, not a picture"
    return "is not a picture that can be read: use PNG, JPEG, WebP, BMP, GIF or TIFF"


def too_large(size: int, limits: Limits) -> str:
    """Why a file of so many bytes is not read."""
    return f"is a file of {size / 2**20:.0f} MiB: {limits.file_bytes / 2**20:.0f} MiB at most are read"


def _wrong_size(width: int, height: int, limits: Limits) -> str | None:
    short, long = sorted((width, height))
    if short < 1:
        return f"is {width}×{height}: it has no pixels"
    if long > limits.side or width * height > limits.pixels:
        return (
            f"is {width}×{height}: {limits.side} pixels a side and {limits.pixels / 1e6:.0f} million in all are "
            "the most that is decoded"
        )
    if long > limits.aspect * short:
        return (
            f"is {width}×{height}, more than {limits.aspect:.0f} times as long as wide: cut it, or, "
            "if it is a sprite sheet, give the size of its cells"
        )
    return None


def _said(error: Exception) -> str:
    """An exception of Pillow's, as a few words."""
    words = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
    return "it is cut short" if "truncated" in words.lower() else words
