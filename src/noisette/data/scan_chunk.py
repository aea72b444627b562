"""What a scan finds out about a chunk of pictures, which one process does for many at a time.

Small pictures of one shape are stacked, so that NumPy works on all of them at once; the numbers are those of each
picture alone.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8, UInt32

from .color_mode import AlphaKind, convert_mode
from .decode import DecodedPicture, decode, from_array, pack_channels
from .entry import DEFAULT_LIMITS, BadPicture, Entry, Limits, Pixels
from .mask_values import MaskSurvey, read_mask
from .pictures import Mode
from .rejection import find_size_problem
from .scan_result import MAX_COLORS, QuarantinedPicture
from .scanned_pictures import UNKNOWN, Columns, PictureKind
from .thumbnails import make_thumbnails

STACK_PIXELS = 2**17  # of the pictures that are described at a time
SAMPLED_PIXELS = 2**18  # with more, colors are counted in a sample first
ARRAY_MODES = ("L", "LA", "RGB", "RGBA")  # by the number of channels

NOT_DESCRIBED: Any = None

Stack = UInt8[np.ndarray, "n h w c"]
ConvertedStack = UInt8[np.ndarray, "n h w channels"]


@dataclass
class ScannedChunk:
    """What was found out about some entries."""

    columns: Columns  # of the usable ones; `entry` counts from the first entry of the chunk, groups are 0
    kinds: tuple[PictureKind, ...]
    labels: tuple[str, ...]
    thumbnails: Float32[np.ndarray, "n 256"]
    colors: UInt32[np.ndarray, " k"] | None  # packed colors of all of them; None: more than MAX_COLORS
    quarantined: tuple[QuarantinedPicture, ...]


def scan_chunk(entries: Sequence[Entry], limits: Limits, survey: MaskSurvey) -> ScannedChunk:
    """Read, decode and describe pictures. What their masks hold is added to the survey."""
    scanner = _ChunkScanner(limits, survey)
    for number, entry in enumerate(entries):
        scanner.add(number, entry)
    return scanner.finish()


@dataclass
class _Waiting:
    """Pictures of one shape that are not described yet."""

    pixels: list[Pixels] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)


class _ChunkScanner:
    """Collects pictures by shape, and describes them when they are enough."""

    def __init__(self, limits: Limits, survey: MaskSurvey) -> None:
        self.limits, self.survey = limits, survey
        self.waiting: dict[tuple[int, ...], _Waiting] = {}
        self.numbers: list[int] = []  # of the usable pictures
        self.labels: list[str | None] = []
        self.hashes: list[bytes] = []
        self.stored: list[DecodedPicture | None] = []  # without pixels; None: an array
        self.masks: list[tuple[bytes, np.ndarray] | None] = []  # hash of the mask's file, and its values
        self.found: list[tuple[PictureKind, bytes, int, int, int, Float32[np.ndarray, "256"]]] = []
        self.colors: UInt32[np.ndarray, " k"] | None = np.zeros(0, np.uint32)
        self.quarantined: list[QuarantinedPicture] = []

    def add(self, number: int, entry: Entry) -> None:
        """Read and decode one picture."""
        sha256, stored = None, None
        try:
            data, sha256 = load_entry(entry)
            if isinstance(data, bytes):
                decoded = decode(data, self.limits)
                pixels, stored = decoded.pixels, replace(decoded, pixels=decoded.pixels[:0])
            else:
                pixels = data
                if problem := find_size_problem(pixels.shape[1], pixels.shape[0], self.limits):
                    raise BadPicture(problem)
        except BadPicture as error:
            self.quarantined.append(QuarantinedPicture(entry.name, str(error), sha256))
            return
        try:
            mask = self.read_mask(entry, pixels)
        except BadPicture as error:
            self.quarantined.append(QuarantinedPicture(entry.name, f"has a mask that {error}", sha256))
            return
        self.numbers.append(number)
        self.labels.append(entry.label)
        self.hashes.append(bytes.fromhex(sha256))
        self.stored.append(stored)
        self.masks.append(mask)
        self.found.append(NOT_DESCRIBED)
        group = self.waiting.setdefault(pixels.shape, _Waiting())
        group.pixels.append(pixels)
        group.rows.append(len(self.found) - 1)
        if len(group.rows) * pixels.shape[0] * pixels.shape[1] >= STACK_PIXELS:
            self.describe(self.waiting.pop(pixels.shape))

    def describe(self, group: _Waiting) -> None:
        """Describe pictures of one shape."""
        stack = np.stack(group.pixels) if len(group.pixels) > 1 else group.pixels[0][None]
        cleared, hidden = clear_hidden(stack)
        rgba = stack_mode(cleared, "RGBA")
        kinds = zip(_alpha_kinds(cleared), _are_grayscale(cleared).tolist(), strict=True)
        packed = np.ascontiguousarray(rgba).view(np.uint32).reshape(len(rgba), -1)
        flat = (packed == packed[:, :1]).all(1)
        counts = self.count_colors(packed)
        thumbnails = make_thumbnails(rgba)
        start = hashlib.sha256(repr(rgba.shape[1:]).encode())
        height, width, channels = stack.shape[1:]
        for i, (row, (alpha, gray)) in enumerate(zip(group.rows, kinds, strict=True)):
            digest = start.copy()
            digest.update(rgba[i].data)
            if (mask := self.masks[row]) is not None:
                digest.update(np.ascontiguousarray(mask[1]).data)
            stored = self.stored[row]
            if stored is None:
                kind = PictureKind(height, width, "array", ARRAY_MODES[channels - 1], 8, False, alpha, gray)
                cleared_count = int(hidden[i])
            else:
                kind = PictureKind(
                    height, width, stored.format, stored.stored_mode, stored.bits, stored.animated, alpha, gray,
                    stored.pages, stored.profile, stored.brightest, stored.profile_ignored,
                )  # fmt: skip
                cleared_count = stored.hidden_color_pixels
            only = int(packed[i, 0]) if flat[i] else UNKNOWN
            self.found[row] = (kind, digest.digest(), counts[i], cleared_count, only, thumbnails[i])

    def read_mask(self, entry: Entry, pixels: Pixels) -> tuple[bytes, np.ndarray] | None:
        """The hash of the file of an entry's mask and the mask's values, if it has one."""
        if entry.mask is None:
            return None
        data, sha256 = load_entry(entry.mask)
        mask = read_mask(data, self.limits)
        self.survey.add(entry.name, pixels.shape[:2], mask)
        return bytes.fromhex(sha256), mask.values

    def count_colors(self, packed: UInt32[np.ndarray, "n p"]) -> list[int]:
        """The number of distinct visible colors of each picture, UNKNOWN for more than MAX_COLORS; all are added to
        `colors`."""
        pixels = packed.shape[1]
        if pixels > SAMPLED_PIXELS and len(np.unique(packed[0, :: pixels // 2**16])) > MAX_COLORS:
            self.colors = None  # a picture of this size is alone
            return [UNKNOWN]
        ordered = np.sort(packed, axis=1)
        is_new = ordered != 0  # fully transparent pixels
        is_new[:, 1:] &= ordered[:, 1:] != ordered[:, :-1]
        counts = is_new.sum(1)
        if (counts > MAX_COLORS).any():
            self.colors = None
        part = 8  # pictures at a time, and twice as many the next time
        first = 0
        while self.colors is not None and first < len(ordered):
            union = np.union1d(self.colors, ordered[first : first + part][is_new[first : first + part]])
            self.colors = union if len(union) <= MAX_COLORS else None
            first, part = first + part, 2 * part
        return np.where(counts > MAX_COLORS, UNKNOWN, counts).tolist()

    def finish(self) -> ScannedChunk:
        """Describe the rest; all in the order of the entries."""
        for group in [*self.waiting.values()]:
            self.describe(group)
        numbers: dict[PictureKind, int] = {}
        kinds, contents, colors, hidden, only, thumbnails = zip(*self.found, strict=True) if self.found else ((),) * 6
        zeros = np.zeros(len(self.found), np.int32)
        labels = {
            label: i for i, label in enumerate(dict.fromkeys(label for label in self.labels if label is not None))
        }
        masks = [mask[0] for mask in self.masks if mask is not None]
        columns = Columns(
            np.array(self.numbers, np.int64),
            np.array([numbers.setdefault(kind, len(numbers)) for kind in kinds], np.int32),
            _hash_rows(self.hashes),
            _hash_rows(contents),
            np.array(colors, np.int32),
            np.array(hidden, np.int32),
            np.array(only, np.int64),
            np.array([UNKNOWN if label is None else labels[label] for label in self.labels], np.int32),
            zeros,
            np.full(len(zeros), UNKNOWN, np.int64),
            _hash_rows(masks) if masks else None,
        )
        stacked = np.stack(thumbnails) if thumbnails else np.zeros((0, 256), np.float32)
        quarantined = tuple(self.quarantined)
        return ScannedChunk(columns, tuple(numbers), tuple(labels), stacked, self.colors, quarantined)


def load_entry(entry: Entry) -> tuple[bytes | Pixels, str]:
    """The file or the pixels of an entry, and their SHA-256. Raises BadPicture if they cannot be read."""
    try:
        data = entry.read()
    except OSError as error:
        raise BadPicture(f"cannot be read: {(error.strerror or str(error)).lower()}") from error
    return data, hashlib.sha256(data if isinstance(data, bytes) else data.data).hexdigest()


def decode_entry(data: bytes | Pixels, limits: Limits = DEFAULT_LIMITS) -> DecodedPicture:
    """Decode a file, or wrap pixels. Raises BadPicture if they cannot be used."""
    return decode(data, limits) if isinstance(data, bytes) else from_array(data, limits)


# ── stacks of pictures of one shape ───────────────────────────────────────────────────────────────────────────────


def stack_mode(stack: Stack, mode: Mode) -> ConvertedStack:
    """`convert_mode` of each picture: it works pixel by pixel, so that a stack is one tall picture."""
    n, height, width, channels = stack.shape
    converted = convert_mode(stack.reshape(n * height, width, channels), mode)
    return converted.reshape(n, height, width, -1)


def clear_hidden(stack: Stack) -> tuple[Stack, np.ndarray]:
    """The pictures with color 0 where alpha is 0, and the number of pixels of each that had one."""
    n, height, width, channels = stack.shape
    if channels not in (2, 4):
        return stack, np.zeros(n, np.int64)
    values = pack_channels(stack.reshape(n * height, width, channels)).reshape(n, height, width)
    hidden = (stack[..., -1] == 0) & (values != 0)
    if not hidden.any():
        return stack, np.zeros(n, np.int64)
    cleared = np.where(hidden, values.dtype.type(0), values).view(np.uint8).reshape(stack.shape)
    return cleared, hidden.sum((1, 2))


def _alpha_kinds(stack: Stack) -> list[AlphaKind]:
    """`alpha_kind` of each picture."""
    n, channels = len(stack), stack.shape[3]
    if channels not in (2, 4):
        return ["none"] * n
    alpha = stack[..., -1].reshape(n, -1)
    opaque, soft = np.all(alpha == 255, axis=1), np.any((alpha > 0) & (alpha < 255), axis=1)
    return ["none" if o else "soft" if s else "binary" for o, s in zip(opaque.tolist(), soft.tolist(), strict=True)]


def _are_grayscale(stack: Stack) -> np.ndarray:
    """`is_grayscale` of each picture."""
    if stack.shape[3] <= 2:
        return np.ones(len(stack), bool)
    same = (stack[..., 0] == stack[..., 1]) & (stack[..., 1] == stack[..., 2])
    return np.asarray(same.reshape(len(stack), -1).all(1))


def _hash_rows(hashes: Sequence[bytes]) -> UInt8[np.ndarray, "n 32"]:
    return np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, 32)
