"""The usable pictures of a source as columns: about 100 bytes a picture, however many there are."""

import operator
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, overload

import numpy as np
from jaxtyping import Int32, Int64, UInt8

from .color_mode import AlphaKind
from .entry import AttributeValue, Entry

UNKNOWN = -1  # in a column of numbers: None


@dataclass(frozen=True)
class PictureKind:
    """What many pictures of a source have in common."""

    height: int
    width: int
    format: str  # "PNG", …, or "array"
    stored_mode: str  # Pillow's name of the stored pixel type: "P", "RGBA", "I;16", …
    bits: int  # bits per stored sample
    is_animated: bool
    alpha: AlphaKind
    is_grayscale: bool
    pages: int = 1  # of a TIFF; only the first is used
    profile: str | None = None  # name of the color profile that it was converted from
    brightest: int | None = None  # highest stored sample of a gray picture with more than 8 bits
    profile_ignored: bool = False  # it has a color profile that cannot be used


@dataclass(frozen=True)
class ScannedPicture(PictureKind):
    """One usable picture of a source."""

    name: str = ""
    sha256: str = ""  # of the file, or of the pixels if there is no file
    content_hash: str = ""  # of size, visible pixels and mask, independent of the file format
    colors: int | None = None  # number of distinct visible colors; None: more than MAX_COLORS
    hidden_color_pixels: int = 0  # pixels with a color although their alpha is 0
    only_color: int | None = None  # the packed RGBA of a picture of one color; 0: fully transparent
    label: str | None = None
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    text: str | None = None
    group: int = 0  # number of its group of near duplicates
    mask: str | None = None  # the name of its mask file
    mask_sha256: str | None = None
    copy_of: str | None = None  # an earlier picture with the same pixels, mask, label, attributes and text
    credits: Mapping[str, str] = field(default_factory=dict)  # license, author, source


@dataclass(frozen=True, eq=False)
class Columns:
    """What is known of each of n pictures. Numbers may be UNKNOWN."""

    entry: Int64[np.ndarray, "n"]  # its number in the source
    kind: Int32[np.ndarray, "n"]  # its number in a list of kinds
    sha256: UInt8[np.ndarray, "n 32"]
    content: UInt8[np.ndarray, "n 32"]
    colors: Int32[np.ndarray, "n"]
    hidden: Int32[np.ndarray, "n"]
    only_color: Int64[np.ndarray, "n"]
    label: Int32[np.ndarray, "n"]  # its number in a list of labels
    group: Int32[np.ndarray, "n"]
    copy_of: Int64[np.ndarray, "n"]  # the number of an entry
    mask_sha256: UInt8[np.ndarray, "n 32"] | None = None

    def take(self, rows: np.ndarray) -> "Columns":
        """The columns of these pictures."""
        chosen: dict[str, Any] = {k: None if column is None else column[rows] for k, column in vars(self).items()}
        return Columns(**chosen)

    @classmethod
    def concatenate(cls, parts: "Sequence[Columns]") -> "Columns":
        """The columns of all parts, one after the other. The parts are emptied, a column at a time."""
        whole: dict[str, Any] = {}
        for name in [*vars(parts[0])]:
            columns = [vars(part).pop(name) for part in parts]
            whole[name] = None if columns[0] is None else np.concatenate(columns)
        return cls(**whole)


@dataclass(frozen=True, eq=False)
class ScannedPictures(Sequence[ScannedPicture]):
    """A sequence that makes each ScannedPicture when it is asked for."""

    entries: Sequence[Entry] = field(repr=False)  # of the source
    kinds: tuple[PictureKind, ...]
    labels: tuple[str, ...]
    columns: Columns = field(repr=False)

    def __len__(self) -> int:
        return len(self.columns.kind)

    @overload
    def __getitem__(self, index: int) -> ScannedPicture: ...
    @overload
    def __getitem__(self, index: slice) -> "ScannedPictures": ...
    def __getitem__(self, index: int | slice) -> "ScannedPicture | ScannedPictures":
        if isinstance(index, slice):
            return self.take(np.arange(len(self))[index])
        row = range(len(self))[operator.index(index)]
        c = self.columns
        entry = self.entries[int(c.entry[row])]
        original, colors, only = int(c.copy_of[row]), int(c.colors[row]), int(c.only_color[row])
        return ScannedPicture(
            **vars(self.kinds[c.kind[row]]),
            name=entry.name,
            sha256=c.sha256[row].tobytes().hex(),
            content_hash=c.content[row].tobytes().hex(),
            colors=None if colors == UNKNOWN else colors,
            hidden_color_pixels=int(c.hidden[row]),
            only_color=None if only == UNKNOWN else only,
            label=None if c.label[row] == UNKNOWN else self.labels[c.label[row]],
            attributes=entry.attributes,
            text=entry.text,
            group=int(c.group[row]),
            mask=None if entry.mask is None else entry.mask.name,
            mask_sha256=None if c.mask_sha256 is None else c.mask_sha256[row].tobytes().hex(),
            copy_of=None if original == UNKNOWN else self.entries[original].name,
            credits=entry.credits,
        )

    def __iter__(self) -> Iterator[ScannedPicture]:
        return map(self.__getitem__, range(len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(map(operator.eq, self, other))

    __hash__ = None  # type: ignore[assignment]

    def take(self, rows: np.ndarray) -> "ScannedPictures":
        """The pictures of these rows, numbers or a mask."""
        return replace(self, columns=self.columns.take(rows))

    def with_columns(self, **columns: np.ndarray) -> "ScannedPictures":
        """The same pictures with other columns."""
        return replace(self, columns=replace(self.columns, **columns))

    @cached_property
    def found_kinds(self) -> list[tuple[PictureKind, int, int]]:
        """The kinds in the order in which they occur; each with its number of pictures and its first row."""
        numbers, first, counts = np.unique(self.columns.kind, return_index=True, return_counts=True)
        order = np.argsort(first)
        return [(self.kinds[numbers[i]], int(counts[i]), int(first[i])) for i in order]

    def count_by(self, key: Callable[[PictureKind], Hashable]) -> dict[Hashable, int]:
        """The number of pictures for each value of a key, in the order in which the values occur."""
        counts: dict[Hashable, int] = {}
        for kind, count, _ in self.found_kinds:
            counts[key(kind)] = counts.get(key(kind), 0) + count
        return counts

    def where(self, condition: Callable[[PictureKind], object]) -> "ScannedPictures":
        """The pictures of kinds for which a condition holds."""
        wanted = np.array([bool(condition(kind)) for kind in self.kinds])
        return self.take(wanted[self.columns.kind])

    @property
    def names(self) -> Iterator[str]:
        """The names of the pictures."""
        return (self.entries[number].name for number in self.columns.entry.tolist())

    @property
    def own_entries(self) -> Iterator[Entry]:
        """The entries of the pictures."""
        return (self.entries[number] for number in self.columns.entry.tolist())

    @property
    def label_names(self) -> list[str | None]:
        """The label of each picture."""
        names = [*self.labels, None]  # UNKNOWN is the last
        return [names[number] for number in self.columns.label.tolist()]

    @property
    def content_hashes(self) -> list[str]:
        """The content hash of each picture."""
        return hex_rows(self.columns.content)

    @cached_property
    def is_original(self) -> np.ndarray:
        """Whether each picture is no exact copy of an earlier one."""
        return np.asarray(self.columns.copy_of == UNKNOWN)


def hex_rows(hashes: UInt8[np.ndarray, "n 32"]) -> list[str]:
    """Each row as 64 hexadecimal digits."""
    text = hashes.tobytes().hex()
    return [text[start : start + 64] for start in range(0, len(text), 64)]


def as_text(hashes: UInt8[np.ndarray, "n 32"]) -> np.ndarray:
    """The rows as byte strings of NumPy, which can be sorted and compared; equal rows, and no others, are equal."""
    return np.ascontiguousarray(hashes).view("S32")[:, 0]
