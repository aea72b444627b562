"""Progress of a run as a function of the training images seen.

Learning rate and everything else that changes during a run is a function of progress, 0 to 1. In a run of a fixed
number of images progress is linear. With a time limit, its slope is adjusted now and then to the images that the
remaining time allows, so progress never jumps and always ends at 1.
"""

import math
from dataclasses import dataclass

from ..errors import InputError


@dataclass(frozen=True)
class ProgressSchedule:
    """Progress as a piecewise linear function of images: knots (images, progress), the last one (total, 1)."""

    knots: tuple[tuple[int, float], ...]

    @classmethod
    def linear(cls, images: int) -> "ProgressSchedule":
        """From 0 to 1 over `images` images."""
        if images < 1:
            raise InputError(f"a run needs at least one batch of images, got {images} images")
        return cls(((0, 0.0), (images, 1.0)))

    @property
    def total(self) -> int:
        """Images at which progress is 1."""
        return self.knots[-1][0]

    def progress(self, images: int) -> float:
        """Progress after `images` images, 0 to 1."""
        if images >= self.total:
            return 1.0
        (a, p), (b, q) = next((lo, hi) for lo, hi in zip(self.knots, self.knots[1:], strict=False) if images < hi[0])
        return p + (q - p) * (images - a) / (b - a)

    def retarget(self, images: int, total: int) -> "ProgressSchedule":
        """The same progress up to `images`, and from there a straight line to 1 at `total`."""
        here = (images, self.progress(images))
        past = tuple(k for k in self.knots[:-1] if k[0] < images)
        return ProgressSchedule((*past, here, (max(total, images + 1), 1.0)))

    def extend(self, images: int, total: int) -> "ProgressSchedule":
        """For a run that is made longer, to `total` images, when it has seen `images`.

        A finished run, which is at 1, goes back to where a run of the new length is after `images`, so that its
        learning rate falls to the end a second time. One that is not finished goes on from where it is.
        """
        if images < self.total:
            return self.retarget(images, total)
        return ProgressSchedule(((0, 0.0), (max(total, images + 1), 1.0)))


def lr_factor(progress: float, warmup: float, min_lr_ratio: float) -> float:
    """Learning rate over its highest value: linear warmup for `warmup` of the run, then a cosine to min_lr_ratio."""
    if progress < warmup:
        return max(progress / warmup, 1e-3)
    rest = (progress - warmup) / max(1 - warmup, 1e-9)
    return min_lr_ratio + (1 - min_lr_ratio) * (1 + math.cos(math.pi * min(rest, 1.0))) / 2


@dataclass(frozen=True)
class TimeBudget:
    """Adjusts a progress schedule so that the run ends after `seconds`, counted from its start.

    Speed is measured over everything that the run does: training steps, samples, evaluations, checkpoints.
    """

    seconds: float
    batch: int  # images per optimizer step
    max_images: int | None = None  # after so many training images the run ends, however much time is left

    def retarget(
        self,
        schedule: ProgressSchedule,
        images: int,
        elapsed: float,
        start: tuple[int, float],
        reserve: float = 1.0,
        slowdown: float = 1.0,
    ) -> ProgressSchedule:
        """A new schedule, if the old one would end more than 0.5 % off; otherwise the old one.

        `start`: images and elapsed seconds at the moment since when speed is measured. `reserve`: seconds that are
        needed after the last step. `slowdown`: the expected duration of a step from now on, over that since `start`.
        """
        done, spent = images - start[0], elapsed - start[1]
        if done <= 0 or spent <= 0:
            return schedule
        left = max(self.seconds - reserve - elapsed, 0.0) * done / spent / slowdown
        total = images + max(1, round(left / self.batch)) * self.batch
        if self.max_images is not None:
            total = min(total, max(self.max_images, images + self.batch))
        if abs(total - schedule.total) <= 0.005 * schedule.total:
            return schedule
        return schedule.retarget(images, total)
