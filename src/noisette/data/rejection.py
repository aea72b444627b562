"""Why a file is not a picture that can be used, judged before it is decoded."""

import struct

from .entry import Limits
from .png_chunks import PNG_MAGIC
from .tiff_pages import TIFF_MAGICS, find_tiff_problem

JPEG_MAGIC = b"\xff\xd8\xff"
JPEG_SCAN = b"\xff\xda"  # the marker of a scan, which refines all pixels: encoders write about 10
MAX_JPEG_SCANS = 100
LARGE_PIXELS = 2**24  # from which on a file must have a byte for every so many pixels
MAX_PIXELS_PER_BYTE = 4096  # four times what Deflate gives for 8 bits of one color
IPHONE_CHUNK = b"CgBI"  # the first chunk of a PNG that Xcode has rewritten
OTHER_KINDS = (  # beginnings of files that people take for pictures, and what they are
    (b"\0\0\1\0", "is a Windows icon (.ico): export it as PNG"),
    (b"8BPS", "is a Photoshop document: it is not in a supported format, so export it as PNG"),
    (b"%PDF", "is a PDF: it is not in a supported format, so export it as PNG"),
)
SPRITE_MAGIC = b"\xe0\xa5"  # at byte 4
HEIF_BRANDS = {b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIF", b"avif": "AVIF"}


def find_rejection(data: bytes, limits: Limits) -> str | None:
    """Why a file cannot be a usable picture; None: it may be one."""
    if not data:
        return "is empty: 0 bytes"
    if len(data) > limits.max_file_bytes:
        return too_large_message(len(data), limits)
    if data.startswith(PNG_MAGIC) and len(data) >= 24:
        if data[12:16] == IPHONE_CHUNK:
            return "is a PNG for iPhones, which other programs cannot read: convert it with xcrun pngcrush or sips"
        width, height = struct.unpack(">II", data[16:24])
        return find_size_problem(width, height, limits)
    if data.startswith(JPEG_MAGIC) and (scans := _count_jpeg_scans(data)) > MAX_JPEG_SCANS:
        return f"is a JPEG in {scans:,} scans, the maximum is {MAX_JPEG_SCANS}: save it again"
    if data.startswith(TIFF_MAGICS) and (problem := find_tiff_problem(data)):
        return problem
    magics = (PNG_MAGIC, JPEG_MAGIC, b"BM", b"GIF8", *TIFF_MAGICS)
    if data.startswith(magics) or (data.startswith(b"RIFF") and data[8:12] == b"WEBP"):
        return None
    return _describe_other(data)


def _describe_other(data: bytes) -> str:
    """What a file that is in no supported format seems to be."""
    for magic, kind in OTHER_KINDS:
        if data.startswith(magic):
            return kind
    if data[4:6] == SPRITE_MAGIC and len(data) >= 128:
        return "is a file of Aseprite, which is read as a source of pictures to train on: export it as PNG"
    if data[4:8] == b"ftyp" and data[8:12] in HEIF_BRANDS:
        return f"is in {HEIF_BRANDS[data[8:12]]}: it is not in a supported format, so export it as PNG or JPEG"
    if data.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer, not a picture: run git lfs pull"
    head = data[:4096].decode("utf-8", errors="ignore").lstrip("\ufeff \t\r\n").lower()
    if head.startswith(("<!doctype html", "<html")):
        return "is a web page, not a picture"
    if head.startswith(("<svg", "<?xml")) and "<svg" in head:
        return "is an SVG drawing: export it as PNG"
    if head and sum(c.isprintable() or c in "\t\r\n" for c in head) >= 0.99 * len(head) and b"\0" not in data[:4096]:
        return "is a text file, not a picture"
    return "is not in a supported format: use PNG, JPEG, WebP, BMP, GIF or TIFF"


def _count_jpeg_scans(data: bytes) -> int:
    """The scans of a JPEG. Only its first segments may hold the bytes of the marker as something else."""
    position = 2
    while data[position : position + 1] == b"\xff" and data[position : position + 2] != JPEG_SCAN:
        position += 2 + max(2, int.from_bytes(data[position + 2 : position + 4], "big"))
    return data.count(JPEG_SCAN, position)


def find_bomb(width: int, height: int, size: int) -> str | None:
    """Why a file of `size` bytes cannot hold so many pixels of a picture, or None."""
    if width * height > max(LARGE_PIXELS, MAX_PIXELS_PER_BYTE * size):
        return f"declares {width}×{height} pixels in {size:,} bytes: a decompression bomb"
    return None


def too_large_message(size: int, limits: Limits) -> str:
    """The reason for refusing a file of `size` bytes."""
    return f"is a file of {size / 2**20:.0f} MiB: the maximum is {limits.max_file_bytes / 2**20:.0f} MiB"


def find_size_problem(width: int, height: int, limits: Limits) -> str | None:
    """Why a picture of this size is refused, or None."""
    short, long = sorted((width, height))
    if short < 1:
        return f"is {width}×{height}: it has no pixels"
    if long > limits.max_side or width * height > limits.max_pixels:
        return (
            f"is {width}×{height}: the maximum is {limits.max_side} pixels per side and "
            f"{limits.max_pixels / 1e6:.0f} million in all"
        )
    if long > limits.max_aspect_ratio * short:
        return (
            f"is {width}×{height}, more than {limits.max_aspect_ratio:.0f} times as long as wide: crop it, or, "
            "if it is a sprite sheet, give the size of its cells"
        )
    return None
