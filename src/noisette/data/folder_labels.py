"""Labels from the names of folders."""

import itertools
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import PurePosixPath

from .dataset_json import is_packed
from .entry import normalize_name
from .listing import format_names

# "train", "Test_set", "valid-1"; also with a name before, as in seg_train and seg_test
SPLIT_NAME = re.compile(
    r"(?P<of>.+[-_ ])?(train|training|test|testing|val|valid|validation|dev)([-_ ]?(set|data|images|\d+))?", re.I
)
REST_NAME = re.compile(r"(?P<of>.+[-_ ])?(extra|unlabell?ed|pred|prediction|eval|holdout|hold[-_ ]out)", re.I)
FOLD_NAME = re.compile(r"(?P<of>)fold[-_ ]?\d+", re.I)  # of a cross-validation

Parts = tuple[str, ...]  # the folders in the path of a picture


def find_folder_labels(pictures: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """The label of each picture that has one, and notes on what the folders were taken for.

    A label is the first folder in a picture's path that is not shared by all pictures. The folders of a set's splits
    (train, test, …) are no labels: those are in the folders below. Nor are the folders of a packed set.
    """
    if is_packed(pictures):
        return {}, ["folders 00000, 00001, … hold the parts of a packed set, so they are not labels"]
    folders = {n: PurePosixPath(normalize_name(n)).parts[:-1] for n in pictures}
    shared = _common_parents(list(folders.values()))
    below = {n: parts[len(shared) :] for n, parts in folders.items()}
    notes = []
    if splits := _find_splits(below):
        described = ", ".join(f"{name} ({count})" for name, count in splits.items())
        notes.append(f"the folders {described} are splits of one set, not labels; training makes its own split")
        below = _drop_splits(below)
    labels = {n: parts[0] for n, parts in below.items() if parts}
    if shared and not labels and not splits:
        notes.append(f"all pictures are in one folder, {'/'.join(shared)}, so its name is not used as a label")
    elif labels and (without := len(pictures) - len(labels)):
        notes.append(f"pictures outside subfolders, without a label: {without}")
    return labels, notes + _note_deeper(below)


def _find_splits(below: Mapping[str, Parts]) -> dict[str, int]:
    """The number of pictures in each of a set's splits; empty if the first folders are not splits."""
    counts = Counter(parts[0] for parts in below.values() if parts)
    return dict(sorted(counts.items())) if _are_splits(counts) else {}


def _are_splits(names: Collection[str]) -> bool:
    """Whether these are the splits of one set: all begin alike, and at least one is a part to train or test on."""
    if len(names) < 2 or not any(SPLIT_NAME.fullmatch(n) or FOLD_NAME.fullmatch(n) for n in names):
        return False
    found = [SPLIT_NAME.fullmatch(n) or REST_NAME.fullmatch(n) or FOLD_NAME.fullmatch(n) for n in names]
    return None not in found and len({(match["of"] or "").lower() for match in found if match}) == 1


def _drop_splits(below: Mapping[str, Parts]) -> dict[str, Parts]:
    """The folders below those of the splits, without the ones that all pictures share ("images").

    Nor are folders labels that repeat the split: training_set/training_set/cat.
    """
    rest = {name: parts[1:] for name, parts in below.items()}
    if all(rest[name][:1] in ((), parts[:1]) for name, parts in below.items()):
        rest = {name: parts[1:] for name, parts in rest.items()}
    shared = len(_common_parents(list(rest.values())))
    return {name: parts[shared:] for name, parts in rest.items()}


def _note_deeper(below: Mapping[str, Parts]) -> list[str]:
    """A note if folders within labels differ, and so may be what somebody meant."""
    deeper = {parts[:2] for parts in below.values() if len(parts) > 1 and not SPLIT_NAME.fullmatch(parts[1])}
    per_label = Counter(label for label, _ in deeper)
    if not per_label or max(per_label.values()) < 2:
        return []
    names = sorted("/".join(parts) for parts in deeper)
    return [f"folders within labels, which are not labels: {format_names(names)}; give one label's folder to use them"]


def _common_parents(paths: Sequence[Parts]) -> Parts:
    """The folders that all paths begin with."""
    low, high = min(paths), max(paths)
    return tuple(a for a, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(low, high, strict=False)))
