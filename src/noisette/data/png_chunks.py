"""The chunks of a PNG file that its pixels need.

Pillow refuses a whole file for a wrong checksum or a large size of a chunk that is not pixels: a gamma value, a text, a
color profile. So it is given the file without these chunks.
"""

import struct
import zlib
from dataclasses import dataclass

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
ORIENTATION_TEXTS = (b"Raw profile type exif\0", b"XML:com.adobe.xmp\0")  # keywords of texts that may hold it
MAX_TEXT_BYTES = 2**18  # of such a text, unpacked
MAX_PROFILE_BYTES = 2**24  # of a color profile, unpacked
CHUNK_OVERHEAD = 12  # bytes of length, kind and checksum


@dataclass(frozen=True)
class PngParts:
    """A PNG file in parts."""

    data: bytes  # a PNG file of the same pixels and orientation, without other chunks
    profile: bytes | None = None  # an ICC color profile
    frames: int = 1  # of an animation


def split_png(data: bytes) -> PngParts:
    """The parts of a PNG file. A truncated file stays truncated; what follows its end is left out."""
    kept, profile, frames = [data[:8]], None, 1
    position, end = 8, 8
    while position + CHUNK_OVERHEAD <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + CHUNK_OVERHEAD + length
        if end > len(data) or kind == b"IEND":
            break
        content, chunk = data[position + 8 : end - 4], data[position:end]
        if kind[:1].isupper() or kind == b"tRNS":  # a critical chunk, or the transparent colors
            kept.append(chunk)
        elif zlib.crc32(kind + content) == struct.unpack_from(">I", data, end - 4)[0]:
            if kind == b"iCCP":
                profile = _unpack_profile(content)
            elif kind == b"acTL" and length == 8:
                frames = struct.unpack_from(">I", content)[0]
            elif kind == b"eXIf" or _may_hold_orientation(kind, content):
                kept.append(chunk)
        position = end
    kept.append(data[position:end] if end <= len(data) and end > position else data[position:])
    return PngParts(b"".join(kept), profile, frames)


def _may_hold_orientation(kind: bytes, content: bytes) -> bool:
    """Whether a chunk is a text of a camera or an editor, of a size that Pillow reads."""
    if not content.startswith(ORIENTATION_TEXTS) or len(content) > MAX_TEXT_BYTES:
        return False
    text = content.partition(b"\0")[2]
    if kind == b"zTXt":
        return _unpack(text[1:], MAX_TEXT_BYTES) is not None
    return kind == b"tEXt" or (kind == b"iTXt" and text[:1] == b"\0")  # 1: packed


def _unpack_profile(content: bytes) -> bytes | None:
    """The profile of an iCCP chunk: a name, a zero, the method 0, and the packed profile."""
    _, zero, packed = content.partition(b"\0")
    return _unpack(packed[1:], MAX_PROFILE_BYTES) if zero and packed[:1] == b"\0" else None


def _unpack(packed: bytes, limit: int) -> bytes | None:
    """Unpacked bytes; None if they are damaged or more than `limit`."""
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(packed, limit)
    except zlib.error:
        return None
    return data if unpacker.eof else None
