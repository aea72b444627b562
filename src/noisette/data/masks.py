"""Segmentation masks: pairing them with pictures, and resizing them.

A pair is images/NAME.png and masks/NAME.png, or NAME.png and NAME_mask.png, or is named by a column "mask" of the
metadata. `mask_values` reads what the pixels of masks mean.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

import numpy as np

from ..errors import InputError
from .entry import AttributeValue, Pixels, ResizedPixels, normalize_name
from .resize import resize_and_pad

MASK_COLUMN = "mask"
MASK_FOLDERS = frozenset(("mask", "masks", "segmentation", "segmentations", "segmentationclass", "groundtruth"))
PAIRED_FOLDERS = frozenset(("image", "images", "picture", "pictures", "jpegimages")) | MASK_FOLDERS
MASK_SUFFIX = re.compile(r"[-_ ](cp[-_ ])?(masks?|seg|segmentation)$", re.IGNORECASE)


def pair_masks_by_name(pictures: Sequence[str], location: str) -> dict[str, str]:
    """Map each picture's name to its mask's name. Raises InputError for a picture or a mask without a partner."""
    masks: dict[tuple[str, ...], str] = {}
    for name in filter(is_mask, pictures):
        if other := masks.get(_pair_key(name)):
            raise InputError(f"{location} holds two masks of one picture, {other} and {name}: remove one")
        masks[_pair_key(name)] = name
    mask_of = {name: masks.pop(_pair_key(name), None) for name in pictures if not is_mask(name)}
    if not mask_of or not any(mask_of.values()):
        raise InputError(
            f"{location} holds no masks: add masks/NAME.png to images/NAME.png, or NAME_mask.png to NAME.png, "
            f'or name them in a column "{MASK_COLUMN}" of the metadata'
        )
    raise_if_any(location, "pictures have no mask", [name for name, mask in mask_of.items() if mask is None])
    raise_if_any(location, "masks have no picture", list(masks.values()))
    return {name: mask for name, mask in mask_of.items() if mask is not None}


def pair_masks_by_table(
    rows: Mapping[str, Mapping[str, AttributeValue]], files: Iterable[str], prefixes: Mapping[str, str], location: str
) -> dict[str, str]:
    """Map each picture's name to its mask's name, from the column "mask" of each picture's metadata.

    prefixes: for each picture, the folder of its metadata file, to which the names in it are relative. Raises
    InputError for a picture without a mask, and for a mask that does not exist.
    """
    without_mask = [name for name, row in rows.items() if MASK_COLUMN not in row]
    raise_if_any(location, "pictures have no mask in the metadata", without_mask)
    existing = {normalize_name(name): name for name in files}
    wanted = {name: prefixes[name] + str(row[MASK_COLUMN]).removeprefix("./") for name, row in rows.items()}
    raise_if_any(location, "masks do not exist", [mask for mask in wanted.values() if mask not in existing])
    return {name: existing[mask] for name, mask in wanted.items()}


def resize_mask(mask: Pixels, height: int, width: int, pixel_art: bool, has_alpha: bool) -> ResizedPixels:
    """Resize a mask (h, w, 1) as its picture is resized. With alpha, the padding around the picture is outside."""
    if not has_alpha:
        return resize_and_pad(mask, height, width, pixel_art)
    return resize_and_pad(np.concatenate([np.full_like(mask, 255), mask], axis=2), height, width, pixel_art)[..., -1:]


def is_mask(name: str) -> bool:
    """Whether a file is a mask by its name or its folder."""
    path = PurePosixPath(name)
    return bool(MASK_SUFFIX.search(path.stem)) or any(part.lower() in MASK_FOLDERS for part in path.parts[:-1])


def _pair_key(name: str) -> tuple[str, ...]:
    """A key that is the same for a picture and its mask: the path without mask and image folders and suffixes."""
    path = PurePosixPath(normalize_name(name))
    return (*(part for part in path.parts[:-1] if part.lower() not in PAIRED_FOLDERS), MASK_SUFFIX.sub("", path.stem))


def raise_if_any(location: str, problem: str, names: list[str]) -> None:
    """Raise InputError that counts and lists the names with a problem, if there are any."""
    if names:
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        raise InputError(f"{len(names)} {problem} in {location}: {', '.join(names[:3])}{more}")
