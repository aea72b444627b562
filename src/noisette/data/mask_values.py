"""What the pixels of segmentation masks mean, decided from all masks of a set together.

Masks in black and white (white is inside) are taken as they are, soft edges too; so are masks of 0 and 1, and masks
with transparent pixels, in which opaque pixels are inside. Many tools write numbers instead: one for each class or
each object, as gray levels, palette entries or colors. As black and white, these would be nearly black masks. They
are recognized, and refused unless a `MaskValue` says which of them are inside. So are masks that are opaque in several
colors, and those in JPEG or lossy WebP, whose numbers and colors are inexact: they can hold black and white only.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Integer
from PIL import Image

from ..errors import InputError
from .color_mode import convert_mode, is_grayscale
from .decode import decode_raw, open_image, read_samples
from .entry import DEFAULT_LIMITS, BadPicture, ConvertedPixels, Limits, Pixels
from .masks import raise_if_any

MaskValue = int | str  # the number that is inside, a color like "#ff0000", or ANY
ANY = "any"  # everything but 0, and but black, is inside
LOSSY_FORMATS = ("JPEG", "MPO", "WEBP")  # cannot hold numbers: their values are inexact
LOSSLESS_WEBP = b"VP8L"  # the chunk that holds the pixels of a lossless WebP
LOSSY_STEP = 8  # to which inexact values are rounded, so that an area has one value
COLORFUL, COLORFUL_SHARE = (
    64,
    1 / 200,
)  # a lossy mask is in color if this share of its pixels has channels this far apart
MAX_CLASSES = 64  # more different values are soft edges rather than classes, unless they fill areas with sharp edges
SMALL_STEP = 8  # levels between neighbors in a soft edge that is wide
GRAY_AREAS = 0.2  # share of grays in the areas of one value from which on they are classes rather than soft edges
MAX_VALUES = 2**17  # different values that are counted: all of 16 bits, and enough to know numbers of 32 bits
MAX_SHOWN = 4  # values in a message
COLOR_BIT = 1 << 24  # added to a color 0xRRGGBB, so that it differs from a gray level

MaskKind = Literal["gray", "palette", "color"]
Values = Integer[np.ndarray, "h w"]


@dataclass(frozen=True, eq=False)
class MaskPixels:
    """The stored values of one mask."""

    values: Values  # gray levels, palette entries, or COLOR_BIT + 0xRRGGBB; 0 is black in all
    white: int  # the value of white
    kind: MaskKind = "gray"
    lossy: bool = False
    colors: Values | None = None  # of a mask with transparent pixels: COLOR_BIT + 0xRRGGBB where it is opaque, or 0


def parse_mask_value(text: str) -> MaskValue:
    """A mask value on the command line: a number, #rrggbb, or any. Raises InputError for anything else."""
    if text.isascii() and text.isdigit() and len(text) <= 9:
        return int(text)
    return check_mask_value(text.lower())


def check_mask_value(value: MaskValue) -> MaskValue:
    """The value. Raises InputError if it is no number above 0, no color and not ANY."""
    if isinstance(value, str) and (value == ANY or re.fullmatch("#[0-9a-f]{6}", value)):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    raise InputError(f"a mask value must be a number above 0, a color like #ff0000, or {ANY}, got {value!r}")


def read_mask(data: bytes | Pixels, limits: Limits = DEFAULT_LIMITS) -> MaskPixels:
    """The stored values of a mask: a file, or pixels (h, w, c). Raises BadPicture if it cannot be used."""
    if not isinstance(data, bytes):
        return _from_pixels(data, lossy=False)
    with open_image(data, limits) as (image, _):
        lossy = image.format in LOSSY_FORMATS and LOSSLESS_WEBP not in data[:4096]
        if image.mode.startswith("I;16") or image.mode == "I":
            image.load()
            return _from_samples(image)
        if image.mode == "P" and "transparency" not in image.info:
            image.load()
            entries = np.asarray(image)
            colors = np.asarray(image.convert("RGB"))
            if not is_grayscale(colors):
                return MaskPixels(entries, 255, "palette")
    return _from_pixels(decode_raw(data, limits).pixels, lossy)


def _from_samples(image: Image.Image) -> MaskPixels:
    """A mask of 16 or 32 bits."""
    if image.mode != "I":
        return MaskPixels(read_samples(image), 2**16 - 1)
    samples = np.asarray(image)
    if samples.min() < 0:
        raise BadPicture("holds negative numbers: use 0 for what is outside")
    return MaskPixels(samples, 2**16 - 1)


def _from_pixels(pixels: Pixels, lossy: bool) -> MaskPixels:
    alpha = pixels[..., -1] if pixels.shape[2] in (2, 4) else None
    if alpha is not None and (alpha < 255).any():
        return MaskPixels(alpha, 255, lossy=lossy, colors=np.where(alpha == 255, COLOR_BIT | _pack_colors(pixels), 0))
    if is_grayscale(pixels) or (lossy and not _is_colorful(pixels)):
        return MaskPixels(convert_mode(pixels, "L")[..., 0], 255, lossy=lossy)
    packed = _pack_colors(pixels)
    return MaskPixels(np.where(packed == 0, 0, packed | COLOR_BIT), COLOR_BIT | 0xFFFFFF, "color", lossy)


def _pack_colors(pixels: Pixels) -> Values:
    """The colors as 0xRRGGBB."""
    r, g, b = (convert_mode(pixels, "RGB")[..., i].astype(np.int32) for i in range(3))
    return r << 16 | g << 8 | b


def _is_colorful(pixels: Pixels) -> bool:
    """Whether a lossy picture is in color: its grays have slightly different channels."""
    rgb = convert_mode(pixels, "RGB")
    return bool((rgb.max(2) - rgb.min(2) >= COLORFUL).mean() > COLORFUL_SHARE)


@dataclass(frozen=True)
class MaskReading:
    """How the values of a set's masks become pixels: 255 inside, 0 outside."""

    value: MaskValue | None = None  # the values that are inside; None: black and white, or 0 and 1
    is_binary: bool = False  # all masks hold 0 and one other value, which is inside

    def to_pixels(self, mask: MaskPixels) -> ConvertedPixels:
        """A mask as one channel, (h, w, 1)."""
        if self.value is None and not self.is_binary:
            soft = (mask.values.astype(np.int64) * 255 + mask.white // 2) // mask.white
            return soft.clip(0, 255).astype(np.uint8)[..., None]
        inside = mask.values != 0 if self.is_binary or self.value == ANY else self._equals(mask)
        return inside[..., None] * np.uint8(255)

    def _equals(self, mask: MaskPixels) -> np.ndarray:
        assert self.value is not None
        if isinstance(self.value, int):
            return np.asarray(mask.values == self.value)
        color = int(self.value[1:], 16)
        if mask.colors is not None:
            return np.asarray(mask.colors == (COLOR_BIT | color))
        if mask.kind == "color":
            return np.asarray(mask.values == (COLOR_BIT | color))
        return np.asarray(mask.values * 0x010101 == color)


@dataclass
class MaskSurvey:
    """Collects the values of all masks of a set, and decides how they are read."""

    value: MaskValue | None = None
    size_mismatches: list[str] = field(default_factory=list)  # masks with another size than their picture
    counts: Counter[int] = field(default_factory=Counter)  # number of pixels of each value, of all masks
    areas: Counter[int] = field(default_factory=Counter)  # of these, those whose eight neighbors have the same value
    masks: int = 0
    marked: int = 0  # masks with a value other than 0
    numbered: int = 0  # of these, those whose values are 0, 1, …, k without a gap
    kinds: set[MaskKind] = field(default_factory=set)
    whites: set[int] = field(default_factory=set)
    steps: Counter[int] = field(default_factory=Counter)  # differences between neighbors that are not equal
    opaque_colors: set[int] = field(default_factory=set)  # of masks with transparent pixels
    lossy: bool = False

    def add(self, name: str, size: tuple[int, ...], mask: MaskPixels) -> None:
        """Add the mask of the picture called `name` of `size` (height, width)."""
        if size != mask.values.shape:
            h, w = mask.values.shape
            self.size_mismatches.append(f"{name} ({size[1]}×{size[0]}, its mask {w}×{h})")
        stored = _round_lossy(mask)
        values, counts = np.unique(stored, return_counts=True)
        if len(self.counts) < MAX_VALUES:
            self.counts.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
            _count(self.areas, _inner_values(stored))
            steps = np.abs(np.diff(stored.astype(np.int64)))
            _count(self.steps, steps[steps > 0])
        if mask.colors is not None and len(self.opaque_colors) <= MAX_CLASSES:
            self.opaque_colors.update(np.unique(mask.colors[mask.colors > 0]).tolist())
        self.masks += 1
        self.marked += int(values[-1]) > 0
        self.numbered += int(0 < int(values[-1]) == len(values) - int(values[0] == 0))
        self.kinds.add(mask.kind)
        self.whites.add(mask.white)
        self.lossy |= mask.lossy

    def read(self, location: str) -> MaskReading:
        """How the masks are read.

        Raises InputError if masks and pictures differ in size, if masks hold numbers and no value was given, or if
        no mask has a pixel that is inside.
        """
        raise_if_any(location, "masks differ in size from their pictures", self.size_mismatches)
        marked = sorted(v for v in self.counts if v)
        if self.lossy and (self.value is not None or self._are_numbers(marked)):
            raise InputError(
                f"masks of {location} are in JPEG or lossy WebP, which changes numbers and colors, and so can hold "
                "black and white only: save the masks as PNG, from what they were made of"
            )
        if 1 < len(self.opaque_colors) <= MAX_CLASSES:
            marked, self.kinds = sorted(self.opaque_colors), {"color"}
        if self.value is not None:
            return self._with_value(marked, location)
        if not self.lossy and marked in ([1], [255], [2**16 - 1]):
            return MaskReading(is_binary=True)
        if self._are_numbers(marked):
            raise InputError(
                f"the masks of {location} hold {self._describe(marked)}, ids of classes or objects, not black and "
                f"white: {_advise(list(map(_format_value, marked)))}"
            )
        if not self.masks or (marked and 2 * marked[-1] >= min(self.whites)):
            return MaskReading()
        raise InputError(
            f"no mask of {location} has a white pixel, the brightest is {marked[-1] if marked else 0} of "
            f"{max(self.whites)}: mark what is to be segmented in white"
        )

    def _with_value(self, marked: list[int], location: str) -> MaskReading:
        reading = MaskReading(self.value)
        kind: MaskKind = "color" if "color" in self.kinds else "gray"
        values = np.array([marked or [0]])
        if self.masks and not reading.to_pixels(MaskPixels(values, max(self.whites), kind)).any():
            raise InputError(f"no mask of {location} holds the value {self.value}: they hold {self._describe(marked)}")
        return reading

    def _are_numbers(self, marked: list[int]) -> bool:
        """Whether the values are numbers of classes or objects rather than degrees from black to white."""
        if not marked:
            return False
        if self.kinds != {"gray"}:
            return True
        white = max(self.whites)
        gray = sum(n for v, n in self.areas.items() if 0 < v < white)  # soft edges are narrow, classes have an inside
        fills_areas = gray > GRAY_AREAS * (gray + self.areas[white])
        if self.lossy:
            return 2 * marked[-1] >= white and fills_areas and not self._is_smooth(marked)
        if 2 * marked[-1] < white:
            return True
        if 1 < marked[-1] < white and 10 * self.numbered >= 9 * self.marked:
            return True
        if len(marked) > MAX_CLASSES:
            return fills_areas and not self._is_smooth(marked)
        low = sum(n for v, n in self.counts.items() if 0 < 2 * v < white)
        high = sum(n for v, n in self.counts.items() if 2 * v >= white)
        ids_and_void = 1 < len(marked) == marked[-2] + 1 and marked[-1] == white
        return low > high or ids_and_void or fills_areas

    def _is_smooth(self, marked: list[int]) -> bool:
        """Whether values mostly change by small steps, as where masks are blurred."""
        level = 257 if max(self.whites) > 255 and all(v % 257 == 0 for v in marked) else 1  # of 8 bits, in 16
        small = sum(step * n for step, n in self.steps.items() if step <= SMALL_STEP * level)
        return 2 * small > sum(step * n for step, n in self.steps.items())

    def _describe(self, marked: list[int]) -> str:
        """The values in words: "the numbers 1, 2, 3 and 7 more"."""
        shown = ", ".join(map(_format_value, marked[:MAX_SHOWN]))
        more = f" and {len(marked) - MAX_SHOWN} more" if len(marked) > MAX_SHOWN else ""
        noun = "color" if "color" in self.kinds else "palette entry" if "palette" in self.kinds else "number"
        plural = noun if len(marked) == 1 else noun.replace("entry", "entrie") + "s"
        return f"the {plural} {shown}{more}" if marked else "only 0"


def _round_lossy(mask: MaskPixels) -> Values:
    """The values, rounded if they are inexact, so that each area has one."""
    if not mask.lossy or mask.kind == "color" or mask.colors is not None:
        return mask.values
    return ((mask.values.astype(np.int64) + LOSSY_STEP // 2) // LOSSY_STEP * LOSSY_STEP).clip(0, mask.white)


def _count(counter: Counter[int], values: np.ndarray) -> None:
    """Add the values to the counter."""
    found, counts = np.unique(values, return_counts=True)
    counter.update(dict(zip(found.tolist(), counts.tolist(), strict=True)))


def _inner_values(values: Values) -> np.ndarray:
    """The values of the pixels whose eight neighbors have the same value."""
    same = (values[:, 1:-1] == values[:, :-2]) & (values[:, 1:-1] == values[:, 2:])
    rows = values[:, 1:-1]
    return np.asarray(
        rows[1:-1][same[:-2] & same[1:-1] & same[2:] & (rows[1:-1] == rows[:-2]) & (rows[1:-1] == rows[2:])]
    )


def _advise(values: list[str]) -> str:
    """What to do with masks that hold these values. A model segments one class, so that several need several models."""
    every = f"--mask-value {ANY} is all but 0"
    if len(values) == 1:
        return f"give --mask-value {_quote(values[0])} to segment the pixels of this one; {every}"
    runs = [f"--mask-value {_quote(value)} --out RUN-{value.lstrip('#')}" for value in values[:MAX_SHOWN]]
    return (
        f"if they are classes, train a model of each by a command of its own, with {', with '.join(runs)}"
        f"{', and so on' if len(values) > MAX_SHOWN else ''}; if they are objects, train one model, for which {every}"
    )


def _quote(value: str) -> str:
    """The value as a shell takes it: # begins a comment."""
    return f"'{value}'" if value.startswith("#") else value


def _format_value(value: int) -> str:
    return f"#{value - COLOR_BIT:06x}" if value >= COLOR_BIT else str(value)
