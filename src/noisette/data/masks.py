"""Segmentation masks: pairing them with pictures, and resizing them.

A pair is images/NAME.png and masks/NAME.png, or NAME.png and NAME_mask.png, or is named by a column "mask" of the
metadata. Other usual names are known, too, like train/NAME.jpg and train_masks/NAME_mask.gif. `mask_values` reads what
the pixels of masks mean.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np

from ..errors import InputError
from .entry import AttributeValue, Pixels, ResizedPixels, normalize_name
from .resize import resize_and_pad

MASK_COLUMN = "mask"
_MASK_WORDS = r"(masks?|segs?|segmentations?|gt|ground[-_ ]?truth|labels?|annotations?|trimaps?|instances?)"
MASK_FOLDER = re.compile(rf"(.*[-_ ])?{_MASK_WORDS}|segmentation(class|object)(raw|aug)?", re.IGNORECASE)
IMAGE_FOLDER = re.compile(r"(.*[-_ ])?(im(a?ge?)?s?|pictures?|inputs?)|jpegimages", re.IGNORECASE)
MASK_NAME = re.compile(rf"(?P<of>.+?)[-_ ](cp[-_ ])?{_MASK_WORDS}|{_MASK_WORDS}[-_ ](?P<of_>.+)", re.IGNORECASE)
IMAGE_NAME = re.compile(r"(?P<of>.+)[-_ ]ima?ge?|ima?ge?[-_ ](?P<of_>.+)", re.IGNORECASE)

Parts = tuple[str, ...]


@dataclass
class _Pairing:
    """Pictures and masks that have one key."""

    mask_of: dict[str, str] = field(default_factory=dict)
    without_mask: list[str] = field(default_factory=list)
    without_picture: list[str] = field(default_factory=list)
    twice: list[tuple[str, str]] = field(default_factory=list)  # two masks of one picture

    @property
    def is_complete(self) -> bool:
        return bool(self.mask_of) and not (self.without_mask or self.without_picture or self.twice)


def pair_masks_by_name(pictures: Sequence[str], location: str) -> dict[str, str]:
    """Map each picture's name to its mask's name. Raises InputError for a picture or a mask without a partner.

    The first way of comparing names that leaves nothing over is taken: with folders, with words like "img" left out,
    or without folders.
    """
    pairings = [_pair(pictures, key) for key in (_path_key, _plain_key, lambda name: _plain_key(name)[-1:])]
    complete = [p for p in pairings if p.is_complete]
    best = complete[0] if complete else max(pairings, key=lambda p: len(p.mask_of))
    if best.twice:
        one, other = best.twice[0]
        raise InputError(f"{location} holds two masks of one picture, {one} and {other}: remove one")
    if not best.mask_of:
        raise InputError(
            f"{location} holds no masks: add masks/NAME.png to images/NAME.png, or NAME_mask.png to NAME.png, "
            f'or name them in a column "{MASK_COLUMN}" of the metadata'
        )
    raise_if_any(location, "pictures have no mask", best.without_mask)
    raise_if_any(location, "masks have no picture", best.without_picture)
    return best.mask_of


def _pair(pictures: Sequence[str], key: Callable[[str], Parts]) -> _Pairing:
    found = _Pairing()
    masks: dict[Parts, str] = {}
    for name in filter(is_mask, pictures):
        if other := masks.get(key(name)):
            found.twice.append((other, name))
        masks[key(name)] = name
    for name in pictures:
        if is_mask(name):
            continue
        mask = masks.pop(key(name), None)
        if mask is None:
            found.without_mask.append(name)
        else:
            found.mask_of[name] = mask
    found.without_picture = list(masks.values())
    return found


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
    """Whether a file is a mask by its folder (the deepest one that says so) or else by its name."""
    path = PurePosixPath(name)
    for folder in reversed(path.parts[:-1]):
        if MASK_FOLDER.fullmatch(folder):
            return True
        if IMAGE_FOLDER.fullmatch(folder):
            break
    return MASK_NAME.fullmatch(path.stem) is not None


def _path_key(name: str) -> Parts:
    """A key that is the same for a picture and its mask: the path without mask and image folders and mask words."""
    path = PurePosixPath(normalize_name(name))
    folders = (p for p in path.parts[:-1] if not (MASK_FOLDER.fullmatch(p) or IMAGE_FOLDER.fullmatch(p)))
    return (*folders, _without_words(MASK_NAME, path.stem))


def _plain_key(name: str) -> Parts:
    """The key without the words of pictures: of img_1.png or 1_img.png as of mask_1.png."""
    *folders, stem = _path_key(name)
    return (*folders, _without_words(IMAGE_NAME, stem))


def _without_words(words: re.Pattern[str], stem: str) -> str:
    found = words.fullmatch(stem)
    return stem if found is None else found["of"] or found["of_"]


def raise_if_any(location: str, problem: str, names: list[str]) -> None:
    """Raise InputError that counts and lists the names with a problem, if there are any."""
    if names:
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        raise InputError(f"{len(names)} {problem} in {location}: {', '.join(names[:3])}{more}")
