"""The result of a scan: what a source holds, picture by picture and in sum."""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from dataclasses import asdict, dataclass, field

from .attributes import build_columns
from .color_mode import AlphaKind, choose_mode
from .entry import AttributeValue, natural_sort_key
from .mask_values import MaskReading
from .pictures import Mode

MAX_COLORS = 4096  # colors are counted up to this number
COLOR_BUCKETS = (2, 4, 8, 16, 32, 64, 256, MAX_COLORS)  # upper bounds used by `ScanResult.to_json`
FLIP_THRESHOLD = 0.5  # mirror_share from which mirroring training pictures does no harm


@dataclass(frozen=True)
class ScannedPicture:
    """One usable picture of a source."""

    name: str
    sha256: str  # of the file, or of the pixels if there is no file
    content_hash: str  # of size, visible pixels and mask, independent of the file format
    height: int
    width: int
    format: str  # "PNG", …, or "array"
    stored_mode: str  # Pillow's name of the stored pixel type: "P", "RGBA", "I;16", …
    bits: int  # bits per stored sample
    is_animated: bool
    alpha: AlphaKind
    is_grayscale: bool
    colors: int | None  # number of distinct visible colors; None: more than MAX_COLORS
    hidden_color_pixels: int  # pixels with a color although their alpha is 0
    label: str | None = None
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    text: str | None = None
    group: int = 0  # number of its group of near duplicates
    mask: str | None = None  # the name of its mask file
    mask_sha256: str | None = None
    copy_of: str | None = None  # an earlier picture with the same pixels, mask, label, attributes and text
    pages: int = 1  # of a TIFF; only the first is used
    profile: str | None = None  # name of the color profile that it was converted from
    brightest: int | None = None  # highest stored sample of a gray picture with more than 8 bits
    profile_ignored: bool = False  # it has a color profile that cannot be used
    credits: Mapping[str, str] = field(default_factory=dict)  # license, author, source
    only_color: int | None = None  # the packed RGBA of a picture of one color; 0: fully transparent


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
    pictures: tuple[ScannedPicture, ...]
    quarantined: tuple[QuarantinedPicture, ...]
    notes: tuple[str, ...]  # for the user: how the source was read, what was left out
    colors: int | None  # number of distinct visible colors of all pictures together; None: more than MAX_COLORS
    mirror_share: float | None  # see `measure_mirror_share`; None: too few pictures
    mask_reading: MaskReading = MaskReading()

    @property
    def distinct(self) -> tuple[ScannedPicture, ...]:
        """The pictures without exact copies."""
        return tuple(p for p in self.pictures if p.copy_of is None)

    @property
    def hashes(self) -> dict[str, str | None]:
        """The SHA-256 of every file, quarantined files and masks included; None: the file could not be read."""
        masks = {p.mask: p.mask_sha256 for p in self.pictures if p.mask is not None}
        return masks | {p.name: p.sha256 for p in self.pictures} | {q.name: q.sha256 for q in self.quarantined}

    @property
    def labels(self) -> dict[str, int]:
        """The number of pictures of each label, in natural order of the labels."""
        counts = Counter(p.label for p in self.pictures if p.label is not None)
        return {label: counts[label] for label in sorted(counts, key=natural_sort_key)}

    @property
    def mode(self) -> Mode:
        """The smallest mode that represents all pictures without loss."""
        return choose_mode((p.alpha, p.is_grayscale) for p in self.pictures)

    @property
    def is_flip_safe(self) -> bool:
        """Whether mirroring training pictures does no harm: mirror_share is at least FLIP_THRESHOLD."""
        return self.mirror_share is not None and self.mirror_share >= FLIP_THRESHOLD

    @property
    def near_duplicates(self) -> tuple[tuple[str, ...], ...]:
        """The names of near duplicates, by group: groups of at least two distinct pictures, the largest first."""
        groups: dict[int, list[str]] = {}
        for p in self.distinct:
            groups.setdefault(p.group, []).append(p.name)
        return tuple(sorted((tuple(g) for g in groups.values() if len(g) > 1), key=lambda g: (-len(g), g)))

    def count_by(self, key: Callable[[ScannedPicture], Hashable]) -> dict[str, int]:
        """The number of pictures for each value of a key, the most frequent first."""
        return {str(k): n for k, n in Counter(map(key, self.pictures)).most_common()}

    @property
    def attributes(self) -> tuple[list[str], tuple[str, ...]]:
        """The names of the attributes that training uses, and notes on those that it leaves out."""
        columns, notes = build_columns([p.attributes for p in self.distinct])
        return sorted({column.attribute for column in columns}), notes

    def to_json(self) -> dict[str, object]:
        """A summary as JSON types: counts, names of special pictures, and notes. Printed by `noisette scan --json`."""
        return {
            "source": self.source,
            "kind": self.kind,
            "pictures": len(self.pictures),
            "distinct": len(self.distinct),
            "mode": self.mode,
            "labels": self.labels,
            "unlabeled": sum(p.label is None for p in self.pictures),
            "attributes": self.attributes[0],
            "with_text": sum(p.text is not None for p in self.pictures),
            "sizes": self.count_by(lambda p: f"{p.width}×{p.height}"),
            "formats": self.count_by(lambda p: p.format),
            "stored": self.count_by(lambda p: f"{p.stored_mode}, {p.bits} bit"),
            "alpha": self.count_by(lambda p: p.alpha),
            "grayscale": sum(p.is_grayscale for p in self.pictures),
            "colors": self.colors,
            "colors_per_picture": self.count_by(_color_bucket),
            "animated": [p.name for p in self.pictures if p.is_animated],
            "pages": {p.name: p.pages for p in self.pictures if p.pages > 1},
            "profiles": self.count_by(lambda p: p.profile) if any(p.profile for p in self.pictures) else {},
            "hidden_colors": [p.name for p in self.pictures if p.hidden_color_pixels],
            "copies": {p.name: p.copy_of for p in self.pictures if p.copy_of is not None},
            "near_duplicates": [list(group) for group in self.near_duplicates],
            "mirror_share": None if self.mirror_share is None else round(self.mirror_share, 4),
            "flip_safe": self.is_flip_safe,
            "quarantined": [asdict(q) for q in self.quarantined],
            "notes": [*self.notes, *self.attributes[1]],
        }


def _color_bucket(picture: ScannedPicture) -> str:
    if picture.colors is None:
        return f"more than {MAX_COLORS}"
    return next(f"up to {n}" for n in COLOR_BUCKETS if picture.colors <= n)
