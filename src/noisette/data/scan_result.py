"""The result of a scan: what a source holds, picture by picture and in sum."""

from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np

from .attributes import build_columns
from .color_mode import choose_mode
from .entry import natural_sort_key
from .mask_values import MaskReading
from .pictures import Mode
from .scanned_pictures import UNKNOWN, PictureKind, ScannedPictures

MAX_COLORS = 4096  # colors are counted up to this number
COLOR_BUCKETS = (2, 4, 8, 16, 32, 64, 256, MAX_COLORS)  # upper bounds used by `ScanResult.to_json`
FLIP_THRESHOLD = 0.5  # mirror_share from which mirroring training pictures does no harm


@dataclass(frozen=True)
class QuarantinedPicture:
    """A picture that cannot be used and is left out. "{name} {reason}" is a sentence."""

    name: str
    reason: str
    sha256: str | None  # None: the file could not be read


@dataclass(frozen=True)
class ScanResult:
    """The contents of a source."""

    source: str  # as the user wrote it
    kind: str  # "folder", "zip", "stack", "sprite", "array", "sheet" or "built-in"
    pictures: ScannedPictures
    quarantined: tuple[QuarantinedPicture, ...]
    notes: tuple[str, ...]  # for the user: how the source was read, what was left out
    colors: int | None  # number of distinct visible colors of all pictures together; None: more than MAX_COLORS
    mirror_share: float | None  # see `measure_mirror_share`; None: too few pictures
    mask_reading: MaskReading = MaskReading()

    @cached_property
    def distinct(self) -> ScannedPictures:
        """The pictures without exact copies."""
        return self.pictures.take(self.pictures.is_original)

    @cached_property
    def labels(self) -> dict[str, int]:
        """The number of pictures of each label, in natural order of the labels."""
        numbers = self.pictures.columns.label
        counts = np.bincount(numbers[numbers != UNKNOWN], minlength=len(self.pictures.labels)).tolist()
        found = {label: count for label, count in zip(self.pictures.labels, counts, strict=True) if count}
        return {label: found[label] for label in sorted(found, key=natural_sort_key)}

    @property
    def unlabeled(self) -> int:
        """The number of pictures without a label."""
        return int((self.pictures.columns.label == UNKNOWN).sum())

    @cached_property
    def with_text(self) -> int:
        """The number of pictures with a caption."""
        return sum(entry.text is not None for entry in self.pictures.own_entries)

    @cached_property
    def mode(self) -> Mode:
        """The smallest mode that represents all pictures without loss."""
        return choose_mode((kind.alpha, kind.is_grayscale) for kind, *_ in self.pictures.found_kinds)

    @property
    def is_flip_safe(self) -> bool:
        """Whether mirroring training pictures does no harm: mirror_share is at least FLIP_THRESHOLD."""
        return self.mirror_share is not None and self.mirror_share >= FLIP_THRESHOLD

    @cached_property
    def near_duplicates(self) -> tuple[tuple[str, ...], ...]:
        """The names of near duplicates, by group: groups of at least two distinct pictures, the largest first."""
        pictures = self.distinct
        groups = pictures.columns.group
        related = pictures.take(np.bincount(groups)[groups] > 1 if len(groups) else groups)
        members: dict[int, list[str]] = {}
        for group, name in zip(related.columns.group.tolist(), related.names, strict=True):
            members.setdefault(group, []).append(name)
        return tuple(sorted(map(tuple, members.values()), key=lambda g: (-len(g), g)))

    def count_by(self, key: Callable[[PictureKind], Hashable]) -> dict[str, int]:
        """The number of pictures for each value of a key, the most frequent first."""
        return {str(k): n for k, n in Counter(self.pictures.count_by(key)).most_common()}

    @property
    def colors_per_picture(self) -> dict[str, int]:
        """The number of pictures for each bucket of their numbers of distinct colors, the most frequent first."""
        colors = self.pictures.columns.colors
        buckets = np.searchsorted(COLOR_BUCKETS, colors)
        buckets[colors == UNKNOWN] = len(COLOR_BUCKETS)
        numbers, first, counts = np.unique(buckets, return_index=True, return_counts=True)
        names = [*(f"up to {n}" for n in COLOR_BUCKETS), f"more than {MAX_COLORS}"]
        return {
            names[numbers[i]]: int(counts[i]) for i in sorted(range(len(numbers)), key=lambda i: (-counts[i], first[i]))
        }

    @property
    def grayscale(self) -> int:
        """The number of pictures in gray."""
        return self.pictures.count_by(lambda kind: kind.is_grayscale).get(True, 0)

    @property
    def animated(self) -> list[str]:
        """The names of pictures of which only the first frame is used."""
        return list(self.pictures.where(lambda kind: kind.is_animated).names)

    @property
    def hidden_colors(self) -> list[str]:
        """The names of pictures with a color where alpha is 0."""
        return list(self.pictures.take(self.pictures.columns.hidden > 0).names)

    @cached_property
    def attributes(self) -> tuple[list[str], tuple[str, ...]]:
        """The names of the attributes that training uses, and notes on those that it leaves out."""
        columns, notes = build_columns(entry.attributes for entry in self.distinct.own_entries)
        return sorted({column.attribute for column in columns}), notes

    def to_json(self) -> dict[str, object]:
        """A summary as JSON types: counts, names of special pictures, and notes. Printed by `noisette scan --json`."""
        copies = self.pictures.take(~self.pictures.is_original)
        originals = (self.pictures.entries[number].name for number in copies.columns.copy_of.tolist())
        return {
            "source": self.source,
            "kind": self.kind,
            "pictures": len(self.pictures),
            "distinct": len(self.distinct),
            "mode": self.mode,
            "labels": self.labels,
            "unlabeled": self.unlabeled,
            "attributes": self.attributes[0],
            "with_text": self.with_text,
            "sizes": self.count_by(lambda p: f"{p.width}×{p.height}"),
            "formats": self.count_by(lambda p: p.format),
            "stored": self.count_by(lambda p: f"{p.stored_mode}, {p.bits} bit"),
            "alpha": self.count_by(lambda p: p.alpha),
            "grayscale": self.grayscale,
            "colors": self.colors,
            "colors_per_picture": self.colors_per_picture,
            "animated": self.animated,
            "pages": {p.name: p.pages for p in self.pictures.where(lambda kind: kind.pages > 1)},
            "profiles": self.count_by(lambda p: p.profile)
            if any(kind.profile for kind, *_ in self.pictures.found_kinds)
            else {},
            "hidden_colors": self.hidden_colors,
            "copies": dict(zip(copies.names, originals, strict=True)),
            "near_duplicates": [list(group) for group in self.near_duplicates],
            "mirror_share": None if self.mirror_share is None else round(self.mirror_share, 4),
            "flip_safe": self.is_flip_safe,
            "quarantined": [asdict(q) for q in self.quarantined],
            "notes": [*self.notes, *self.attributes[1]],
        }
