"""Masks beside pictures: which belongs to which, and what a mask says.

images/NAME.png and masks/NAME.png, or NAME.png and NAME_mask.png, or a column "mask" of the metadata. White is what is
to be found; in a mask with transparent pixels, what is opaque.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

import numpy as np

from ..errors import InputError
from .entry import Pixels, Recoloured, Resized, Value
from .modes import as_mode
from .resize import fit

COLUMN = "mask"
MASKS = frozenset(("mask", "masks"))  # folders
BESIDE = frozenset(("image", "images", "picture", "pictures")) | MASKS
ENDING = re.compile(r"[-_ ]mask$", re.IGNORECASE)
WHITE = 128  # of 255, from which a pixel is inside


def pairs(pictures: Sequence[str], given: str) -> dict[str, str]:
    """picture → mask, by their names alone. Raises InputError for one that has no other half."""
    masks: dict[tuple[str, ...], str] = {}
    for name in filter(_is_mask, pictures):
        if other := masks.get(_key(name)):
            raise InputError(f"{given} holds two masks of one picture, {other} and {name}: keep one of them")
        masks[_key(name)] = name
    of = {name: masks.pop(_key(name), None) for name in pictures if not _is_mask(name)}
    if not of or not any(of.values()):
        raise InputError(
            f"{given} holds no masks: put masks/NAME.png beside images/NAME.png, or NAME_mask.png beside NAME.png, "
            f'or name them in a column "{COLUMN}" of the metadata'
        )
    _complain(given, "pictures have no mask", [name for name, mask in of.items() if mask is None])
    _complain(given, "masks have no picture", list(masks.values()))
    return {name: mask for name, mask in of.items() if mask is not None}


def named(rows: Mapping[str, Mapping[str, Value]], files: Iterable[str], top: str, given: str) -> dict[str, str]:
    """picture → mask, by the attributes of each picture; `top` is the folder of the table."""
    of = {name: str(row[COLUMN]).removeprefix("./") if COLUMN in row else None for name, row in rows.items()}
    _complain(given, "pictures have no mask in the metadata", [name for name, mask in of.items() if mask is None])
    there = set(files)
    found = {name: f"{top}{mask}" for name, mask in of.items()}
    _complain(given, "masks are not there", [mask for mask in found.values() if mask not in there])
    return found


def mask_of(pixels: Pixels) -> Recoloured:
    """One channel, 255 where it is; masks of 0 and 1 are taken for what they mean."""
    channels = pixels.shape[2]
    alpha = pixels[..., -1:] if channels in (2, 4) else None
    mask = alpha if alpha is not None and (alpha < 255).any() else as_mode(pixels, "L")
    return mask * np.uint8(255) if mask.max() == 1 else mask


def fitted(mask: Pixels, height: int, width: int, pixel_art: bool, has_alpha: bool) -> Resized:
    """At the size of the pictures; what is put around pictures that have alpha is outside."""
    if not has_alpha:
        return fit(mask, height, width, pixel_art)
    return fit(np.concatenate([np.full_like(mask, 255), mask], axis=2), height, width, pixel_art)[..., -1:]


class Masks:
    """What was seen of a set's masks, to be checked as a whole."""

    def __init__(self) -> None:
        self.wrong: list[str] = []  # of another size than their pictures
        self.brightest: int | None = None  # pixel

    def seen(self, name: str, size: tuple[int, ...], stored: Pixels) -> Recoloured:
        """The mask of a picture of that height and width, out of the pixels of its file."""
        mask, (h, w), (high, wide) = mask_of(stored), size, stored.shape[:2]
        if (h, w) != (high, wide):
            self.wrong.append(f"{name} ({w}×{h}, its mask {wide}×{high})")
        self.brightest = max(self.brightest or 0, int(mask.max()))
        return mask

    def check(self, given: str) -> None:
        """Refuse masks of another size, and masks without anything in them."""
        _complain(given, "masks are of another size than their pictures", self.wrong)
        if self.brightest is not None and self.brightest < WHITE:
            raise InputError(
                f"no mask of {given} has a white pixel, the brightest is {self.brightest} of 255: white is what is to "
                "be found"
            )


def _is_mask(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(ENDING.search(path.stem)) or any(part.lower() in MASKS for part in path.parts[:-1])


def _key(name: str) -> tuple[str, ...]:
    """What a picture and its mask have in common."""
    path = PurePosixPath(name)
    return (*(part for part in path.parts[:-1] if part.lower() not in BESIDE), ENDING.sub("", path.stem))


def _complain(given: str, what: str, names: list[str]) -> None:
    if names:
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        raise InputError(f"{len(names)} {what} in {given}: {', '.join(names[:3])}{more}")
