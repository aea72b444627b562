"""Labels from the names of folders."""

import itertools
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import PurePosixPath

from .dataset_json import is_packed
from .entry import normalize_name
from .listing import format_names

_ENDING = r"([-_ ]?(set|data|images|\d+))?"
# "train", "Test_set", "valid-1"; also with a name before, as in seg_train and seg_test
TRAINING_NAME = re.compile(rf"(?P<of>.+[-_ ])?(train|training|trainval|train[-_ ]val|development){_ENDING}", re.I)
TEST_NAME = re.compile(rf"(?P<of>.+[-_ ])?(test|testing|val|valid|validation|dev|evaluation){_ENDING}", re.I)
REST_NAME = re.compile(
    rf"(?P<of>.+[-_ ])?(extra|unlabell?ed|pred|prediction|eval|holdout|hold[-_ ]out|background){_ENDING}", re.I
)
FOLD_NAME = re.compile(r"(?P<of>)fold[-_ ]?\d+", re.I)  # of a cross-validation
DOMAIN_NAME = re.compile(
    r"(?P<split>train|test|val)[-_ ]?(?P<label>[A-Z])"
)  # trainA and testB, of pictures to translate
# parts of a set that was too large for one folder: images_001, HAM10000_images_part_2, shard-3; and a camera's 100CANON
PART_NAME = re.compile(
    r"(?P<of>(.+[-_ ])?(part|images?|imgs?|pictures|photos|shard|batch|chunk|archive))[-_ ]?\d+"
    r"|\d{3}(?P<of_>[A-Z_]{5})",
    re.I,
)

CONTAINER_NAME = re.compile(r"im(a?ge?)?s?|pictures?|photos?", re.I)

Parts = tuple[str, ...]  # the folders in the path of a picture


def find_folder_labels(pictures: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """The label of each picture that has one, and notes on what the folders were taken for.

    A label is the first folder in a picture's path that is not shared by all pictures. The folders of a set's splits
    (train, test, …) are no labels: those are in the folders below. Nor are the folders of a packed set, those of its
    parts (images_001, …), nor a second copy of the set inside of it.
    """
    if is_packed(pictures):
        return {}, ["folders 00000, 00001, … hold the parts of a packed set, so they are not labels"]
    folders = {n: PurePosixPath(normalize_name(n)).parts[:-1] for n in pictures}
    shared = _common_parents(list(folders.values()))
    below, notes = _unnest({n: parts[len(shared) :] for n, parts in folders.items()})
    if domains := _find_domains(below):
        return domains, [*notes, "labels are the letters of folders like trainA and testB, which are splits of one set"]
    levels = _find_splits(below), _find_parts(below)
    for names, meaning in zip(levels, ("splits of one set", "parts of one set"), strict=True):
        if names:
            described = ", ".join(f"{name} ({count})" for name, count in names.items())
            end = "; training makes its own split" if meaning.startswith("splits") else ""
            notes.append(f"the folders {described} are {meaning}, not labels{end}")
            below = _drop_first(below, names)
            break
    labels = {n: parts[0] for n, parts in below.items() if parts}
    if shared and not labels and not any(levels):
        notes.append(f"all pictures are in one folder, {'/'.join(shared)}, so its name is not used as a label")
    elif labels and (without := len(pictures) - len(labels)):
        notes.append(f"pictures outside subfolders, without a label: {without}")
    return labels, notes + _note_deeper(below)


def _unnest(below: Mapping[str, Parts]) -> tuple[dict[str, Parts], list[str]]:
    """The folders without that of a copy of the set inside of it, as in some archives: set/a, set/b, set/set/a, …"""
    inner: dict[str, set[str]] = {}
    for parts in below.values():
        if parts:
            inner.setdefault(parts[0], set()).update(parts[1:2])
    for name, names in inner.items():
        if len(names) > 1 and names == inner.keys() - {name}:
            note = f"the folder {name} holds the same folders as the one around it, so it is not a label"
            return {n: parts[1:] if parts[:1] == (name,) else parts for n, parts in below.items()}, [note]
    return dict(below), []


def _find_domains(below: Mapping[str, Parts]) -> dict[str, str]:
    """The labels of a set of trainA, trainB, testA, …; empty if it is no such set."""
    found = {n: DOMAIN_NAME.fullmatch(parts[0]) if parts else None for n, parts in below.items()}
    matches = [match for match in found.values() if match]
    if len(matches) < len(found) or min(len({m[key] for m in matches}) for key in ("split", "label")) < 2:
        return {}
    return {n: match["label"] for n, match in found.items() if match}


def _find_splits(below: Mapping[str, Parts]) -> dict[str, int]:
    """The number of pictures in each of a set's splits; empty if the first folders are not splits.

    Beside both training and test pictures that have labels there may be folders of other things.
    """
    counts = Counter(parts[0] for parts in below.values() if parts)
    if _are_splits(counts):
        return dict(sorted(counts.items()))
    labeled = {parts[0] for parts in below.values() if len(parts) > 1}
    splits = {name: n for name, n in counts.items() if _is_split(name)}
    is_set = any(TRAINING_NAME.fullmatch(n) for n in splits) and any(TEST_NAME.fullmatch(n) for n in splits)
    return dict(sorted(splits.items())) if is_set and labeled & splits.keys() and _are_splits(splits) else {}


def _is_split(name: str) -> bool:
    return any(pattern.fullmatch(name) for pattern in (TRAINING_NAME, TEST_NAME, FOLD_NAME))


def _are_splits(names: Collection[str]) -> bool:
    """Whether these are the splits of one set: all begin alike, and at least one is a part to train or test on."""
    if len(names) < 2 or not any(map(_is_split, names)):
        return False
    patterns = TRAINING_NAME, TEST_NAME, REST_NAME, FOLD_NAME
    found = [next(filter(None, (p.fullmatch(n) for p in patterns)), None) for n in names]
    return None not in found and len({(match["of"] or "").lower() for match in found if match}) == 1


def _find_parts(below: Mapping[str, Parts]) -> dict[str, int]:
    """The number of pictures in each part of a set; empty if the first folders are not parts.

    img2dataset's parts have five digits, with which the names of their pictures begin.
    """
    counts = Counter(parts[0] if parts else "" for parts in below.values())
    found = [PART_NAME.fullmatch(name) for name in counts]
    beginnings = {((m["of"] or m["of_"] or "").lower()) if m else None for m in found}
    is_numbered = all(
        parts and re.fullmatch(r"\d{5}", parts[0]) and PurePosixPath(n).stem.startswith(parts[0])
        for n, parts in below.items()
    )
    is_parts = len(counts) > 1 and (is_numbered or (len(beginnings) == 1 and None not in beginnings))
    return dict(sorted(counts.items())) if is_parts else {}


def _drop_first(below: Mapping[str, Parts], names: Collection[str]) -> dict[str, Parts]:
    """The folders below those of these names, without the ones that all pictures of a split share ("images").

    Nor are folders labels that repeat the split: training_set/training_set/cat. Folders beside the splits are none.
    """
    rest = {n: parts[1:] if parts[:1] and parts[0] in names else () for n, parts in below.items()}
    if all(rest[n][:1] in ((), parts[:1]) for n, parts in below.items()):
        rest = {n: parts[1:] for n, parts in rest.items()}
    shared = len(_common_parents([parts for n, parts in rest.items() if below[n][:1] and below[n][0] in names]))
    rest = {n: parts[shared:] for n, parts in rest.items()}
    containers = {parts for parts in rest.values() if len(parts) == 1 and CONTAINER_NAME.fullmatch(parts[0])}
    return {n: () if parts in containers else parts for n, parts in rest.items()}


def _note_deeper(below: Mapping[str, Parts]) -> list[str]:
    """A note if folders within labels differ, and so may be what somebody meant."""
    deeper = {parts[:2] for parts in below.values() if len(parts) > 1 and not _is_split(parts[1])}
    per_label = Counter(label for label, _ in deeper)
    if not per_label or max(per_label.values()) < 2:
        return []
    names = sorted("/".join(parts) for parts in deeper)
    return [f"folders within labels, which are not labels: {format_names(names)}; give one label's folder to use them"]


def _common_parents(paths: Sequence[Parts]) -> Parts:
    """The folders that all paths begin with."""
    low, high = min(paths), max(paths)
    return tuple(a for a, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(low, high, strict=False)))
