"""Sources with .aseprite and .ase files: each frame, or each slice of each frame, becomes a picture of its own.

Frames are named NAME#1, NAME#2, … in their order, slices NAME#1 SLICE; a file of one frame without slices keeps its
name. A tag is the label of its frames and the name of a slice the text of its pictures, where the source says nothing
else of the file.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import UInt8

from ..errors import InputError
from .aseprite import MAX_FILE_PIXELS, MAX_PIXELS, Sprite, parse_sprite
from .entry import BadPicture, Entry, Limits
from .listing import SPRITE_SUFFIXES, Reader, format_names
from .sprite_render import render_frame

MAX_PICTURES = 100_000  # frames times slices of a file
OPEN_FILES = 2  # that are kept in memory

Box = tuple[int, int, int, int]  # left, top, width, height


def is_sprite(name: str | Path) -> bool:
    """Whether a file is one of Aseprite, by its suffix."""
    return PurePosixPath(name).suffix.lower() in SPRITE_SUFFIXES


def split_sprites(
    entries: tuple[Entry, ...], files: Mapping[str, Reader], location: str, limits: Limits
) -> tuple[tuple[Entry, ...], tuple[str, ...]]:
    """The entries with one for each picture of an Aseprite file, and notes.

    Files that cannot be read are entries that say why. Raises InputError if there are more than `limits.max_entries`.
    """
    sprites, split = _SpriteFiles(files), list[Entry]()
    for entry in entries:
        split += sprites.split(entry)
        if len(split) > limits.max_entries:
            raise InputError(f"{location} holds more than {limits.max_entries:,} frames, the maximum: give fewer")
    return tuple(split), tuple(sprites.notes)


@dataclass
class _SpriteFiles:
    """The Aseprite files of a source. The last ones that were read are kept, with the last frame that was drawn."""

    files: Mapping[str, Reader]
    pictures: dict[str, int] = field(default_factory=dict)  # of each file
    sliced: list[str] = field(default_factory=list)
    open: dict[str, Sprite] = field(default_factory=dict)
    drawn: tuple[str, int, np.ndarray] | None = None

    @property
    def notes(self) -> Iterator[str]:
        """For the user."""
        if self.pictures:
            yield (
                f"frames of Aseprite files, each a picture of its own: {sum(self.pictures.values())}, of "
                f"{len(self.pictures)} files ({format_names(self.pictures)}); tags are labels"
            )
        if self.sliced:
            yield f"cut into their slices: {format_names(self.sliced)}"

    def split(self, entry: Entry) -> list[Entry]:
        """An entry for each picture of an Aseprite file; the entry itself if it is none."""
        if entry.mask is not None and is_sprite(entry.mask.name):
            return [replace(entry, mask=_refused(entry.mask, "is a file of Aseprite: export masks as PNG"))]
        if not is_sprite(entry.name):
            return [entry]
        if entry.mask is not None:
            return [_refused(entry, "is a file of Aseprite, which cannot have a mask: export it as PNG")]
        try:
            sprite = self.load(entry.name)
        except BadPicture as error:
            return [_refused(entry, str(error))]
        except OSError:  # said when it is read again
            return [replace(entry, read=partial(self.read, entry.name, 0, None))]
        if len(sprite.frames) * max(len(sprite.slices), 1) > MAX_PICTURES:
            return [_refused(entry, f"has more than {MAX_PICTURES:,} frames and slices: split it into smaller files")]
        if _count_slice_pixels(sprite) > MAX_FILE_PIXELS:
            return [_refused(entry, "has slices of more pixels than can be read: split it into smaller files")]
        made = list(self.make_entries(entry, sprite))
        self.pictures[entry.name] = len(made)
        if sprite.slices:
            self.sliced.append(entry.name)
        return made or [_refused(entry, "has slices that are all empty")]

    def make_entries(self, entry: Entry, sprite: Sprite) -> Iterator[Entry]:
        names = _unique([one.name for one in sprite.slices])
        for number, tag in enumerate(sprite.labels):
            label = tag if entry.label is None else entry.label
            name = entry.name if len(sprite.frames) == 1 else f"{entry.name}#{number + 1}"
            if not names:
                yield replace(entry, name=name, label=label, read=partial(self.read, entry.name, number, None))
            for one, own in zip(sprite.slices, names, strict=True):
                if (box := one.box(number)) is not None:
                    yield replace(
                        entry, name=f"{name} {own}", label=label, text=entry.text or own,
                        read=partial(self.read, entry.name, number, box),
                    )  # fmt: skip

    def load(self, name: str) -> Sprite:
        """A file that is kept, or is read now."""
        sprite = self.open.pop(name, None)
        if sprite is None:
            sprite = parse_sprite(self.files[name]())
        self.open[name] = sprite
        while len(self.open) > OPEN_FILES:
            del self.open[next(iter(self.open))]
        return sprite

    def read(self, name: str, number: int, box: Box | None) -> UInt8[np.ndarray, "h w 4"]:
        """A frame, or a part of it. Raises BadPicture or OSError."""
        if self.drawn is None or self.drawn[:2] != (name, number):
            sprite = self.load(name)
            if number >= len(sprite.frames):
                raise BadPicture("has changed while it was read")
            self.drawn = name, number, render_frame(sprite, number)
        pixels = self.drawn[2]
        return pixels.copy() if box is None else _crop(pixels, box)


def _crop(pixels: UInt8[np.ndarray, "h w 4"], box: Box) -> UInt8[np.ndarray, "height width 4"]:
    """A part of a frame, transparent where it is outside of the canvas."""
    left, top, width, height = box
    if width * height > MAX_PIXELS:
        raise BadPicture(f"has a slice of {width}×{height}: the maximum is {MAX_PIXELS:,} pixels")
    cut = np.zeros((height, width, 4), np.uint8)
    y, x = max(top, 0), max(left, 0)
    part = pixels[y : max(top + height, 0), x : max(left + width, 0)]
    cut[y - top : y - top + part.shape[0], x - left : x - left + part.shape[1]] = part
    return cut


def _count_slice_pixels(sprite: Sprite) -> int:
    """The pixels of the slices of all frames together, without those that are refused one by one."""
    boxes = (one.box(number) for number in range(len(sprite.frames)) for one in sprite.slices)
    sizes = (box[2] * box[3] for box in boxes if box is not None)
    return sum(size for size in sizes if size <= MAX_PIXELS)


def _unique(names: list[str]) -> list[str]:
    """The names of slices; those that occur more than once, or are empty, with their number."""
    counts = Counter(names)
    return [name if name and counts[name] == 1 else f"{name} {i + 1}".strip() for i, name in enumerate(names)]


def _refused(entry: Entry, reason: str) -> Entry:
    return replace(entry, read=partial(_refuse, reason))


def _refuse(reason: str) -> bytes:
    raise BadPicture(reason)
