"""Decoding of picture files to 8-bit pixels.

The format is detected from the content, not from the file name. Only six formats are tried: some other formats of
Pillow start external programs. The result is normalized: 8 bits per channel, straight alpha, sRGB, EXIF orientation
applied, first frame of an animation, first page of a TIFF, and color set to 0 where alpha is 0, so that invisible
colors are not learned.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Shaped, UInt16, UInt32
from PIL import Image, UnidentifiedImageError

from .color_profile import cmyk_to_srgb, fits_mode, to_srgb
from .entry import DEFAULT_LIMITS, BadPicture, Limits, Pixels
from .png_chunks import PNG_MAGIC, PngParts, split_png
from .rejection import find_bomb, find_rejection, find_size_problem
from .tiff_pages import PHOTOMETRIC, WHITE_IS_ZERO, count_pages, describe_samples

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
ANIMATED_FORMATS = ("GIF", "WEBP")  # whose frames Pillow counts
ORIENTATION, BITS_PER_SAMPLE = 0x0112, 258  # EXIF and TIFF tags


@dataclass(frozen=True)
class DecodedPicture:
    """A decoded picture, and how its file stored it."""

    pixels: Pixels
    format: str  # "PNG", …, or "array"
    stored_mode: str  # Pillow's name of the stored pixel type: "P", "RGBA", "I;16", …
    bits: int = 8  # bits per stored sample
    animated: bool = False  # the file has more frames; only the first is decoded
    hidden_color_pixels: int = 0  # number of pixels whose color was cleared because their alpha is 0
    pages: int = 1  # of a TIFF; only the first is decoded
    profile: str | None = None  # name of the color profile that the pixels were converted from
    brightest: int | None = None  # highest stored sample of a gray picture with more than 8 bits
    profile_ignored: bool = False  # it has a color profile that cannot be used


def decode(data: bytes, limits: Limits = DEFAULT_LIMITS) -> DecodedPicture:
    """Decode a picture file. Raises BadPicture, and nothing else, if it cannot be used."""
    return clear_hidden_colors(decode_raw(data, limits))


def decode_raw(data: bytes, limits: Limits = DEFAULT_LIMITS) -> DecodedPicture:
    """`decode`, but colors of fully transparent pixels are kept."""
    with open_image(data, limits) as (image, png):
        bits, mode = _bits_per_sample(image, data), image.mode
        format = "JPEG" if image.format == "MPO" else str(image.format)
        animated = png.frames > 1 or (image.format in ANIMATED_FORMATS and bool(getattr(image, "is_animated", False)))
        image.load()
        orientation, profile, brightest = _read_orientation(image), png.profile or image.info.get("icc_profile"), None
        if mode.startswith("I;16"):
            pixels, brightest = _from_16_bit(read_samples(image), bits, image.info.get("transparency"))
        else:
            pixels = _to_uint8(image, bits)
        name, ignored = None, False
        if profile:
            ignored = not fits_mode(profile, "CMYK" if mode == "CMYK" else "L" if pixels.shape[2] <= 2 else "RGB")
            pixels, name = cmyk_to_srgb(image, pixels, profile) if mode == "CMYK" else to_srgb(pixels, profile)
    upright = np.ascontiguousarray(_apply_orientation(pixels, orientation))
    pages = count_pages(data) if format == "TIFF" else 1
    return DecodedPicture(upright, format, mode, bits, animated, 0, pages, name, brightest, ignored)


def is_deep(data: bytes, limits: Limits = DEFAULT_LIMITS) -> bool:
    """Whether `decode_deep` reads a file. Raises BadPicture for one that cannot be used at all."""
    with open_image(data, limits) as (image, _):
        return _is_deep_mode(image.mode)


def _is_deep_mode(mode: str) -> bool:
    return mode.startswith("I;16") or mode in ("I", "F")


def decode_deep(data: bytes, limits: Limits = DEFAULT_LIMITS) -> tuple[Shaped[np.ndarray, "h w"], bool]:
    """The stored samples of a gray picture of 9 to 16 bits, uint16, or of numbers of 32 bits, and whether it is the
    former. Raises BadPicture for any other file."""
    with open_image(data, limits) as (image, _):
        is_short = image.mode.startswith("I;16")
        if not _is_deep_mode(image.mode):
            raise BadPicture("has 8 bits or colors, and percentiles are for gray pictures of more bits")
        if image.info.get("transparency") is not None:
            raise BadPicture("declares a transparent value, which percentiles do not know: save it without")
        image.load()
        samples = read_samples(image) if is_short else np.asarray(image)
        if not np.isfinite(samples).all():
            raise BadPicture("holds samples that are no finite numbers")
        orientation = _read_orientation(image)
    return np.ascontiguousarray(_apply_orientation(samples[..., None], orientation)[..., 0]), is_short


@contextmanager
def open_image(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Iterator[tuple[Image.Image, PngParts]]:
    """A picture file opened by Pillow, not decoded yet, and what was read from a PNG beside its pixels.

    Raises BadPicture for a file that cannot be used, also in place of whatever Pillow raises within the block.
    """
    if problem := find_rejection(data, limits):
        raise BadPicture(problem)
    png = split_png(data) if data.startswith(PNG_MAGIC) else PngParts(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about large or truncated files: they are checked here
        try:
            with Image.open(io.BytesIO(png.data), formats=FORMATS) as image:
                if problem := find_size_problem(*image.size, limits) or find_bomb(*image.size, len(data)):
                    raise BadPicture(problem)
                yield image, png
        except BadPicture:
            raise
        except UnidentifiedImageError as error:
            if samples := describe_samples(data):
                raise BadPicture(
                    f"is a TIFF with {samples}, which cannot be read: save it as PNG, with 1 to 4 channels of 8 bits"
                ) from error
            raise BadPicture("has a damaged header") from error
        except Image.DecompressionBombError as error:
            raise BadPicture("declares more pixels than the maximum: a decompression bomb") from error
        except Exception as error:  # Pillow's decoders raise anything on damaged files
            raise BadPicture(f"cannot be decoded: {_error_summary(error)}") from error


def from_array(pixels: Pixels, limits: Limits = DEFAULT_LIMITS) -> DecodedPicture:
    """Wrap pixels (h, w, c) that need no decoding. Raises BadPicture for a size outside the limits."""
    height, width, channels = pixels.shape
    if problem := find_size_problem(width, height, limits):
        raise BadPicture(problem)
    stored = ("L", "LA", "RGB", "RGBA")[channels - 1]
    return clear_hidden_colors(DecodedPicture(np.ascontiguousarray(pixels), "array", stored))


def clear_hidden_colors(decoded: DecodedPicture) -> DecodedPicture:
    """Set the color to 0 where alpha is 0, and count the pixels that had one."""
    pixels = decoded.pixels
    if pixels.shape[2] not in (2, 4):
        return decoded
    values = pack_channels(pixels)
    hidden = (pixels[..., -1] == 0) & (values != 0)
    if not (count := int(np.count_nonzero(hidden))):
        return decoded
    cleared = np.where(hidden, values.dtype.type(0), values).view(np.uint8).reshape(pixels.shape)
    return replace(decoded, pixels=cleared, hidden_color_pixels=count)


def pack_channels(pixels: Pixels) -> UInt16[np.ndarray, "h w"] | UInt32[np.ndarray, "h w"]:
    """LA or RGBA pixels as one integer each; 0 is a transparent pixel without a hidden color."""
    packed = np.uint32 if pixels.shape[2] == 4 else np.uint16
    return np.ascontiguousarray(pixels).view(packed)[..., 0]


def read_samples(image: Image.Image) -> UInt16[np.ndarray, "h w"]:
    """The stored samples of a gray image of more than 8 bits, 0 for black."""
    samples = np.asarray(image).astype(np.uint16)
    tags = getattr(image, "tag_v2", {})
    if image.format == "TIFF" and tags.get(PHOTOMETRIC) == WHITE_IS_ZERO:  # Pillow inverts only those of 8 bits
        return np.uint16(2 ** _bits_per_sample(image, b"") - 1) - samples
    return samples


def _to_uint8(image: Image.Image, bits: int) -> Pixels:
    """The image as uint8, (h, w, c) with c from 1 to 4."""
    mode = image.mode
    if mode in ("I", "F"):
        kind = "32-bit integers" if mode == "I" else "floating-point numbers"
        raise BadPicture(
            f"holds {kind}, for which black and white are not defined: give --percentiles, or save it with 8 or 16 bits"
        )
    transparent = image.info.get("transparency")
    if image.format == "PNG" and transparent is not None and mode in ("L", "RGB") and bits != 8:
        image.info["transparency"] = _scale_transparency(transparent, bits)
    grayscale = mode in ("1", "L", "LA", "La")
    if mode in ("LA", "La", "RGBA", "RGBa", "PA") or image.has_transparency_data:
        target = "LA" if grayscale else "RGBA"
    else:
        target = "L" if grayscale else "RGB"
    array = np.asarray(image if mode == target and transparent is None else image.convert(target))
    return array[..., None] if array.ndim == 2 else array


def _from_16_bit(samples: UInt16[np.ndarray, "h w"], bits: int, transparent_value: object) -> tuple[Pixels, int]:
    """Gray samples of 9 to 16 bits as 8 bits, the highest number to 255, and the highest sample.

    Alpha is 0 at the transparent value that a PNG may declare.
    """
    white = 2**bits - 1
    gray = ((samples.astype(np.uint32) * 255 + white // 2) // white).clip(0, 255).astype(np.uint8)
    brightest = int(samples.max())
    if not isinstance(transparent_value, int):
        return gray[..., None], brightest
    alpha = np.where(samples == transparent_value, 0, 255).astype(np.uint8)
    return np.stack([gray, alpha], axis=2), brightest


def _scale_transparency(transparent_value: object, bits: int) -> object:
    """A PNG's transparent color in 8 bits. Pillow converts the pixels, but leaves this value in the file's range."""
    if isinstance(transparent_value, tuple):
        return tuple(v >> 8 for v in transparent_value) if bits == 16 else transparent_value
    return (
        transparent_value * 255 // (2**bits - 1)
        if isinstance(transparent_value, int) and bits in (2, 4)
        else transparent_value
    )


def _read_orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # a picture with damaged EXIF data can still be used
        return 1


def _apply_orientation(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Undo an EXIF orientation, 1 to 8."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 7, 6):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels


def _bits_per_sample(image: Image.Image, data: bytes) -> int:
    """Bits per sample according to the file."""
    if image.format == "PNG":
        return data[24]
    if image.format == "TIFF":
        tag = getattr(image, "tag_v2", {}).get(BITS_PER_SAMPLE, (8,))
        return int(max(tag)) if isinstance(tag, tuple) else int(tag)
    return 1 if image.mode == "1" else 8


def _error_summary(error: Exception) -> str:
    """The first line of an exception of Pillow's."""
    message = str(error).splitlines()[0][:120] if str(error) else "it is damaged"
    if message.startswith("decoder error"):  # libtiff's and libwebp's
        return "it is damaged, or compressed in a way that cannot be read: save it as PNG"
    return "it is truncated" if "truncated" in message.lower() else message
