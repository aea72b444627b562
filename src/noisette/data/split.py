"""Which pictures are never trained on.

Decided by content alone: the order of the files, their names and the machine change nothing, and a picture that is
added moves few others. Near duplicates stay on one side, so a held-out picture has no twin in training; and every
label gives up the same share.
"""

from collections import Counter
from collections.abc import Sequence

from ..errors import InputError
from ..noise import key


def split(
    contents: Sequence[str],
    groups: Sequence[int],
    labels: Sequence[str | None],
    held_out: float = 0.1,
    seed: int = 0,
) -> list[bool]:
    """For each picture, whether it is held out.

    `contents` are hashes of pixels, `groups` the numbers of groups of near duplicates. A group belongs to the label
    that most of it has. Each label gives up `held_out` of its pictures, rounded, in whole groups, but never
    all of its groups; at least one group is held out in all.
    """
    if not 0 < held_out <= 0.5:
        raise InputError(f"{held_out} of the pictures cannot be held out: give a share above 0 and up to 0.5")
    members: dict[int, list[int]] = {}
    for i, group in enumerate(groups):
        members.setdefault(group, []).append(i)
    if len(members) < 2:
        raise InputError(
            f"there is only one picture{f' in {len(contents)} near copies' if len(contents) > 1 else ''}: "
            "at least 2 that differ are needed, one to train on and one to hold out"
        )
    order = sorted(members, key=lambda g: (key(seed, "split", low := min(contents[i] for i in members[g])), low))
    of_label: dict[str, list[int]] = {}
    for group in order:
        counts = Counter(labels[i] or "" for i in members[group])
        of_label.setdefault(max(counts, key=lambda word: (counts[word], word)), []).append(group)
    held: set[int] = set()
    for label in sorted(of_label):
        total = sum(len(members[g]) for g in of_label[label])
        left = int(held_out * total + 0.5)
        for group in of_label[label][:-1]:  # one at least is trained on
            if len(members[group]) <= left:
                held.add(group)
                left -= len(members[group])
    if not held:
        held.add(min(order, key=lambda g: len(members[g])))  # the first of the smallest
    return [group in held for group in groups]
