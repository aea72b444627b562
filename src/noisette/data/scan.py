"""Read everything before anything is trained: what is there, what is wrong with it, and what is there twice."""

import hashlib
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..pictures import Mode
from .decode import Decoded, decode, from_array, packed
from .entry import LIMITS, BadPicture, Entry, Limits, Pixels, Source, Value
from .likeness import mirror_share, near_groups, thumbnail
from .masks import Masks
from .modes import Alpha, alpha_kind, as_mode, choose, is_grey
from .natural import natural
from .source import open_source

MANY = 4096  # colours, beyond which they are not counted
MOST = 100_000  # pictures among which near duplicates are looked for
NONE = np.zeros(0)
SYMMETRIC = 0.5  # the share of mirrored pictures from which flips do no harm

Progress = Callable[[int, int], object]  # pictures done, pictures in all


@dataclass(frozen=True)
class Picture:
    """What is known of one picture that can be used."""

    name: str
    sha256: str  # of the file, or of the pixels where there is no file
    content: str  # a hash of size and visible pixels, however they are stored
    height: int
    width: int
    format: str  # "PNG", …, or "array"
    stored: str  # Pillow's name for a stored pixel: "P", "RGBA", "I;16", …
    bits: int  # a stored sample
    animated: bool
    alpha: Alpha
    grey: bool
    colours: int | None  # distinct ones that can be seen; None: more than MANY
    hidden: int  # pixels that hid a colour under alpha 0
    label: str | None = None
    attributes: Mapping[str, Value] = field(default_factory=dict)
    text: str | None = None
    group: int = 0  # of near duplicates: the same number for all of them
    mask: str | None = None  # what is to be found in it: the name of that file
    mask_sha256: str | None = None
    copy_of: str | None = None  # the picture that is the same in every pixel, mask and label, attributes and text


@dataclass(frozen=True)
class Quarantined:
    """A picture that is left out, and why: "NAME REASON" reads as a sentence."""

    name: str
    reason: str
    sha256: str | None  # None: it could not even be read


@dataclass(frozen=True)
class Scan:
    """What a source holds."""

    source: str
    kind: str
    pictures: tuple[Picture, ...]
    quarantined: tuple[Quarantined, ...]
    notes: tuple[str, ...]
    colours: int | None  # of the whole set; None: more than MANY
    mirror: float | None  # how often a mirrored picture fits in as well as the others do; None: too few to tell

    @property
    def distinct(self) -> tuple[Picture, ...]:
        """Without exact copies."""
        return tuple(p for p in self.pictures if p.copy_of is None)

    @property
    def hashes(self) -> dict[str, str | None]:
        """Of every file, the bad ones too; None: it could not be read."""
        masks = {p.mask: p.mask_sha256 for p in self.pictures if p.mask is not None}
        return masks | {p.name: p.sha256 for p in self.pictures} | {q.name: q.sha256 for q in self.quarantined}

    @property
    def labels(self) -> dict[str, int]:
        """How many pictures each label has, in the labels' order."""
        counts = Counter(p.label for p in self.pictures if p.label is not None)
        return {label: counts[label] for label in sorted(counts, key=natural)}

    @property
    def mode(self) -> Mode:
        """The smallest mode that loses nothing."""
        return choose((p.alpha, p.grey) for p in self.pictures)

    @property
    def flips(self) -> bool:
        """Whether the set looks as good in a mirror."""
        return self.mirror is not None and self.mirror >= SYMMETRIC

    @property
    def near(self) -> tuple[tuple[str, ...], ...]:
        """The groups of near duplicates of more than one distinct picture, the largest first."""
        groups: dict[int, list[str]] = {}
        for p in self.distinct:
            groups.setdefault(p.group, []).append(p.name)
        return tuple(sorted((tuple(g) for g in groups.values() if len(g) > 1), key=lambda g: (-len(g), g)))

    def count(self, of: Callable[[Picture], Hashable]) -> dict[str, int]:
        """How many pictures have each value of something, the most frequent first."""
        return {str(k): n for k, n in Counter(map(of, self.pictures)).most_common()}

    def to_json(self) -> dict[str, object]:
        """Everything, as JSON's types; what can be counted is counted."""
        return {
            "source": self.source,
            "kind": self.kind,
            "pictures": len(self.pictures),
            "distinct": len(self.distinct),
            "mode": self.mode,
            "labels": self.labels,
            "unlabelled": sum(p.label is None for p in self.pictures),
            "attributes": sorted({a for p in self.pictures for a in p.attributes}),
            "with_text": sum(p.text is not None for p in self.pictures),
            "sizes": self.count(lambda p: f"{p.width}×{p.height}"),
            "formats": self.count(lambda p: p.format),
            "stored": self.count(lambda p: f"{p.stored}, {p.bits} bit"),
            "alpha": self.count(lambda p: p.alpha),
            "grey": sum(p.grey for p in self.pictures),
            "colours": self.colours,
            "colours_of_each": self.count(_palette),
            "animated": [p.name for p in self.pictures if p.animated],
            "hidden_colours": [p.name for p in self.pictures if p.hidden],
            "copies": {p.name: p.copy_of for p in self.pictures if p.copy_of is not None},
            "near_duplicates": [list(group) for group in self.near],
            "mirror": None if self.mirror is None else round(self.mirror, 4),
            "flips": self.flips,
            "quarantined": [asdict(q) for q in self.quarantined],
            "notes": list(self.notes),
        }


def scan(
    source: str | Path,
    *,
    labels: str | None = None,
    cell: int | tuple[int, int] | None = None,
    progress: Progress = lambda done, total: None,
    limits: Limits = LIMITS,
) -> Scan:
    """Read every picture of a source. What cannot be used is quarantined; a source without any is an InputError."""
    return examine(open_source(source, labels=labels, cell=cell, limits=limits), progress, limits)


def examine(source: Source, progress: Progress = lambda done, total: None, limits: Limits = LIMITS) -> Scan:
    """`scan`, of a source that is open."""
    look = _Look(limits)
    usable: list[Picture] = []
    quarantined: list[Quarantined] = []
    for done, entry in enumerate(source.entries):
        progress(done, len(source.entries))
        found = look.at(entry)
        if isinstance(found, Picture):
            usable.append(found)
        else:
            quarantined.append(found)
    progress(len(source.entries), len(source.entries))
    if not usable:
        first = quarantined[0]
        raise InputError(
            f"none of the {len(quarantined)} pictures in {source.given} can be used: "
            f"{first.name} {first.reason}{'; and so on' if len(quarantined) > 1 else ''}"
        )
    look.masks.check(source.given)
    thumbnails = np.stack(list(look.thumbnails.values())[:MOST])
    alone, notes = len(look.thumbnails) > MOST, source.notes
    if alone:
        notes += (f"among more than {MOST:,} pictures near duplicates are not looked for, only exact copies",)
    groups = near_groups(thumbnails) if not alone else np.arange(len(look.thumbnails))
    numbers = dict(zip(look.thumbnails, groups.tolist(), strict=True))
    pictures = _without_copies(replace(p, group=numbers[p.content]) for p in usable)
    pictures, notes = _without_one_label(pictures, notes)
    if clashes := _clashes(pictures):
        notes += (f"the same picture under several labels: {len(clashes)} ({clashes[0]}{', …' * (len(clashes) > 1)})",)
    colours, mirror = None if look.colours is None else len(look.colours), mirror_share(thumbnails, groups[:MOST])
    return Scan(source.given, source.kind, pictures, tuple(quarantined), notes, colours, mirror)


class _Look:
    """Looks at one entry after another; what depends on the pixels alone is found once for all exact copies."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.thumbnails: dict[str, np.ndarray] = {}  # by content
        self.palettes: dict[str, int | None] = {}
        self.colours: np.ndarray | None = np.zeros(0, np.uint32)  # of all together; None: more than MANY
        self.masks = Masks()

    def at(self, entry: Entry) -> Picture | Quarantined:
        sha256 = None
        try:
            data, sha256 = load(entry)
            decoded = read(data, self.limits)
        except BadPicture as error:
            return Quarantined(entry.name, str(error), sha256)
        pixels = decoded.pixels
        rgba = as_mode(pixels, "RGBA")
        digest = hashlib.sha256(repr(rgba.shape).encode())
        digest.update(np.ascontiguousarray(rgba).data)
        try:
            mask_sha256 = self.mask(entry, pixels, digest)
        except BadPicture as error:
            return Quarantined(entry.name, f"has a mask that {error}", sha256)
        content = digest.hexdigest()
        if content not in self.thumbnails:
            self.thumbnails[content] = thumbnail(pixels) if len(self.thumbnails) < MOST else NONE
            self.palettes[content] = self.palette(rgba)
        return Picture(
            entry.name, sha256, content, pixels.shape[0], pixels.shape[1],
            decoded.format, decoded.stored, decoded.bits, decoded.animated,
            alpha_kind(pixels), is_grey(pixels), self.palettes[content], decoded.hidden,
            entry.label, entry.attributes, entry.text,
            mask=None if entry.mask is None else entry.mask.name, mask_sha256=mask_sha256,
        )  # fmt: skip

    def mask(self, entry: Entry, pixels: Pixels, digest: "hashlib._Hash") -> str | None:
        """The hash of an entry's mask; what it shows goes into the digest."""
        if entry.mask is None:
            return None
        data, sha256 = load(entry.mask)
        mask = self.masks.seen(entry.name, pixels.shape[:2], read(data, self.limits).pixels)
        digest.update(np.ascontiguousarray(mask).data)
        return sha256

    def palette(self, rgba: Pixels) -> int | None:
        """How many colours can be seen, and add them to those of all."""
        values = packed(rgba).ravel()
        if len(values) > 2**18 and len(np.unique(values[:: len(values) // 2**16])) > MANY:
            self.colours = None
            return None
        seen = np.unique(values)
        seen = seen[seen != 0]
        if self.colours is not None:
            both = np.union1d(self.colours, seen)
            self.colours = both if len(both) <= MANY else None
        return len(seen) if len(seen) <= MANY else None


def load(entry: Entry) -> tuple[bytes | Pixels, str]:
    """An entry's file or pixels, and their hash. Raises BadPicture."""
    try:
        data = entry.read()
    except OSError as error:
        raise BadPicture(f"cannot be read: {(error.strerror or str(error)).lower()}") from error
    return data, hashlib.sha256(data if isinstance(data, bytes) else data.data).hexdigest()


def read(data: bytes | Pixels, limits: Limits = LIMITS) -> Decoded:
    """The picture in a file or an array. Raises BadPicture."""
    return decode(data, limits) if isinstance(data, bytes) else from_array(data, limits)


def _palette(picture: Picture) -> str:
    if picture.colours is None:
        return f"more than {MANY}"
    return next(f"up to {n}" for n in (2, 4, 8, 16, 32, 64, 256, MANY) if picture.colours <= n)


def _without_copies(pictures: Iterable[Picture]) -> tuple[Picture, ...]:
    """Mark what is there already, in every pixel and in all that is said of it."""
    first: dict[Hashable, str] = {}
    marked = []
    for p in pictures:
        same = (p.content, p.label, p.text, tuple(sorted(p.attributes.items())))
        marked.append(replace(p, copy_of=first.get(same)))
        first.setdefault(same, p.name)
    return tuple(marked)


def _without_one_label(
    pictures: tuple[Picture, ...], notes: tuple[str, ...]
) -> tuple[tuple[Picture, ...], tuple[str, ...]]:
    """A label that all pictures have says nothing."""
    labels = {p.label for p in pictures}
    if None in labels or len(labels) > 1:
        return pictures, notes
    note = f"all pictures have the same label, {labels.pop()}, so it is not used"
    return tuple(replace(p, label=None) for p in pictures), (*notes, note)


def _clashes(pictures: Iterable[Picture]) -> list[str]:
    """Names of pictures that are there with another label as well."""
    labels: dict[str, str | None] = {}
    clashes = {p.content: p.name for p in pictures if labels.setdefault(p.content, p.label) != p.label}
    return list(clashes.values())
