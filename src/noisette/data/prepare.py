"""From a source to a data set: scan, decide, split, decode, resize, write."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from numpy.lib import format as npy

from ..errors import InputError
from ..files import atomic_write, require_space, sha256_of
from ..pictures import Mode, Pictures
from .attributes import columns, with_units
from .dataset import MANIFEST, MASKS, PIXELS, Dataset
from .entry import LIMITS, BadPicture, Entry, Limits, Pixels, Source
from .manifest import File, Manifest, Options, fingerprint
from .masks import fitted, mask_of
from .modes import as_mode
from .resize import fit, is_enlarged, reachable, whole_factor
from .scan import Picture, Progress, Scan, examine, load, read
from .source import open_source
from .split import split

SIDES = (8, 1024)  # the least and the most pixels a side
COMMON = 64  # pixels a side up to which a size that all pictures share is kept
OTHERWISE = (32, 32)
CHUNK = 4096  # pictures whose statistics are taken at a time


def prepare(
    source: str | Path,
    folder: str | Path,
    *,
    size: int | tuple[int, int] | None = None,
    mode: Mode | None = None,
    pixel_art: bool = False,
    held_out: float = 0.1,
    seed: int = 0,
    labels: str | None = None,
    cell: int | tuple[int, int] | None = None,
    masks: bool = False,
    progress: Progress = lambda done, total: None,
    limits: Limits = LIMITS,
) -> Dataset:
    """Make the data set of a run folder, or open the one that is there if it is of the same pictures and options.

    size: height and width; by default the one that all pictures share, if it is at most 64 pixels a side, otherwise 32.
    mode: by default the smallest that loses nothing. held_out: the share of pictures that is never trained on.
    labels, cell and masks as in `open_source`. Raises InputError for what cannot be used; then nothing is written.
    """
    options = Options(_allowed(size), mode, pixel_art, held_out, seed, masks)
    opened, folder = open_source(source, labels=labels, cell=cell, masks=masks, limits=limits), Path(folder)
    if (folder / MANIFEST).exists():
        before = Manifest.read(folder / MANIFEST)
        if differences := before.differences(opened, _hashes(opened), options):
            raise InputError(
                f"{folder} holds other data: {'; '.join(differences)}; give the same pictures and options, "
                "or another folder"
            )
        try:
            return Dataset.open(folder)
        except InputError:  # its pixels are lost or damaged: they are made again, and are the same
            pass
    found = examine(opened, lambda done, total: progress(done, 2 * total), limits)
    _build(opened, found, folder, options, progress, limits)
    return Dataset.open(folder)


def _allowed(size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    if size is None:
        return None
    height, width = (size, size) if isinstance(size, int) else size
    least, most = SIDES
    near = tuple(min(max(side, least), most) for side in (height, width))
    if near != (height, width):
        raise InputError(
            f"pictures of {width}×{height} are not possible, {least} to {most} pixels a side are: "
            f"the nearest is {near[1]}×{near[0]}"
        )
    return height, width


def _hashes(source: Source) -> dict[str, str | None]:
    """What every entry holds now; None: it cannot be read."""

    def one(entry: Entry) -> str | None:
        try:
            return load(entry)[1]
        except BadPicture:
            return None

    every = [one for entry in source.entries for one in (entry.mask, entry) if one is not None]
    return {entry.name: one(entry) for entry in every}


def _build(source: Source, found: Scan, folder: Path, options: Options, progress: Progress, limits: Limits) -> None:
    distinct = found.distinct
    held = split(
        [p.content for p in distinct], [p.group for p in distinct], [p.label for p in distinct],
        options.held_out, options.seed,
    )  # fmt: skip
    (height, width), why = (options.size, "as asked for") if options.size else default_size(distinct)
    shown, about = columns([p.attributes for p, out in zip(distinct, held, strict=True) if not out])
    pictures = with_units(
        Pictures(options.mode or found.mode, height, width, tuple(found.labels), pixel_art=options.pixel_art), shown
    )
    notes = [*found.notes, *about, f"size {width}×{height}, {why}", *_about_shrinking(distinct, pictures)]
    if copies := len(found.pictures) - len(distinct):
        notes.append(f"exact copies, kept once: {copies}")
    channels = pictures.channels + options.masks
    require_space(
        folder, 128 * (1 + options.masks) + len(distinct) * channels * height * width + 400 * len(found.pictures)
    )
    writer = _Writer({e.name: e for e in source.entries}, distinct, pictures, progress, limits)
    atomic_write(folder / PIXELS, writer)
    array = np.load(folder / PIXELS, mmap_mode="r", allow_pickle=False)
    train = [i for i, out in enumerate(held) if not out]
    masks = _masks(source, distinct, pictures, folder, limits, train) if options.masks else (None, None)
    Manifest(
        source.given,
        source.kind,
        fingerprint(source, found.hashes),
        options,
        replace(pictures, binary_alpha=pictures.has_alpha and not writer.soft),
        deviation(array, pictures, train),
        len(distinct),
        sha256_of(folder / PIXELS),
        shown,
        found.quarantined,
        (*notes, *writer.notes),
        _files(found.pictures, held),
        *masks,
    ).write(folder / MANIFEST)


def _masks(
    source: Source, distinct: Sequence[Picture], pictures: Pictures, folder: Path, limits: Limits, train: Sequence[int]
) -> tuple[str, float]:
    """Write the masks as pictures are written; their hash, and their deviation."""
    entries = {e.name: e.mask for e in source.entries if e.mask is not None}
    of = [replace(p, sha256=p.mask_sha256 or "") for p in distinct]
    alone = Pictures("L", pictures.height, pictures.width, pixel_art=pictures.pixel_art)
    atomic_write(folder / MASKS, _MaskWriter(entries, of, alone, lambda done, total: None, limits, pictures.has_alpha))
    spread = deviation(np.load(folder / MASKS, mmap_mode="r", allow_pickle=False), alone, train)
    if spread < 1e-3:
        raise InputError(f"the masks of {source.given} are one colour throughout: nothing can be learned from them")
    return sha256_of(folder / MASKS), spread


@dataclass
class _Writer:
    """Writes the array, one picture after the other: nothing is ever held as a whole."""

    entries: Mapping[str, Entry]
    distinct: Sequence[Picture]
    pictures: Pictures
    progress: Progress
    limits: Limits
    soft: bool = field(default=False, init=False)  # an alpha between 0 and 255 was seen
    lossy: int = field(default=0, init=False)  # pictures that lost pixels as pixel art
    first: str = field(default="", init=False)  # the name of the first of them

    @property
    def notes(self) -> tuple[str, ...]:
        if not self.lossy:
            return ()
        what = f"pictures that were not pixel art enlarged by a whole factor: {self.lossy} ({self.first})"
        return (f"{what}; of each block one pixel is kept",)

    def __call__(self, file: BinaryIO) -> None:
        shape = (len(self.distinct), *self.pictures.shape)
        npy.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        total = len(self.distinct)
        for done, picture in enumerate(self.distinct):
            self.progress(total + done, 2 * total)
            file.write(np.ascontiguousarray(self.picture(picture).transpose(2, 0, 1)).tobytes())
        self.progress(2 * total, 2 * total)

    def picture(self, picture: Picture) -> Pixels:
        height, width = self.pictures.height, self.pictures.width
        pixels = as_mode(self.read(picture), self.pictures.mode)
        if self.pictures.pixel_art and not is_enlarged(pixels, height, width):
            self.lossy, self.first = self.lossy + 1, self.first or picture.name
        pixels = fit(pixels, height, width, self.pictures.pixel_art)
        if self.pictures.has_alpha:
            self.soft |= bool(((pixels[..., -1] > 0) & (pixels[..., -1] < 255)).any())
        return pixels

    def read(self, picture: Picture) -> Pixels:
        """As it was when it was scanned."""
        try:
            data, sha256 = load(self.entries[picture.name])
            if sha256 != picture.sha256:
                raise BadPicture("is another one")
            return read(data, self.limits).pixels
        except BadPicture as error:
            raise InputError(
                f"{picture.name} changed while the data set was made ({error}): try again when nobody writes there"
            ) from error


@dataclass
class _MaskWriter(_Writer):
    """Writes the masks of pictures."""

    has_alpha: bool  # of the pictures

    def picture(self, picture: Picture) -> Pixels:
        to = self.pictures
        return fitted(mask_of(self.read(picture)), to.height, to.width, to.pixel_art, self.has_alpha)


def default_size(pictures: Sequence[Picture]) -> tuple[tuple[int, int], str]:
    """Height and width for pictures of which nothing was said, and why."""
    sizes = {(p.height, p.width) for p in pictures}
    if len(sizes) > 1:
        return OTHERWISE, "because the pictures are of different sizes"
    (size,) = sizes
    if max(size) > COMMON:
        return OTHERWISE, f"because the pictures are larger than {COMMON} pixels"
    if min(size) < SIDES[0]:
        return OTHERWISE, f"because the pictures are smaller than {SIDES[0]} pixels"
    return size, "the size of all pictures"


def _about_shrinking(pictures: Sequence[Picture], to: Pictures) -> list[str]:
    """Refuse pixel art that no whole factor leads to; say how many pictures are padded."""
    if to.pixel_art:
        bad = [p for p in pictures if not whole_factor(p.height, p.width, to.height, to.width)]
        if bad:
            one, more = bad[0], f", nor can {len(bad) - 1} more" if len(bad) > 1 else ""
            raise InputError(
                f"{one.name} is {one.width}×{one.height} and cannot become pixel art of {to.width}×{to.height} "
                f"by a whole factor{more}: ask for {reachable(one.height, one.width)}, or do without pixel art"
            )
    around = sum(p.height * to.width != p.width * to.height for p in pictures)
    how = "transparent" if to.has_alpha else "with their edges drawn out"
    return [f"pictures of other proportions, padded {how}: {around}"] if around else []


def deviation(array: np.ndarray, pictures: Pictures, rows: Sequence[int]) -> float:
    """The standard deviation of some rows' pixels in model space, over all channels together."""
    total, squares, count = 0.0, 0.0, 0
    for first in range(0, len(rows), CHUNK):
        x = pictures.encode(torch.from_numpy(array[list(rows[first : first + CHUNK])])).double()
        total, squares, count = total + x.sum().item(), squares + x.square().sum().item(), count + x.numel()
    mean = total / count
    return max(squares / count - mean**2, 0.0) ** 0.5


def _files(pictures: Sequence[Picture], held: Sequence[bool]) -> tuple[File, ...]:
    """Every picture with its row and side; a copy has those of what it is a copy of."""
    rows = {p.name: row for row, p in enumerate(p for p in pictures if p.copy_of is None)}
    rows |= {p.name: rows[p.copy_of] for p in pictures if p.copy_of is not None}
    return tuple(
        File(
            p.name, p.sha256, p.group, "held_out" if held[rows[p.name]] else "train", rows[p.name],
            p.label, p.attributes, p.text, p.mask, p.mask_sha256, p.copy_of,
        )
        for p in pictures
    )  # fmt: skip
