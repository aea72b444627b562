"""Scanning a source before training: read every picture, quarantine unusable ones, find copies and near duplicates."""

import hashlib
from collections.abc import Callable, Hashable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import InputError
from .color_mode import alpha_kind, convert_mode, is_grayscale
from .decode import DecodedPicture, decode, from_array, pack_channels
from .entry import DEFAULT_LIMITS, BadPicture, Entry, Limits, Pixels, Source
from .levels import scale_source
from .mask_values import MaskSurvey, MaskValue, read_mask
from .near_duplicates import NEAR_DUPLICATE_RATIO, find_near_duplicates, make_thumbnail, measure_mirror_share
from .scan_notes import describe_pictures
from .scan_result import MAX_COLORS, QuarantinedPicture, ScannedPicture, ScanResult
from .source import open_source
from .sprite_sheet import Cells, CellSize

MAX_COMPARED = 100_000  # with more distinct pictures, near duplicates are not searched
NO_THUMBNAIL = np.zeros(0)

ProgressCallback = Callable[[int, int], object]  # called with (pictures done, pictures in all)


def scan(
    source: str | Path | Source,
    *,
    labels: str | None = None,
    cell: CellSize | Cells | None = None,
    follow_links: bool = False,
    near_duplicates: float | None = None,
    percentiles: tuple[float, float] | None = None,
    progress: ProgressCallback = lambda done, total: None,
    limits: Limits = DEFAULT_LIMITS,
) -> ScanResult:
    """Read every picture of a source; labels, cell and follow_links as in `open_source`.

    near_duplicates: pictures are near duplicates if the RMS difference of their thumbnails is below this fraction of
    either's standard deviation, 0 (only exact copies) to 1; default: 0.15, or less if most pictures of the set would
    form one group.
    percentiles: of gray pictures of 9 to 16 bits or of floating-point numbers, which of their samples become black and
    white, 0 to 100; see `data.levels`. Default: 0 and the highest number of as many bits; floating-point numbers are
    then not read.
    Pictures that cannot be used are quarantined. Raises InputError if none can be used.
    """
    if not isinstance(source, Source):
        source = open_source(source, labels=labels, cell=cell, follow_links=follow_links, limits=limits)
    if percentiles is not None:
        source, _ = scale_source(source, percentiles, limits)
    return scan_source(source, progress, limits, near_duplicates)


def scan_source(
    source: Source,
    progress: ProgressCallback = lambda done, total: None,
    limits: Limits = DEFAULT_LIMITS,
    near_duplicates: float | None = None,
    mask_value: MaskValue | None = None,
) -> ScanResult:
    """`scan` for an open source. mask_value: the value of masks that is inside; see `mask_values`."""
    scanner = _Scanner(limits, MaskSurvey(mask_value))
    usable: list[ScannedPicture] = []
    quarantined: list[QuarantinedPicture] = []
    for done, entry in enumerate(source.entries):
        progress(done, len(source.entries))
        result = scanner.scan_entry(entry)
        if isinstance(result, ScannedPicture):
            usable.append(result)
        else:
            quarantined.append(result)
    progress(len(source.entries), len(source.entries))
    if not usable:
        first = quarantined[0]
        raise InputError(
            f"none of the {len(quarantined)} pictures in {source.location} can be used: "
            f"{first.name} {first.reason}{' (and others)' if len(quarantined) > 1 else ''}"
        )
    mask_reading = scanner.mask_survey.read(source.location)
    groups, mirror_share, notes = _compare(scanner.thumbnails, near_duplicates)
    pictures = _mark_copies(replace(p, group=groups[p.content_hash]) for p in usable)
    pictures, label_notes = _drop_single_label(pictures)
    notes = (*source.notes, *describe_pictures(pictures), *notes, *label_notes)
    if conflicts := _find_label_conflicts(pictures):
        more = ", …" if len(conflicts) > 1 else ""
        notes += (f"the same picture under several labels: {len(conflicts)} ({conflicts[0]}{more})",)
    colors = None if scanner.all_colors is None else len(scanner.all_colors)
    return ScanResult(
        source.location, source.kind, pictures, tuple(quarantined), notes, colors, mirror_share, mask_reading
    )


def _compare(
    thumbnails: dict[str, np.ndarray], near_duplicates: float | None
) -> tuple[dict[str, int], float | None, tuple[str, ...]]:
    """The group of near duplicates of each content hash, the mirror share, and notes on how they were found.

    With more than MAX_COMPARED pictures each is its own group, and the mirror share is that of the first ones.
    """
    array = np.stack(list(thumbnails.values())[:MAX_COMPARED])
    notes: tuple[str, ...] = ()
    if len(thumbnails) > MAX_COMPARED:
        groups = np.arange(len(thumbnails))
        notes = (f"more than {MAX_COMPARED:,} pictures: near duplicates are not searched, only exact copies",)
    else:
        groups, ratio = find_near_duplicates(array, near_duplicates)
        if near_duplicates is None and ratio < NEAR_DUPLICATE_RATIO:
            notes = (
                f"near duplicates link most pictures to each other, so only those within {ratio:.2g} of their contrast "
                f"(not {NEAR_DUPLICATE_RATIO:g}) are kept together; --near-duplicates sets this",
            )
    share = measure_mirror_share(array, groups[:MAX_COMPARED])
    return dict(zip(thumbnails, groups.tolist(), strict=True)), share, notes


class _Scanner:
    """Scans entries one by one. Thumbnails and color counts are computed once for pictures with equal content."""

    def __init__(self, limits: Limits, mask_survey: MaskSurvey) -> None:
        self.limits = limits
        self.mask_survey = mask_survey
        self.thumbnails: dict[str, np.ndarray] = {}  # by content hash
        self.color_counts: dict[str, int | None] = {}  # by content hash
        self.all_colors: np.ndarray | None = np.zeros(
            0, np.uint32
        )  # packed colors of all pictures; None: more than MAX_COLORS

    def scan_entry(self, entry: Entry) -> ScannedPicture | QuarantinedPicture:
        """Read, decode and describe one picture."""
        sha256 = None
        try:
            data, sha256 = load_entry(entry)
            decoded = decode_entry(data, self.limits)
        except BadPicture as error:
            return QuarantinedPicture(entry.name, str(error), sha256)
        pixels = decoded.pixels
        rgba = convert_mode(pixels, "RGBA")
        digest = hashlib.sha256(repr(rgba.shape).encode())
        digest.update(np.ascontiguousarray(rgba).data)
        try:
            mask_sha256 = self.hash_mask(entry, pixels, digest)
        except BadPicture as error:
            return QuarantinedPicture(entry.name, f"has a mask that {error}", sha256)
        content = digest.hexdigest()
        if content not in self.thumbnails:
            self.thumbnails[content] = make_thumbnail(pixels) if len(self.thumbnails) < MAX_COMPARED else NO_THUMBNAIL
            self.color_counts[content] = self.count_colors(rgba)
        return ScannedPicture(
            entry.name, sha256, content, pixels.shape[0], pixels.shape[1],
            decoded.format, decoded.stored_mode, decoded.bits, decoded.animated,
            alpha_kind(pixels), is_grayscale(pixels), self.color_counts[content], decoded.hidden_color_pixels,
            entry.label, entry.attributes, entry.text,
            mask=None if entry.mask is None else entry.mask.name, mask_sha256=mask_sha256,
            pages=decoded.pages, profile=decoded.profile, brightest=decoded.brightest,
            profile_ignored=decoded.profile_ignored, credits=entry.credits,
            only_color=_only_color(rgba),
        )  # fmt: skip

    def hash_mask(self, entry: Entry, pixels: Pixels, digest: "hashlib._Hash") -> str | None:
        """The hash of the file of an entry's mask, if it has one; the mask's pixels are added to the digest."""
        if entry.mask is None:
            return None
        data, sha256 = load_entry(entry.mask)
        mask = read_mask(data, self.limits)
        self.mask_survey.add(entry.name, pixels.shape[:2], mask)
        digest.update(np.ascontiguousarray(mask.values).data)
        return sha256

    def count_colors(self, rgba: Pixels) -> int | None:
        """The number of distinct visible colors, or None for more than MAX_COLORS; they are added to `all_colors`."""
        values = pack_channels(rgba).ravel()
        if len(values) > 2**18 and len(np.unique(values[:: len(values) // 2**16])) > MAX_COLORS:
            self.all_colors = None
            return None
        colors = np.unique(values)
        colors = colors[colors != 0]  # fully transparent pixels
        if self.all_colors is not None:
            union = np.union1d(self.all_colors, colors)
            self.all_colors = union if len(union) <= MAX_COLORS else None
        return len(colors) if len(colors) <= MAX_COLORS else None


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


def _only_color(rgba: Pixels) -> int | None:
    """The packed color of a picture of one color, or None."""
    values = pack_channels(rgba)
    return int(values[0, 0]) if (values == values[0, 0]).all() else None


def _mark_copies(pictures: Iterable[ScannedPicture]) -> tuple[ScannedPicture, ...]:
    """Set `copy_of` where pixels, mask, label, attributes and text equal those of an earlier picture."""
    first: dict[Hashable, str] = {}
    marked = []
    for p in pictures:
        key = (p.content_hash, p.label, p.text, tuple(sorted(p.attributes.items())))
        marked.append(replace(p, copy_of=first.get(key)))
        first.setdefault(key, p.name)
    return tuple(marked)


def _drop_single_label(
    pictures: tuple[ScannedPicture, ...],
) -> tuple[tuple[ScannedPicture, ...], tuple[str, ...]]:
    """Remove a label that all pictures share; a note if there is one."""
    labels = {p.label for p in pictures}
    if None in labels or len(labels) > 1:
        return pictures, ()
    note = f"all pictures have the same label, {labels.pop()}, so it is not used"
    return tuple(replace(p, label=None) for p in pictures), (note,)


def _find_label_conflicts(pictures: Iterable[ScannedPicture]) -> list[str]:
    """For each picture that occurs with several labels: the name of the last one with a label unlike the first."""
    labels: dict[str, str | None] = {}
    conflicts = {p.content_hash: p.name for p in pictures if labels.setdefault(p.content_hash, p.label) != p.label}
    return list(conflicts.values())
