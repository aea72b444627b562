"""Preparing the data set of a run folder: scan a source, choose size and mode, split, decode, resize, write."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from ..errors import InputError
from ..io.files import atomic_write, file_sha256, require_space
from .attributes import build_columns, with_attributes
from .color_mode import measure_alpha_snap
from .dataset import MANIFEST_FILE, MASKS_FILE, PIXELS_FILE, Dataset
from .entry import DEFAULT_LIMITS, Limits, Source
from .file_hashes import compute_fingerprint, hash_source, hashes_of_scan
from .levels import Levels, check_percentiles, scale_source
from .manifest import Manifest, PrepareOptions
from .mapped import release
from .mask_values import MaskValue, check_mask_value
from .pictures import Mode, Pictures
from .pixel_writer import MaskWriter, PixelWriter
from .resize import describe_integer_sizes, integer_factor
from .scan import ProgressCallback, scan_source
from .scan_result import ScanResult
from .scanned_pictures import ScannedPictures
from .scanned_records import ScannedRecords
from .source import open_source
from .split import split_scan
from .sprite_sheet import Cells, CellSize

SIDE_RANGE = (8, 1024)  # minimum and maximum height and width, in pixels
MAX_NATIVE_SIDE = 64  # a size shared by all pictures is the default size up to this many pixels per side
FALLBACK_SIZE = (32, 32)  # the default size otherwise: height, width
STATS_BATCH = 4096  # pictures per batch when the standard deviation is computed
MIN_MASK_STD = 1e-3  # in model space; masks with a lower standard deviation are constant


def prepare(
    source: str | Path | Source,
    folder: str | Path,
    *,
    size: int | tuple[int, int] | None = None,
    mode: Mode | None = None,
    pixel_art: bool = False,
    held_out: float = 0.1,
    seed: int = 0,
    labels: str | None = None,
    cell: CellSize | Cells | None = None,
    masks: bool = False,
    mask_value: MaskValue | None = None,
    follow_links: bool = False,
    near_duplicates: float | None = None,
    percentiles: tuple[float, float] | None = None,
    progress: ProgressCallback = lambda done, total: None,
    limits: Limits = DEFAULT_LIMITS,
) -> Dataset:
    """Make the data set of a run folder, or open the existing one if its pictures and options are the same.

    source: a path, the name of a built-in set, or an open `Source`. labels, cell, masks, follow_links: as in
    `open_source`.
    size: side, or height and width, 8 to 1,024 pixels. Default: the size of all pictures if they share one of at most
    64 pixels per side, otherwise 32×32.
    mode: "L", "LA", "RGB" or "RGBA". Default: the smallest that loses nothing.
    pixel_art: resize by whole factors only, without averaging colors.
    held_out: share of the pictures that is not trained on, above 0 and up to 0.5. seed: of the split.
    mask_value: for masks that are not black and white, the number or color ("#ff0000") of the pixels that are inside,
    or "any" for all but 0.
    near_duplicates, percentiles: as in `scan`; near duplicates are kept on one side of the split. What was scaled to
    black and white is kept in the data set's `pictures.levels`.
    progress: called with (pictures done, pictures in all); each picture counts twice, for scanning and for writing.

    Raises InputError if the source or an option cannot be used, or if the folder holds another data set; nothing is
    written then.
    """
    if mask_value is not None and not masks:
        raise InputError("a mask value is for pictures with masks: leave it out")
    value = None if mask_value is None else check_mask_value(mask_value)
    percentiles = None if percentiles is None else check_percentiles(percentiles)
    options = PrepareOptions(
        _check_size(size), mode, pixel_art, held_out, seed, masks, value, near_duplicates, percentiles
    )
    if not isinstance(source, Source):
        source = open_source(source, labels=labels, cell=cell, masks=masks, follow_links=follow_links, limits=limits)
    folder, existing, levels = Path(folder), None, None
    _require_apart(source, folder)
    if percentiles is not None:
        source, levels = scale_source(source, percentiles, limits)
    if (folder / MANIFEST_FILE).exists():
        existing = Manifest.read(folder / MANIFEST_FILE)
        if differences := existing.describe_differences(hash_source(source), options):
            raise InputError(
                f"{folder} holds another data set: {'; '.join(differences)}; give the same pictures and options, "
                "or another folder"
            )
        try:
            return Dataset.open(folder)
        except InputError:  # its pixels are missing or damaged: make them again, with the same result
            pass
    result = scan_source(
        source, lambda done, total: progress(done, 2 * total), limits, near_duplicates, options.mask_value
    )
    if existing is not None:  # this version may read pictures that an earlier one left out
        names = {f.name for f in existing.files}
        is_known = np.array([name in names for name in result.pictures.names], bool)
        result = replace(result, pictures=result.pictures.take(is_known))
    _write_dataset(source, result, folder, options, progress, limits, existing, levels)
    return Dataset.open(folder)


def _check_size(size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    if size is None:
        return None
    height, width = (size, size) if isinstance(size, int) else size
    low, high = SIDE_RANGE
    nearest = tuple(min(max(side, low), high) for side in (height, width))
    if nearest != (height, width):
        raise InputError(
            f"size must be between {low} and {high} pixels per side, got {width}×{height}: "
            f"the nearest possible size is {nearest[1]}×{nearest[0]}"
        )
    return height, width


def _require_apart(source: Source, folder: Path) -> None:
    """Raise InputError if pictures are in the run folder itself: run folders are left out of a source."""
    if source.kind != "folder":
        return
    root, target = Path(source.location).resolve(), folder.resolve()
    prefix = f"{target.relative_to(root).as_posix()}/" if target.is_relative_to(root) else None
    if target == root or (prefix is not None and any(entry.name.startswith(prefix) for entry in source.entries)):
        raise InputError(f"{folder} holds pictures to train on, so it cannot be the run's folder: give another one")


def _write_dataset(
    source: Source,
    scan_result: ScanResult,
    folder: Path,
    options: PrepareOptions,
    progress: ProgressCallback,
    limits: Limits,
    existing: Manifest | None,
    levels: Levels | None,
) -> None:
    """Split the scanned pictures, or as in `existing`, and write pixels.npy, masks.npy and, last, data.json."""
    distinct = scan_result.distinct
    if existing is None:
        is_held_out, split_notes = split_scan(scan_result, options.held_out, options.seed)
    else:  # its pixels were lost; an earlier version may have split in another way
        sides = {f.name: f.split for f in existing.files}
        is_held_out, split_notes = [sides[name] == "held_out" for name in distinct.names], ()
    train_rows = np.flatnonzero(~np.array(is_held_out))
    columns, column_notes = build_columns(entry.attributes for entry in distinct.take(train_rows).own_entries)
    pictures, size_notes = _choose_pictures(scan_result, options)
    pictures = replace(with_attributes(pictures, columns), levels=levels)
    notes = [*scan_result.notes, *split_notes, *column_notes, *size_notes]
    if copies := len(scan_result.pictures) - len(distinct):
        notes.append(f"exact copies, kept once: {copies}")
    require_space(folder, _required_bytes(scan_result, pictures, options.masks))
    writer = PixelWriter(distinct, pictures, progress, limits)
    atomic_write(folder / PIXELS_FILE, writer)
    array = np.load(folder / PIXELS_FILE, mmap_mode="r", allow_pickle=False)
    masks = _write_masks(source, scan_result, pictures, folder, limits, train_rows) if options.masks else (None, None)
    Manifest(
        source.location,
        source.kind,
        compute_fingerprint(hashes_of_scan(source, scan_result)) if existing is None else existing.fingerprint,
        options,
        _with_alpha(pictures, array, train_rows),
        compute_std(array, pictures, train_rows),
        len(distinct),
        file_sha256(folder / PIXELS_FILE),
        columns,
        scan_result.quarantined if existing is None else existing.quarantined,
        (*notes, *writer.notes),
        (),
        *masks,
    ).write(folder / MANIFEST_FILE, ScannedRecords(scan_result.pictures, is_held_out))


def _with_alpha(pictures: Pictures, array: np.ndarray, rows: np.ndarray) -> Pictures:
    """The pictures with what is known of their alpha: `binary_alpha` from all pictures, `alpha_snap` from `rows`."""
    if not pictures.has_alpha:
        return pictures
    is_training = np.zeros(len(array), bool)
    is_training[rows] = True
    every, training = np.zeros(256, np.int64), np.zeros(256, np.int64)
    for first in range(0, len(array), STATS_BATCH):
        release(array)
        alpha = array[first : first + STATS_BATCH, -1]
        every += np.bincount(alpha.ravel(), minlength=256)
        training += np.bincount(alpha[is_training[first : first + STATS_BATCH]].ravel(), minlength=256)
    return replace(
        pictures, binary_alpha=not bool(every[1:255].any()), alpha_snap=measure_alpha_snap(training.tolist())
    )


def _choose_pictures(scan_result: ScanResult, options: PrepareOptions) -> tuple[Pictures, list[str]]:
    """The mode, size and labels of the data set, and notes on the size. Raises InputError as `_check_resizing`."""
    (height, width), reason = (options.size, "as requested") if options.size else default_size(scan_result.distinct)
    mode, labels = options.mode or scan_result.mode, tuple(scan_result.labels)
    pictures = Pictures(mode, height, width, labels, pixel_art=options.pixel_art)
    return pictures, [f"size {width}×{height}, {reason}", *_check_resizing(scan_result.distinct, pictures)]


def _required_bytes(scan_result: ScanResult, pictures: Pictures, masks: bool) -> int:
    """Bytes that the data set needs on disk: arrays with their headers, and about 400 per file in data.json."""
    channels = pictures.channels + masks
    pixels = len(scan_result.distinct) * channels * pictures.height * pictures.width
    return 128 * (1 + masks) + pixels + 400 * len(scan_result.pictures)


def _write_masks(
    source: Source,
    scan_result: ScanResult,
    pictures: Pictures,
    folder: Path,
    limits: Limits,
    train_rows: np.ndarray,
) -> tuple[str, float]:
    """Write masks.npy, and return its hash and the standard deviation of the training masks in model space.

    Raises InputError if the training masks are all the same constant.
    """
    kind = Pictures("L", pictures.height, pictures.width, pixel_art=pictures.pixel_art)
    writer = MaskWriter(
        scan_result.distinct, kind, lambda done, total: None, limits, pictures.has_alpha, scan_result.mask_reading
    )
    atomic_write(folder / MASKS_FILE, writer)
    std = compute_std(np.load(folder / MASKS_FILE, mmap_mode="r", allow_pickle=False), kind, train_rows)
    if std < MIN_MASK_STD:
        raise InputError(f"all masks of {source.location} have one value: give masks with both black and white")
    return file_sha256(folder / MASKS_FILE), std


def default_size(pictures: ScannedPictures) -> tuple[tuple[int, int], str]:
    """The default (height, width) for these pictures, and the reason in words."""
    sizes = {(kind.height, kind.width) for kind, *_ in pictures.found_kinds}
    if len(sizes) > 1:
        return FALLBACK_SIZE, "because the pictures are of different sizes"
    (size,) = sizes
    if max(size) > MAX_NATIVE_SIDE:
        return FALLBACK_SIZE, f"because the pictures are larger than {MAX_NATIVE_SIDE} pixels"
    if min(size) < SIDE_RANGE[0]:
        return FALLBACK_SIZE, f"because the pictures are smaller than {SIDE_RANGE[0]} pixels"
    return size, "the size of all pictures"


def _check_resizing(pictures: ScannedPictures, target: Pictures) -> list[str]:
    """A note if pictures are padded. Raises InputError for pixel art that no whole factor brings to the size."""
    bad = pictures.where(lambda kind: not integer_factor(kind.height, kind.width, target.height, target.width))
    if target.pixel_art and bad:
        first, more = bad[0], f", nor can {len(bad) - 1} more" if len(bad) > 1 else ""
        raise InputError(
            f"{first.name} is {first.width}×{first.height} and cannot become pixel art of "
            f"{target.width}×{target.height} by a whole factor{more}: "
            f"use {describe_integer_sizes(first.height, first.width)}, or turn pixel art off"
        )
    padded = sum(
        count for kind, count, _ in pictures.found_kinds if kind.height * target.width != kind.width * target.height
    )
    padding = "with transparent pixels" if target.has_alpha else "with their edge pixels"
    return [f"pictures of other proportions, padded {padding}: {padded}"] if padded else []


def compute_std(array: np.ndarray, pictures: Pictures, rows: np.ndarray) -> float:
    """The standard deviation in model space of rows of a pixel array (N, C, H, W), over all channels together."""
    total, squares, count = 0.0, 0.0, 0
    for first in range(0, len(rows), STATS_BATCH):
        release(array)
        x = pictures.encode(torch.from_numpy(array[rows[first : first + STATS_BATCH]])).double()
        total, squares, count = total + x.sum().item(), squares + x.square_().sum().item(), count + x.numel()
    mean = total / count
    return max(squares / count - mean**2, 0.0) ** 0.5
