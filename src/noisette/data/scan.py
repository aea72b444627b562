"""Scanning a source before training: read every picture, quarantine unusable ones, find copies and near duplicates."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import InputError
from .entry import DEFAULT_LIMITS, Entry, Limits, Source
from .levels import scale_source
from .mask_values import MaskSurvey, MaskValue
from .near_duplicates import MAX_COMPARED, NEAR_DUPLICATE_RATIO, find_near_duplicates, measure_mirror_share
from .parallel import chunk_size, map_chunks
from .scan_chunk import ScannedChunk, scan_chunk
from .scan_notes import describe_pictures
from .scan_result import MAX_COLORS, QuarantinedPicture, ScanResult
from .scanned_pictures import UNKNOWN, Columns, PictureKind, ScannedPictures, as_text
from .source import open_source
from .sprite_sheet import Cells, CellSize
from .thumbnails import ThumbnailStore

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
    entries, size = source.entries, chunk_size(len(source.entries))
    survey, collected = MaskSurvey(mask_value), _Collected()
    has_masks = entries[0].mask is not None  # the survey is in this process

    def work(number: int) -> ScannedChunk:
        return scan_chunk(entries[number * size : (number + 1) * size], limits, survey)

    progress(0, len(entries))
    chunks = -(-len(entries) // size)
    for number, chunk in enumerate(map_chunks(work, chunks, 1 if has_masks else None)):
        collected.add(chunk, number * size)
        progress(min((number + 1) * size, len(entries)), len(entries))
    quarantined = tuple(collected.quarantined)
    if not len(collected.thumbnails):
        first = quarantined[0]
        raise InputError(
            f"none of the {len(quarantined)} pictures in {source.location} can be used: "
            f"{first.name} {first.reason}{' (and others)' if len(quarantined) > 1 else ''}"
        )
    mask_reading = survey.read(source.location)
    pictures = collected.pictures(entries)
    pictures, mirror_share, notes = _compare(pictures, collected.thumbnails, near_duplicates)
    pictures = _mark_copies(pictures)
    conflicts = _find_label_conflicts(pictures)
    pictures, label_notes = _drop_single_label(pictures)
    notes = (*source.notes, *describe_pictures(pictures), *notes, *label_notes)
    if conflicts:
        more = ", …" if len(conflicts) > 1 else ""
        notes += (f"the same picture under several labels: {len(conflicts)} ({conflicts[0]}{more})",)
    colors = None if collected.colors is None else len(collected.colors)
    return ScanResult(source.location, source.kind, pictures, quarantined, notes, colors, mirror_share, mask_reading)


class _Collected:
    """What was found out about all chunks so far."""

    def __init__(self) -> None:
        self.columns: list[Columns] = []
        self.kinds: dict[PictureKind, int] = {}
        self.labels: dict[str, int] = {}
        self.thumbnails = ThumbnailStore()
        self.colors: np.ndarray | None = np.zeros(0, np.uint32)  # packed; None: more than MAX_COLORS
        self.quarantined: list[QuarantinedPicture] = []

    def add(self, chunk: ScannedChunk, first: int) -> None:
        """Add a chunk. first: the number of its first entry."""
        kinds = np.array([self.kinds.setdefault(kind, len(self.kinds)) for kind in chunk.kinds], np.int32)
        labels = [self.labels.setdefault(label, len(self.labels)) for label in chunk.labels]
        label_numbers = np.array([*labels, UNKNOWN], np.int32)  # UNKNOWN is the last
        own = chunk.columns
        self.columns.append(replace(own, entry=own.entry + first, kind=kinds[own.kind], label=label_numbers[own.label]))
        self.thumbnails.append(chunk.thumbnails)
        if self.colors is not None:
            union = None if chunk.colors is None else np.union1d(self.colors, chunk.colors)
            self.colors = union if union is not None and len(union) <= MAX_COLORS else None
        self.quarantined += chunk.quarantined

    def pictures(self, entries: Sequence[Entry]) -> ScannedPictures:
        """The usable pictures."""
        columns = Columns.concatenate([part for part in self.columns if len(part.kind)])
        self.columns.clear()
        return ScannedPictures(entries, tuple(self.kinds), tuple(self.labels), columns)


def _compare(
    pictures: ScannedPictures, thumbnails: ThumbnailStore, near_duplicates: float | None
) -> tuple[ScannedPictures, float | None, tuple[str, ...]]:
    """The pictures with the groups of near duplicates, the mirror share, and notes on how they were found."""
    number, rows = _number_contents(pictures.columns.content)
    selected = thumbnails.select(rows, MAX_COMPARED)
    groups, ratio = find_near_duplicates(selected, near_duplicates)
    notes: tuple[str, ...] = ()
    if len(rows) > MAX_COMPARED:
        notes = (
            f"more than {MAX_COMPARED:,} pictures: near duplicates are searched by locality-sensitive hashing, which "
            "may miss a few",
        )
    if near_duplicates is None and ratio < NEAR_DUPLICATE_RATIO:
        notes += (
            f"near duplicates link most pictures to each other, so only those within {ratio:.2g} of their contrast "
            f"(not {NEAR_DUPLICATE_RATIO:g}) are kept together; --near-duplicates sets this",
        )
    share = measure_mirror_share(selected, groups)
    return pictures.with_columns(group=groups[number].astype(np.int32)), share, notes


def _number_contents(hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The number of each picture's content, in the order in which contents occur; the first row of each."""
    _, first, inverse = np.unique(as_text(hashes), return_index=True, return_inverse=True)
    order = np.argsort(first)
    ranks = np.empty(len(first), np.int64)
    ranks[order] = np.arange(len(first))
    return ranks[inverse], first[order]


def _repeated(pictures: ScannedPictures) -> np.ndarray:
    """The rows of pictures whose content occurs more than once."""
    number, _ = _number_contents(pictures.columns.content)
    return np.flatnonzero(np.bincount(number)[number] > 1)


def _mark_copies(pictures: ScannedPictures) -> ScannedPictures:
    """Set `copy_of` where pixels, mask, label, attributes and text equal those of an earlier picture."""
    first: dict[Hashable, int] = {}
    columns, copy_of = pictures.columns, pictures.columns.copy_of.copy()
    for row in _repeated(pictures).tolist():
        number = int(columns.entry[row])
        entry = pictures.entries[number]
        key = (columns.content[row].tobytes(), entry.label, entry.text, tuple(sorted(entry.attributes.items())))
        copy_of[row] = first.get(key, UNKNOWN)
        first.setdefault(key, number)
    return pictures.with_columns(copy_of=copy_of)


def _drop_single_label(pictures: ScannedPictures) -> tuple[ScannedPictures, tuple[str, ...]]:
    """Remove a label that all pictures share; a note if there is one."""
    numbers = pictures.columns.label
    if numbers[0] == UNKNOWN or (numbers != numbers[0]).any():
        return pictures, ()
    note = f"all pictures have the same label, {pictures.labels[numbers[0]]}, so it is not used"
    return pictures.with_columns(label=np.full_like(numbers, UNKNOWN)), (note,)


def _find_label_conflicts(pictures: ScannedPictures) -> list[str]:
    """For each picture that occurs with several labels: the name of the last one with a label unlike the first."""
    labels: dict[bytes, int] = {}
    conflicts: dict[bytes, str] = {}
    columns = pictures.columns
    for row in _repeated(pictures).tolist():
        content, label = columns.content[row].tobytes(), int(columns.label[row])
        if labels.setdefault(content, label) != label:
            conflicts[content] = pictures.entries[int(columns.entry[row])].name
    return list(conflicts.values())
