"""Sources that are .npz files: several arrays in a zip, of which only those of pictures and labels are unpacked.

The names are those of NumPy's users, of Keras (x_train, y_train, x_test, y_test) and of MedMNIST (train_images,
train_labels, val_images, …), whose splits are read as one set.
"""

import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.lib import format as npy

from ..errors import InputError
from .arrays import build_array_source, load_error_message, parse_labels, to_nhwc
from .entry import DEFAULT_LIMITS, Limits, Source

IMAGE_KEYS = ("images", "pixels", "sprites", "x", "data", "arr_0")
LABEL_KEYS = ("labels", "label", "targets", "y", "arr_1")
SPLITS = ("train", "val", "valid", "validation", "test")
MAX_ARRAY_BYTES = 2**32  # maximum size of one unpacked array, in bytes
MAX_COMPRESSION_RATIO = 100  # an array above SMALL_ARRAY_BYTES with a higher ratio is refused as a zip bomb
SMALL_ARRAY_BYTES = 2**26
SUFFIX = ".npy"
MAX_HEADER_BYTES = 2**16  # of an array; NumPy reads it whole before it looks at it


@dataclass(frozen=True)
class ArrayHeader:
    """An array in an .npz that is not unpacked."""

    member: zipfile.ZipInfo
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]


def from_npz(location: str, limits: Limits = DEFAULT_LIMITS) -> Source:
    """Open an .npz file: the pictures under a name of IMAGE_KEYS, optional labels under a name of LABEL_KEYS.

    Each name may have a split before or after it, as in train_images and x_train; the splits are then one set. Without
    such a name, the only uint8 array of 3 or 4 dimensions is taken for the pictures. Types, shapes and errors are those
    of `from_npy`.
    """
    with _open(location) as archive:
        headers = dict(_read_headers(archive, location))
        pairs, notes = _find_pairs(headers, location)
        for key in (key for pair in pairs for key in pair if key is not None):
            _check_size(headers[key], key, location)
        images, labels = [], []
        for image_key, label_key in pairs:
            where = f"{image_key} in {location}"
            header = headers[image_key]
            to_nhwc(np.broadcast_to(np.zeros((), header.dtype), header.shape), where, limits)  # before it is unpacked
            images.append(to_nhwc(_read_array(archive, header), where, limits))
            if label_key is not None:
                labels.append(_read_array(archive, headers[label_key]))
    if len({array.shape[3] for array in images}) > 1 or sum(map(len, images)) > limits.max_entries:
        raise InputError(f"the splits in {location} have different channels, or too many pictures: save one array")
    where = f"{pairs[0][1]} in {location}"
    try:
        joined = np.concatenate(labels) if labels else None
    except ValueError as error:
        raise InputError(f"the labels in {location} have different shapes: save one array of labels") from error
    parsed = None if joined is None else parse_labels(joined, sum(map(len, images)), where)
    return build_array_source(location, images, parsed, notes)


@contextmanager
def _open(location: str) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(location) as archive:
            yield archive
    except InputError:
        raise
    except Exception as error:  # zipfile, zlib and numpy each raise their own types
        raise InputError(load_error_message(location, error)) from error


def _read_headers(archive: zipfile.ZipFile, location: str) -> Iterator[tuple[str, ArrayHeader]]:
    """The name, shape and type of each array."""
    for member in archive.infolist():
        if not member.filename.endswith(SUFFIX):
            continue
        with archive.open(member) as file:
            start = file.read(12)  # the mark, the version, and the length of the header in 2 or 4 bytes
            length = int.from_bytes(start[8:10] if start[6:7] == b"\1" else start[8:12], "little")
            if length > MAX_HEADER_BYTES:
                raise InputError(f"{member.filename} in {location} has a damaged header: save the arrays again")
            file.seek(0)
            version = npy.read_magic(file)
            read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, _, dtype = read(file)
        yield member.filename.removesuffix(SUFFIX), ArrayHeader(member, shape, dtype)


def _find_pairs(headers: Mapping[str, ArrayHeader], location: str) -> tuple[list[tuple[str, str | None]], list[str]]:
    """The names of arrays of pictures, each with that of its labels; a note if they are splits of one set."""
    keys = {_parse_key(key): key for key in headers}
    base = next((k for k in IMAGE_KEYS if any(k == b for b, _ in keys)), None)
    if base is None:
        candidates = [k for k, h in headers.items() if len(h.shape) in (3, 4) and h.dtype == np.uint8]
        if len(candidates) != 1:
            raise InputError(f"{location} holds {', '.join(headers) or 'nothing'}: name the array of pictures images")
        return [(candidates[0], next((keys[k, ""] for k in LABEL_KEYS if (k, "") in keys), None))], []
    splits = [split for split in ("", *SPLITS) if (base, split) in keys]
    if splits[0] == "":
        splits = [""]
    pairs = [(keys[base, s], next((keys[k, s] for k in LABEL_KEYS if (k, s) in keys), None)) for s in splits]
    if any(label is None for _, label in pairs):
        pairs = [(image, None) for image, _ in pairs]
    if len(pairs) == 1:
        return pairs, []
    described = ", ".join(f"{image} ({headers[image].shape[0] if headers[image].shape else 0})" for image, _ in pairs)
    return pairs, [f"the arrays {described} are splits of one set; training makes its own split"]


def _parse_key(key: str) -> tuple[str, str]:
    """An array's name without its split, and the split: ("images", "train") for train_images."""
    name = key.lower()
    for split in SPLITS:
        if name.startswith(f"{split}_"):
            return name.removeprefix(f"{split}_"), split
        if name.endswith(f"_{split}"):
            return name.removesuffix(f"_{split}"), split
    return name, ""


def _check_size(header: ArrayHeader, key: str, location: str) -> None:
    """Raise InputError for an array that would take too much memory, before it is unpacked."""
    size = max(header.member.file_size, header.dtype.itemsize * int(np.prod(header.shape, dtype=object)))
    if size > MAX_ARRAY_BYTES:
        raise InputError(f"{key} in {location} is larger than {MAX_ARRAY_BYTES / 2**30:.0f} GiB: save it as .npy")
    if size > max(SMALL_ARRAY_BYTES, MAX_COMPRESSION_RATIO * header.member.compress_size):
        raise InputError(
            f"{key} in {location} unpacks to more than {MAX_COMPRESSION_RATIO} times its size, which real pictures "
            "do not: save it as .npy"
        )


def _read_array(archive: zipfile.ZipFile, header: ArrayHeader) -> np.ndarray:
    with archive.open(header.member) as file:
        return np.asarray(npy.read_array(file, allow_pickle=False))
