"""Snapshots of a run: RUN/snapshots/IMAGES/, a model folder with the results of its evaluation (evaluation.json).

The best snapshot is chosen by held-out KID and by the share of copies, since the loss measures neither. All evaluations
of a run use the same seeds and the same held-out pictures, so the bootstrap resamples of two KIDs are paired: variance
that both share cancels in their difference.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import NormalDist, mean, stdev

from ..errors import InputError
from ..evaluation.metrics.interval import ConfidenceInterval
from ..io.files import remove_folder
from ..io.json_files import read_object, write_json
from ..io.json_types import parse_object
from ..models.picture_model import PictureModel

FOLDER, FILE = "snapshots", "evaluation.json"
FORMER_FILE = "checkup.json"  # in run folders of earlier versions
FORMER_KEYS = {"of": "total", "draws": "kid_resamples", "expected": "held_out_copies"}  # within that file


@dataclass(frozen=True)
class SnapshotEvaluation:
    """Results of evaluating some samples of a snapshot."""

    images: int  # training images that the model had seen
    total: int  # evaluations that the whole run makes
    samples: int  # samples that were evaluated
    kid: ConfidenceInterval | None  # × 1000, against held-out pictures; None: no feature net, or too few pictures
    kid_resamples: tuple[float, ...]  # of the bootstrap behind the interval, × 1000
    copies: ConfidenceInterval  # share of samples that are copies of training pictures, 0 to 1
    held_out_copies: ConfidenceInterval  # the same share for held-out pictures, which are no copies: chance level

    @property
    def is_copying(self) -> bool:
        """Whether there are more copies than chance explains."""
        return self.copies.low > self.held_out_copies.high

    @property
    def sort_key(self) -> tuple[bool, float]:
        """The smallest is the best. A snapshot that copies comes after all that do not."""
        quality = math.inf if self.kid is None else self.kid.value
        return self.is_copying, self.copies.value if self.is_copying or self.kid is None else quality


def is_clearly_better(candidate: SnapshotEvaluation, other: SnapshotEvaluation) -> bool:
    """Whether `candidate`, the best of all evaluations, is significantly better (5 %, Bonferroni-corrected).

    Without KIDs, only copies decide.
    """
    if candidate.is_copying != other.is_copying:
        return other.is_copying
    if candidate.is_copying or not candidate.kid_resamples:
        return False
    if len(candidate.kid_resamples) != len(other.kid_resamples):
        return False
    differences = [b - a for a, b in zip(candidate.kid_resamples, other.kid_resamples, strict=True)]
    return mean(differences) > NormalDist().inv_cdf(1 - 0.025 / max(candidate.total, 1)) * stdev(differences)


def write(folder: Path, evaluation: SnapshotEvaluation) -> None:
    """Write evaluation.json into the snapshot's model folder."""
    write_json(folder / FILE, asdict(evaluation))


def snapshot_folder(run: str | Path, images: int) -> Path:
    """The folder of the snapshot after `images` training images."""
    return Path(run) / FOLDER / f"{images:09d}"


def read_all(run: str | Path) -> list[SnapshotEvaluation]:
    """The evaluated snapshots of a run, oldest first; [] if there are none."""
    folders = sorted((Path(run) / FOLDER).glob("[0-9]*"))
    paths = [next((f / name for name in (FILE, FORMER_FILE) if (f / name).is_file()), None) for f in folders]
    return [_read(path) for path in paths if path is not None]


def _read(path: Path) -> SnapshotEvaluation:
    try:
        content = {FORMER_KEYS.get(key, key): value for key, value in read_object(path).items()}
        return parse_object(SnapshotEvaluation, content, "it")
    except InputError as error:
        raise InputError(
            f"{path} does not hold the evaluation of a snapshot: remove {path.parent} ({error})"
        ) from error


def find_best(evaluations: Sequence[SnapshotEvaluation]) -> SnapshotEvaluation:
    """The snapshot with the lowest KID among those that do not copy; of equals the newest."""
    return min(reversed(evaluations), key=lambda e: e.sort_key)


def prune(run: str | Path, first_resume: int) -> None:
    """Remove snapshots that can become neither the best nor the last of a run that may resume from `first_resume`
    training images or later."""
    known = read_all(run)
    old = [e for e in known if e.images <= first_resume]
    keep = {e.images for e in known if e.images > first_resume} | (
        {find_best(old).images, old[-1].images} if old else set()
    )
    for evaluation in known:
        if evaluation.images not in keep:
            remove_folder(snapshot_folder(run, evaluation.images))


def remove_after(run: str | Path, images: int) -> None:
    """Remove the snapshots after `images` training images, from where a run resumes."""
    for evaluation in read_all(run):
        if evaluation.images > images:
            remove_folder(snapshot_folder(run, evaluation.images))


def select_snapshot(run: str | Path) -> SnapshotEvaluation | None:
    """The snapshot that becomes the run's model: the last, unless the best is clearly better; None if there is none."""
    return _select(known) if (known := read_all(run)) else None


def best_model(run: str | Path, images: int, current: PictureModel) -> PictureModel:
    """The model of a run that ends after `images` images with `current`: that, or a clearly better snapshot.

    Snapshots that are neither the best nor the last are removed.
    """
    prune(run, images)
    pick = select_snapshot(run)
    if pick is None or pick.images == images:
        return current
    return PictureModel.from_pretrained(snapshot_folder(run, pick.images)).to(next(current.parameters()).device)


def _select(evaluations: Sequence[SnapshotEvaluation]) -> SnapshotEvaluation:
    first, last = find_best(evaluations), evaluations[-1]
    return first if first is not last and is_clearly_better(first, last) else last


def describe_selection(run: str | Path) -> str:
    """A sentence that says which snapshot the run's model is; "" if it is the last one."""
    known = read_all(run)
    if not known or (pick := _select(known)) is known[-1]:
        return ""
    last, choice = known[-1], f"the model is the snapshot after {pick.images:,} images, not the last one"
    if last.is_copying and not pick.is_copying:
        return f"{choice}: {last.copies.scaled(100):.0f} % of the last one's samples are copies of training pictures"
    assert pick.kid is not None and last.kid is not None
    return f"{choice}: its KID × 10³, {pick.kid:.0f}, is clearly below that of the last one, {last.kid:.0f}"


def find_folder(run: str | Path, name: str) -> Path:
    """The model folder of snapshot "best", "last" or after a number of images; without snapshots, the run's."""
    run, known = Path(run), read_all(run)
    if name in ("best", "last"):
        if not known:
            return run
        return snapshot_folder(run, (find_best(known) if name == "best" else known[-1]).images)
    if name.isdecimal() and (folder := snapshot_folder(run, int(name))).is_dir():
        return folder
    existing = ", ".join(str(e.images) for e in known)
    raise InputError(
        f"{run} has no snapshot {name!r}: give best or last" + (f", or one of {existing} (images)" if existing else "")
    )
