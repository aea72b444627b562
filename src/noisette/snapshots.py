"""RUN/snapshots/IMAGES/: what a run's model was at a check-up (a model folder), with what was found (checkup.json).

Which snapshot is the best is told by held-out KID and the share of copies, since the loss says nothing of either. All
check-ups of a run draw from the same seeds and are compared with the same held-out pictures, so the differences of
their resampled KIDs are paired: what is luck of the noise or of the held-out pictures is luck of both.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import NormalDist, mean, stdev
from typing import Any

from .errors import InputError
from .files import discard, read_json, write_json
from .metrics.interval import Interval

FOLDER, FILE = "snapshots", "checkup.json"


@dataclass(frozen=True)
class Checkup:
    """What some samples of a snapshot were found to be."""

    images: int  # that the model had seen
    of: int  # check-ups that the run makes
    samples: int
    kid: Interval | None  # × 1000, against held-out pictures; None: there is no feature net, or too few
    draws: tuple[float, ...]  # of the bootstrap behind the interval, × 1000
    copies: Interval  # share of samples that are copies of training pictures
    expected: Interval  # the same share of held-out pictures, which are certainly no copies

    @property
    def copying(self) -> bool:
        """More copies than chance explains."""
        return self.copies.low > self.expected.high

    @property
    def badness(self) -> tuple[bool, float]:
        """For comparing: the least is the best. One that copies comes after any that does not."""
        quality = math.inf if self.kid is None else self.kid.value
        return self.copying, self.copies.value if self.copying or self.kid is None else quality


def clearly_better(one: Checkup, other: Checkup) -> bool:
    """Whether `one`, picked among all check-ups, is better than `other` beyond doubt (5 %, Bonferroni's correction).

    Where there are no KIDs only copies can tell.
    """
    if one.copying != other.copying:
        return other.copying
    if one.copying or not one.draws or len(one.draws) != len(other.draws):
        return False
    differences = [b - a for a, b in zip(one.draws, other.draws, strict=True)]
    return mean(differences) > NormalDist().inv_cdf(1 - 0.025 / max(one.of, 1)) * stdev(differences)


def write(folder: Path, checkup: Checkup) -> None:
    """checkup.json, into the model folder of the snapshot."""
    write_json(folder / FILE, asdict(checkup))


def place(run: str | Path, images: int) -> Path:
    """The folder of the snapshot after so many images."""
    return Path(run) / FOLDER / f"{images:09d}"


def found(run: str | Path) -> list[Checkup]:
    """The snapshots of a run that a check-up looked at, oldest first; [] if it kept none."""
    return [_read(path) for path in sorted((Path(run) / FOLDER).glob(f"[0-9]*/{FILE}"))]


def _read(path: Path) -> Checkup:
    def interval(value: Any) -> Interval:
        return Interval(*(float(value[k]) for k in ("value", "low", "high")))

    told = read_json(path)
    try:
        return Checkup(
            images=int(told["images"]),
            of=int(told["of"]),
            samples=int(told["samples"]),
            kid=None if told["kid"] is None else interval(told["kid"]),
            draws=tuple(float(d) for d in told["draws"]),
            copies=interval(told["copies"]),
            expected=interval(told["expected"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} does not tell what a check-up found: remove {path.parent}") from error


def best(checkups: Sequence[Checkup]) -> Checkup:
    """The one with the least KID of those that do not copy; the newest of equals."""
    return min(reversed(checkups), key=lambda c: c.badness)


def prune(run: str | Path, since: int) -> None:
    """Remove what can no longer be the best or the last: a run may go on from any point at `since` images or later."""
    known = found(run)
    old = [c for c in known if c.images <= since]
    keep = {c.images for c in known if c.images > since} | ({best(old).images, old[-1].images} if old else set())
    for checkup in known:
        if checkup.images not in keep:
            discard(place(run, checkup.images))


def forget(run: str | Path, after: int) -> None:
    """Remove what a run that goes on from `after` images has not done yet."""
    for checkup in found(run):
        if checkup.images > after:
            discard(place(run, checkup.images))


def chosen(run: str | Path) -> Checkup | None:
    """The snapshot that is the run's model: the last, unless the best is clearly better; None if there is none."""
    return _chosen(known) if (known := found(run)) else None


def _chosen(known: Sequence[Checkup]) -> Checkup:
    first, last = best(known), known[-1]
    return first if first is not last and clearly_better(first, last) else last


def told(run: str | Path) -> str:
    """A sentence on which snapshot the run's model is; empty where it is the last one."""
    known = found(run)
    if not known or (pick := _chosen(known)) is known[-1]:
        return ""
    last, words = known[-1], f"the model is the snapshot after {pick.images:,} images, not the last one"
    if last.copying and not pick.copying:
        return f"{words}: {last.copies.scaled(100):.0f} % of what that one draws are copies of training pictures"
    assert pick.kid is not None and last.kid is not None
    return f"{words}: its KID × 10³ of {pick.kid:.0f} is clearly below that one's, {last.kid:.0f}"


def named(run: str | Path, name: str) -> Path:
    """The model folder that "best", "last" or a number of images means; of a run without check-ups, its model."""
    run, known = Path(run), found(run)
    if name in ("best", "last"):
        if not known:
            return run
        return place(run, (best(known) if name == "best" else known[-1]).images)
    if name.isdecimal() and (folder := place(run, int(name))).is_dir():
        return folder
    there = ", ".join(str(c.images) for c in known)
    raise InputError(
        f"{run} has no snapshot {name!r}: say best or last"
        + (f", or the images that one had seen: {there}" if there else "")
    )
