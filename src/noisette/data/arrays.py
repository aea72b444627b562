"""Sources that are .npy arrays of uint8 pictures, with optional labels. Pickled arrays are refused."""

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import accumulate
from pathlib import Path
from typing import overload

import numpy as np

from ..errors import InputError
from .entry import DEFAULT_LIMITS, AttributeValue, Entry, Limits, Source
from .mapped import release

PICKLED = "holds pickled Python objects, which are never loaded: save an array of dtype uint8"
NO_ATTRIBUTES: Mapping[str, AttributeValue] = {}
LabelsAndAttributes = tuple[list[str | None], list[dict[str, AttributeValue]]]  # per picture: label, attributes


def from_npy(location: str, labels: str | None, limits: Limits = DEFAULT_LIMITS) -> Source:
    """Open an .npy array of pictures, uint8, (N, H, W), (N, H, W, C) or (N, C, H, W) with C from 1 to 4.

    `labels` is the path of a second .npy. If it is None, an .npy in the same folder is used whose name contains
    "label" and that has N rows. Raises InputError if an array has another type or shape.
    """
    path = Path(location)
    notes: list[str] = []
    images = to_nhwc(_load_array(path), location, limits)
    label_path = Path(labels) if labels else _find_label_file(path, len(images), notes)
    if label_path is None:
        return build_array_source(location, [images], None, notes)
    notes.append(f"labels: {label_path.name}")
    parsed = parse_labels(_load_array(label_path), len(images), str(label_path))
    return build_array_source(location, [images], parsed, notes)


def build_array_source(
    location: str, images: Sequence[np.ndarray], labels: LabelsAndAttributes | None, notes: Sequence[str]
) -> Source:
    """A source of the pictures of one array (n, h, w, c) or of several, in order."""
    names, attributes = (None, None) if labels is None else labels
    arrays = tuple(np.asarray(array) for array in images)  # a plain array has faster rows than one mapped into memory
    return Source(location, "array", ArrayEntries(arrays, names, attributes), tuple(notes))


@dataclass(frozen=True, eq=False)
class ArrayEntries(Sequence[Entry]):
    """The pictures of arrays, in order. Their names are their numbers."""

    arrays: tuple[np.ndarray, ...] = field(repr=False)  # (n, h, w, c)
    labels: Sequence[str | None] | None = field(default=None, repr=False)
    attributes: Sequence[Mapping[str, AttributeValue]] | None = field(default=None, repr=False)
    texts: Sequence[str | None] | None = field(default=None, repr=False)

    @cached_property
    def ends(self) -> list[int]:
        """The number of the picture after the last one of each array."""
        return list(accumulate(map(len, self.arrays)))

    def __len__(self) -> int:
        return self.ends[-1]

    @overload
    def __getitem__(self, index: int) -> Entry: ...
    @overload
    def __getitem__(self, index: slice) -> list[Entry]: ...
    def __getitem__(self, index: int | slice) -> Entry | list[Entry]:
        numbers = range(len(self))[index]
        if isinstance(numbers, int):
            return self.make_entry(numbers)
        for array in self.arrays:
            release(array)  # so that of all slices only one is in memory
        return list(map(self.make_entry, numbers))

    def make_entry(self, number: int) -> Entry:
        """The entry of a picture."""
        place = bisect_right(self.ends, number)
        array = self.arrays[place]
        return Entry(
            f"{number:0{len(str(len(self) - 1))}d}",
            partial(_copy_image, array, number - (self.ends[place] - len(array))),
            None if self.labels is None else self.labels[number],
            NO_ATTRIBUTES if self.attributes is None else self.attributes[number],
            None if self.texts is None else self.texts[number],
        )


def _copy_image(images: np.ndarray, i: int) -> np.ndarray:
    return np.array(images[i], order="C")


def _load_array(path: Path) -> np.ndarray:
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is not a file: give an .npy array")
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # zipfile, ast and numpy each raise their own types
        raise InputError(load_error_message(str(path), error)) from error
    if not isinstance(array, np.ndarray):
        raise InputError(f"{path} is an .npz file: rename it to end in .npz")
    return array


def load_error_message(location: str, error: Exception) -> str:
    """What to tell the user about an array that cannot be loaded."""
    if "pickle" in str(error).lower() or "Python objects" in str(error):
        return f"{location} {PICKLED}"
    if isinstance(error, FileNotFoundError):
        return f"{location} does not exist: give the path of an array"
    return f"{location} cannot be read as an array: it is truncated, damaged or not an array file"


def to_nhwc(array: np.ndarray, where: str, limits: Limits) -> np.ndarray:
    """The array as (N, H, W, C). Raises InputError for another type, shape, or number of pictures."""
    shape = "×".join(map(str, array.shape)) or "()"
    if array.dtype.hasobject:
        raise InputError(f"{where} {PICKLED}")
    if array.dtype != np.uint8:
        raise InputError(f"{where} holds {array.dtype}: save pixel values as uint8, 0 to 255")
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4:
        raise InputError(f"{where} has shape {shape}: pictures must be N×H×W or N×H×W×C, C from 1 to 4")
    if array.shape[3] not in (1, 2, 3, 4) and array.shape[1] in (1, 2, 3, 4):
        array = array.transpose(0, 2, 3, 1)
    if array.shape[3] not in (1, 2, 3, 4) and min(array.shape[1:]) > 4:
        raise InputError(f"{where} has shape {shape}, which are volumes: save their slices as N×H×W")
    if array.shape[3] not in (1, 2, 3, 4) or 0 in array.shape:
        raise InputError(f"{where} has shape {shape}: pictures must be N×H×W or N×H×W×C, no size 0, C from 1 to 4")
    if len(array) > limits.max_entries:
        raise InputError(f"{where} holds {len(array):,} pictures: the maximum is {limits.max_entries:,}")
    return array


def parse_labels(labels: np.ndarray, n: int, where: str) -> LabelsAndAttributes:
    """Labels and attributes of n pictures.

    Integers (negative: no label), strings and one-hot rows are labels. Other rows of numbers are attributes.
    """
    if labels.dtype.kind not in "biufU" or labels.ndim not in (1, 2):
        shape = "×".join(map(str, labels.shape))
        raise InputError(f"{where} is {labels.dtype}, {shape}: labels must be {n} whole numbers or words, or {n} rows")
    if len(labels) != n:
        raise InputError(f"{where} has {len(labels)} rows for {n} pictures: give one row per picture")
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    no_attributes: list[dict[str, AttributeValue]] = [{}] * n
    if labels.dtype.kind == "U" and labels.ndim == 1:
        return [str(word) or None for word in labels], no_attributes
    if labels.dtype.kind == "U":
        raise InputError(f"{where} has {labels.shape[1]} words per row: a label is one word")
    values = np.asarray(labels, np.float64)
    if values.ndim == 2 and ((values == 0) | (values == 1)).all() and (values.sum(1) == 1).all():
        values = values.argmax(1).astype(np.float64)
    if values.ndim == 1 and np.isfinite(values).all() and (values == np.rint(values)).all():
        return [str(int(v)) if v >= 0 else None for v in values], no_attributes
    columns = values[:, None] if values.ndim == 1 else values
    names = [f"attribute {k}" for k in range(columns.shape[1])]
    rows: list[dict[str, AttributeValue]] = [
        {k: float(v) for k, v in zip(names, row, strict=True) if np.isfinite(v)} for row in columns
    ]
    return [None] * n, rows


def _find_label_file(path: Path, n: int, notes: list[str]) -> Path | None:
    """The .npy in the same folder with "label" in its name and n rows; of several, the one with the nearest name."""
    parts = _name_parts(path)
    candidates = []
    for other in sorted(path.parent.glob("*.npy")):
        if other == path or "label" not in other.name.lower() or "label" in path.name.lower():
            continue
        try:
            if not other.is_file():  # a pipe, which would be waited for
                continue
            rows = np.load(other, mmap_mode="r", allow_pickle=False).shape[:1]
        except Exception:  # an unreadable file is not an error: it may have nothing to do with this source
            continue
        if rows == (n,):
            candidates.append((len(parts & _name_parts(other)), other))
    best = [other for shared, other in candidates if shared == max(s for s, _ in candidates)]
    if len(best) > 1:
        notes.append(f"several files could be the labels, so none is used: {', '.join(o.name for o in best)}")
    return best[0] if len(best) == 1 else None


def _name_parts(path: Path) -> set[str]:
    """The words of a file's name in lower case, singular, without "label"."""
    return {w.rstrip("s") for w in re.split(r"[^a-z0-9]+", path.stem.lower())} - {"label", ""}
