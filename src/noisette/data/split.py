"""Splitting a data set into training and held-out pictures.

The split depends on the pixels, the labels and the seed, not on file order, file names or the machine; adding a
picture moves few others. Near duplicates are on the same side, so no held-out picture has a near copy in training.
The share holds for all labels together; how many each label gives follows Webster's method of apportionment, so that
many labels of few pictures give as much as one label of many.
"""

from collections import Counter
from collections.abc import Sequence

from ..diffusion.noise import derive_seed
from ..errors import InputError
from .scan_result import ScanResult

MAX_SHARE = 0.5  # of a label's pictures that may be held out


def split_scan(result: ScanResult, held_out: float = 0.1, seed: int = 0) -> tuple[list[bool], tuple[str, ...]]:
    """For each distinct picture of a scan, whether it is held out; and a note on labels that only held-out ones have.

    Raises InputError as `split_held_out` does, and for pictures that are all of the same color: no model can be
    trained on them.
    """
    pictures = result.distinct
    is_held_out = split_held_out(
        [p.content_hash for p in pictures], [p.group for p in pictures], [p.label for p in pictures], held_out, seed
    )
    train = [p for p, out in zip(pictures, is_held_out, strict=True) if not out]
    colors = {p.only_color for p in train}
    if colors == {0}:
        raise InputError(f"all training pictures of {result.source} are fully transparent: give visible pictures")
    if len(colors) == 1 and None not in colors:
        raise InputError(
            f"all training pictures of {result.source} are of one and the same color: give pictures that differ"
        )
    untrained = {p.label for p in pictures} - {p.label for p in train}
    note = f"labels whose only pictures are held out, so that they are not trained: {len(untrained)}"
    return is_held_out, (note,) if untrained else ()


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
    if not 0 < held_out <= MAX_SHARE:
        raise InputError(f"held_out must be above 0 and at most {MAX_SHARE}, got {held_out}")
    members: dict[int, list[int]] = {}
    for i, group in enumerate(groups):
        members.setdefault(group, []).append(i)
    if len(members) < 2:
        raise InputError(
            f"there is only one picture{f' in {len(content_hashes)} near copies' if len(content_hashes) > 1 else ''}: "
            "at least 2 different ones are needed, one to train on and one to hold out"
        )
    order = sorted(
        members, key=lambda g: (derive_seed(seed, "split", low := min(content_hashes[i] for i in members[g])), low)
    )
    sizes = {g: len(members[g]) for g in order}
    of_label: dict[str, list[int]] = {}
    for group in order:
        counts = Counter(labels[i] or "" for i in members[group])
        of_label.setdefault(max(counts, key=lambda word: (counts[word], word)), []).append(group)
    ranks = {g: rank for own in of_label.values() for g, rank in _rank(own, sizes, held_out).items()}
    place = {g: i for i, g in enumerate(order)}
    target = int(held_out * len(groups) + 0.5)
    held: set[int] = set()
    missing = target
    for group in sorted((g for g in order if ranks[g] < MAX_SHARE), key=lambda g: (ranks[g], place[g])):
        if sizes[group] <= missing:
            held.add(group)
            missing -= sizes[group]
    is_short = 2 * missing > target
    for group in (own[0] for own in of_label.values() if is_short and len(own) == 1):
        if sizes[group] <= missing:
            held.add(group)
            missing -= sizes[group]
    if not held:
        held.add(min(order, key=lambda g: sizes[g]))  # the first of the smallest groups
    return [group in held for group in groups]


def _rank(groups: Sequence[int], sizes: dict[int, int], held_out: float) -> dict[int, float]:
    """The share of a label that is held out once a group is: that of the groups before it and half of the group.

    Groups that are larger than the share to hold out come last.
    """
    total = sum(sizes[g] for g in groups)
    largest = max(1, int(held_out * total))
    before, ranks = 0, {}
    for group in sorted(groups, key=lambda g: sizes[g] > largest):
        ranks[group] = (before + sizes[group] / 2) / total
        before += sizes[group]
    return ranks
