"""Arrays of pictures: .npy and .npz files, with labels beside or inside them. Nothing that needs pickle is loaded."""

import re
import zipfile
from functools import partial
from pathlib import Path

import numpy as np

from ..errors import InputError
from .entry import LIMITS, Entry, Limits, Source, Value

IMAGES = ("images", "pixels", "sprites", "x", "data", "arr_0")
LABELS = ("labels", "label", "targets", "y", "arr_1")
UNPACKED = 2**32  # bytes that an array in an .npz may have
Labelled = tuple[list[str | None], list[dict[str, Value]]]  # of each picture: its label, its attributes


def from_npy(given: str, labels: str | None, limits: Limits = LIMITS) -> Source:
    """An array of pictures; `labels` is another .npy, or is looked for beside the first by its name."""
    path = Path(given)
    notes: list[str] = []
    images = _pictures(_load(path), given, limits)
    beside = Path(labels) if labels else _labels_beside(path, len(images), notes)
    if beside is None:
        return _source(given, images, None, given, notes)
    notes.append(f"labels: {beside.name}")
    return _source(given, images, _load(beside), str(beside), notes)


def from_npz(given: str, limits: Limits = LIMITS) -> Source:
    """Arrays in one file: pictures, and labels under a name that says so."""
    try:
        with zipfile.ZipFile(given) as archive:
            sizes = [m.file_size for m in archive.infolist()]
        if max(sizes, default=0) > UNPACKED:
            raise InputError(f"an array in {given} is larger than {UNPACKED / 2**30:.0f} GiB: save it as .npy")
        with np.load(given, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
    except InputError:
        raise
    except Exception as error:  # zipfile, zlib and numpy each have their own
        raise InputError(_unread(given, error)) from error
    lower = {key.lower(): key for key in arrays}
    key = next((lower[k] for k in IMAGES if k in lower), None)
    if key is None:
        shaped = [k for k, a in arrays.items() if a.ndim in (3, 4) and a.dtype == np.uint8]
        if len(shaped) != 1:
            raise InputError(f"{given} holds {', '.join(arrays) or 'nothing'}: name the array of pictures images")
        key = shaped[0]
    images = _pictures(arrays[key], f"{key} in {given}", limits)
    found = next((lower[k] for k in LABELS if k in lower and lower[k] != key), None)
    return _source(given, images, None if found is None else arrays[found], f"{found} in {given}", [])


def _source(given: str, images: np.ndarray, labels: np.ndarray | None, where: str, notes: list[str]) -> Source:
    n = len(images)
    words, attributes = ([None] * n, [{}] * n) if labels is None else _meaning(labels, n, where)
    digits = len(str(n - 1))
    entries = tuple(Entry(f"{i:0{digits}d}", partial(_copy, images, i), words[i], attributes[i]) for i in range(n))
    return Source(given, "array", entries, tuple(notes))


def _copy(images: np.ndarray, i: int) -> np.ndarray:
    return np.array(images[i], order="C")


def _load(path: Path) -> np.ndarray:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # zipfile, ast and numpy each have their own
        raise InputError(_unread(str(path), error)) from error
    if not isinstance(array, np.ndarray):
        raise InputError(f"{path} is an .npz by another name: call it so")
    return array


def _unread(given: str, error: Exception) -> str:
    if "pickle" in str(error).lower() or "Python objects" in str(error):
        return f"{given} holds Python objects, which are never loaded: save plain numbers, dtype uint8"
    if isinstance(error, FileNotFoundError):
        return f"{given} is not there: give the path of an array"
    return f"{given} cannot be read as an array: it is cut short, damaged, or something else"


def _pictures(array: np.ndarray, where: str, limits: Limits) -> np.ndarray:
    """As (N, H, W, C)."""
    shape = "×".join(map(str, array.shape)) or "a single number"
    if array.dtype != np.uint8:
        raise InputError(f"{where} holds {array.dtype}: save pixel values as uint8, 0 to 255")
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4:
        raise InputError(f"{where} is {shape}: pictures are N×H×W or N×H×W×C, C from 1 to 4")
    if array.shape[3] not in (1, 2, 3, 4) and array.shape[1] in (1, 2, 3, 4):
        array = array.transpose(0, 2, 3, 1)
    if array.shape[3] not in (1, 2, 3, 4) or 0 in array.shape:
        raise InputError(f"{where} is {shape}: pictures are N×H×W or N×H×W×C, none of them 0, C from 1 to 4")
    if len(array) > limits.entries:
        raise InputError(f"{where} holds {len(array):,} pictures: {limits.entries:,} at most")
    return array


def _meaning(labels: np.ndarray, n: int, where: str) -> Labelled:
    """One-hot rows and whole numbers are labels, and so are words; other rows of numbers are attributes."""
    if labels.dtype.kind not in "biufU" or labels.ndim not in (1, 2):
        shape = "×".join(map(str, labels.shape))
        raise InputError(f"{where} is {labels.dtype}, {shape}: labels are {n} whole numbers or words, or {n} rows")
    if len(labels) != n:
        raise InputError(f"{where} has {len(labels)} rows for {n} pictures: give one a picture")
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    nothing: list[dict[str, Value]] = [{}] * n
    if labels.dtype.kind == "U" and labels.ndim == 1:
        return [str(word) or None for word in labels], nothing
    if labels.dtype.kind == "U":
        raise InputError(f"{where} has {labels.shape[1]} words a row: a label is one word")
    values = np.asarray(labels, np.float64)
    if values.ndim == 2 and ((values == 0) | (values == 1)).all() and (values.sum(1) == 1).all():
        values = values.argmax(1).astype(np.float64)
    if values.ndim == 1 and np.isfinite(values).all() and (values == np.rint(values)).all():
        return [str(int(v)) if v >= 0 else None for v in values], nothing
    columns = values[:, None] if values.ndim == 1 else values
    names = [f"attribute {k}" for k in range(columns.shape[1])]
    rows: list[dict[str, Value]] = [
        {k: float(v) for k, v in zip(names, row, strict=True) if np.isfinite(v)} for row in columns
    ]
    return [None] * n, rows


def _labels_beside(path: Path, n: int, notes: list[str]) -> Path | None:
    """The array beside it that is called labels, has as many rows, and shares most of its name."""
    own = _words(path)
    found = []
    for other in sorted(path.parent.glob("*.npy")):
        if other == path or "label" not in other.name.lower() or "label" in path.name.lower():
            continue
        try:
            rows = np.load(other, mmap_mode="r", allow_pickle=False).shape[:1]
        except Exception:  # not for us to judge: it may belong to something else
            continue
        if rows == (n,):
            found.append((len(own & _words(other)), other))
    best = [other for shared, other in found if shared == max(s for s, _ in found)]
    if len(best) > 1:
        notes.append(f"several files may hold the labels, so none is used: {', '.join(o.name for o in best)}")
    return best[0] if len(best) == 1 else None


def _words(path: Path) -> set[str]:
    """The parts of a file's name, without the endings of plurals."""
    return {w.rstrip("s") for w in re.split(r"[^a-z0-9]+", path.stem.lower())} - {"label", ""}
