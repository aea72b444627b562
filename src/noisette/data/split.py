"""Splitting a data set into training and held-out pictures.

The split depends on the pixels, the labels and the seed, not on file order, file names or the machine; adding a
picture moves few others. Near duplicates are on the same side, so no held-out picture has a near copy in training.
The share holds for all labels together; how many each label gives follows Webster's method of apportionment, so that
many labels of few pictures give as much as one label of many.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float64, Int

from ..diffusion.noise import derive_seed
from ..errors import InputError
from .scan_result import ScanResult
from .scanned_pictures import UNKNOWN, hex_rows

MAX_SHARE = 0.5  # of a label's pictures that may be held out


def split_scan(result: ScanResult, held_out: float = 0.1, seed: int = 0) -> tuple[list[bool], tuple[str, ...]]:
    """For each distinct picture of a scan, whether it is held out; and a note on labels that only held-out ones have.

    Raises InputError as `split_held_out` does, and for pictures that are all of the same color: no model can be
    trained on them.
    """
    pictures = result.distinct
    columns, label_names = pictures.columns, pictures.labels
    hashes = np.char.encode(np.array(hex_rows(columns.content)), "ascii")
    _, numbers = np.unique(np.array([*label_names, ""]), return_inverse=True)
    is_held_out = _hold_out(hashes, columns.group, numbers[columns.label], held_out, seed)
    train = pictures.take(~is_held_out)
    colors = np.unique(train.columns.only_color)
    if len(colors) == 1 and colors[0] == 0:
        raise InputError(f"all training pictures of {result.source} are fully transparent: give visible pictures")
    if len(colors) == 1 and colors[0] != UNKNOWN:
        raise InputError(
            f"all training pictures of {result.source} are of one and the same color: give pictures that differ"
        )
    untrained = len(np.setdiff1d(columns.label, train.columns.label))
    note = f"labels whose only pictures are held out, so that they are not trained: {untrained}"
    return is_held_out.tolist(), (note,) if untrained else ()


def split_held_out(
    content_hashes: Sequence[str],
    groups: Sequence[int],
    labels: Sequence[str | None],
    held_out: float = 0.1,
    seed: int = 0,
) -> list[bool]:
    """For each picture, whether it is held out.

    content_hashes, groups, labels: of each picture, its pixels' hash, its group of near duplicates and its label.
    held_out: share of all pictures to hold out, above 0 and up to 0.5. Groups stay whole and count for the label of
    most of their pictures. A label keeps at least half of its pictures for training; labels of one group are held out
    only if the others give less than half of the share. At least one group is held out. Raises InputError for another
    share, or if there is only one group.
    """
    _, numbers = np.unique(np.array([label or "" for label in labels]), return_inverse=True)
    return _hold_out(np.array(content_hashes), np.array(groups), numbers, held_out, seed).tolist()


def _hold_out(
    hashes: np.ndarray,
    groups: Int[np.ndarray, "n"],
    labels: Int[np.ndarray, "n"],
    held_out: float,
    seed: int,
) -> Bool[np.ndarray, "n"]:
    """`split_held_out` of arrays. hashes: text. labels: numbers in the order of the names, that of no label first."""
    if not 0 < held_out <= MAX_SHARE:
        raise InputError(f"held_out must be above 0 and at most {MAX_SHARE}, got {held_out}")
    _, member, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if len(sizes) < 2:
        raise InputError(
            f"there is only one picture{f' in {len(groups)} near copies' if len(groups) > 1 else ''}: "
            "at least 2 different ones are needed, one to train on and one to hold out"
        )
    by_hash = np.lexsort((hashes, member))
    lowest = hashes[by_hash[np.cumsum(sizes) - sizes]]  # hash of each group
    texts = lowest.astype(str).tolist()
    seeds = np.array([derive_seed(seed, "split", low) for low in texts], np.int64)
    order = np.lexsort((lowest, seeds))
    member, sizes = np.argsort(order)[member], sizes[order]  # groups are numbered by their place from here on
    label = _common_labels(member, labels)
    ranks = _rank(sizes, label, held_out)
    target = int(held_out * len(groups) + 0.5)
    chosen = np.flatnonzero(ranks < MAX_SHARE)
    held, missing = _take(chosen[np.argsort(ranks[chosen], kind="stable")], sizes, target)
    if 2 * missing > target:
        alone = np.flatnonzero(np.bincount(label)[label] == 1)  # the only groups of their labels
        more, missing = _take(alone, sizes, missing)
        held += more
    is_held = np.zeros(len(sizes), bool)
    is_held[held or [int(sizes.argmin())]] = True  # the first of the smallest groups
    return is_held[member]


def _take(groups: Int[np.ndarray, "k"], sizes: Int[np.ndarray, "g"], missing: int) -> tuple[list[int], int]:
    """The groups that are held out, of these in order, and how many pictures are missing then."""
    held = []
    for group, size in zip(groups.tolist(), sizes[groups].tolist(), strict=True):
        if missing == 0:
            break
        if size <= missing:
            held.append(group)
            missing -= size
    return held, missing


def _common_labels(member: Int[np.ndarray, "n"], labels: Int[np.ndarray, "n"]) -> Int[np.ndarray, "g"]:
    """The label of most pictures of each group; of several, the last one."""
    most = int(labels.max()) + 1
    pairs, counts = np.unique(member.astype(np.int64) * most + labels, return_counts=True)
    group, label = pairs // most, pairs % most
    order = np.lexsort((label, counts, group))
    is_last = np.append(group[order][1:] != group[order][:-1], True)
    return np.asarray(label[order][is_last])


def _rank(sizes: Int[np.ndarray, "g"], labels: Int[np.ndarray, "g"], held_out: float) -> Float64[np.ndarray, "g"]:
    """The share of a label that is held out once a group is: that of the groups before it and half of the group.

    Groups that are larger than the share to hold out come last.
    """
    totals = np.bincount(labels, weights=sizes).astype(np.int64)[labels]
    order = np.lexsort((sizes > np.maximum(1, (held_out * totals).astype(np.int64)), labels))
    before = np.cumsum(sizes[order]) - sizes[order]
    is_first = np.append(True, labels[order][1:] != labels[order][:-1])
    before -= before[is_first][np.cumsum(is_first) - 1]
    ranks = np.empty(len(sizes))
    ranks[order] = (before + sizes[order] / 2) / totals[order]
    return ranks
