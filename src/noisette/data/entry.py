"""What a source is made of: pictures that have not been read yet, and what is known of each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import UInt8

from ..errors import InputError

Pixels = UInt8[np.ndarray, "h w c"]  # one picture; c is 1 to 4: L, LA, RGB, RGBA; straight alpha
Resized = UInt8[np.ndarray, "height width c"]  # the same kind of picture, of another size
Recoloured = UInt8[np.ndarray, "h w channels"]  # the same size, of another kind
Value = float | str  # of an attribute: a finite number, or a word


class BadPicture(InputError):
    """One picture cannot be used. The message is the reason, to be read after its name: "x.png" "is cut short"."""


@dataclass(frozen=True)
class Entry:
    """One picture as it was found."""

    name: str  # unique within its source, with forward slashes
    read: Callable[[], bytes | Pixels]  # the file as it is, or pixels; raises BadPicture or OSError
    label: str | None = None
    attributes: Mapping[str, Value] = field(default_factory=dict)  # what is missing is not there
    text: str | None = None
    mask: "Entry | None" = None  # what is to be found in it


@dataclass(frozen=True)
class Source:
    """Every picture that a source names, in the order of their names or numbers."""

    given: str  # as it was asked for
    kind: str  # "folder", "zip", "array", "sheet" or "built-in"
    entries: tuple[Entry, ...]
    notes: tuple[str, ...] = ()  # sentences: what was understood, what was left out


@dataclass(frozen=True)
class Limits:
    """What is refused before it is decoded. Generous for pictures, too small for a bomb."""

    file_bytes: int = 2**26  # 64 MiB
    pixels: int = 2**26  # 67 million
    side: int = 16384
    aspect: float = 16.0  # longer side over shorter side
    entries: int = 1_000_000


LIMITS = Limits()
