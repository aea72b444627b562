"""The entries of a source: pictures that are not read yet, with what is known about each."""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import UInt8

from ..errors import InputError

Pixels = UInt8[np.ndarray, "h w c"]  # one picture, straight alpha; c is 1 (L), 2 (LA), 3 (RGB) or 4 (RGBA)
ResizedPixels = UInt8[np.ndarray, "height width c"]  # the same mode at another size
ConvertedPixels = UInt8[np.ndarray, "h w channels"]  # the same size in another mode
AttributeValue = float | str  # the value of an attribute: a finite number, or a word


class BadPicture(InputError):
    """A picture that cannot be used.

    The message is a reason without a subject, to be printed after the picture's name: "x.png" + "is empty: 0 bytes".
    """


@dataclass(frozen=True, slots=True)
class Entry:
    """One picture of a source, not read yet."""

    name: str  # unique within its source, with forward slashes
    read: Callable[[], bytes | Pixels]  # returns the file's bytes, or pixels; raises BadPicture or OSError
    label: str | None = None
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)  # missing attributes have no key
    text: str | None = None  # the caption
    mask: "Entry | None" = None  # segmentation mask of the picture
    credits: Mapping[str, str] = field(default_factory=dict)  # license, author, source, as far as they are known


@dataclass(frozen=True)
class Source:
    """All pictures of a source, in the order of their names or numbers."""

    location: str  # as the user wrote it
    kind: str  # "folder", "zip", "tar", "parquet", "stack", "sprite", "array", "sheet" or "built-in"
    entries: Sequence[Entry]  # a tuple, or a sequence that makes them when they are asked for
    notes: tuple[str, ...] = ()  # for the user: how the source was read, what was left out


@dataclass(frozen=True)
class Limits:
    """Maxima that are checked before a picture is decoded, as protection against decompression bombs."""

    max_file_bytes: int = 2**26  # 64 MiB
    max_pixels: int = 2**26  # 67 million
    max_side: int = 16384  # pixels
    max_aspect_ratio: float = 16.0  # longer side divided by shorter side
    max_entries: int = 1_000_000  # pictures in a source


DEFAULT_LIMITS = Limits()


def natural_sort_key(text: str) -> tuple[list[tuple[int, str]], str]:
    """A sort key that ignores case and compares runs of digits as numbers: x9 before x10."""
    parts = re.split(r"([0-9]+)", text.casefold())
    parts[1::2] = (digits.lstrip("0") for digits in parts[1::2])  # numbers: by length, then by digits
    return [(len(p) if i % 2 else 0, p) for i, p in enumerate(parts)], text


def make_printable(text: str) -> str:
    """Replace lone surrogates, which file names and JSON may contain and UTF-8 cannot encode, by escape sequences."""
    return text.encode("utf-8", "backslashreplace").decode()


def normalize_name(text: str) -> str:
    """A name in the form in which names are compared: printable, and in Unicode's composed form (NFC).

    macOS writes é as two characters, tables as one.
    """
    return unicodedata.normalize("NFC", make_printable(text))
