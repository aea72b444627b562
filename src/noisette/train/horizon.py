"""How long a run is, and how far it has come.

Learning rate and everything else that changes along a run is a function of progress ∈ [0, 1], and progress is a
function of the images seen. A run of a given number of images has one straight line; a run of a given time re-aims its
line now and then at the images that the remaining time allows, so progress never jumps and always ends at 1.
"""

import math
from dataclasses import dataclass

from ..errors import InputError


@dataclass(frozen=True)
class Horizon:
    """Progress as a piecewise linear function of images: knots (images, progress), the last one (total, 1)."""

    knots: tuple[tuple[int, float], ...]

    @classmethod
    def of(cls, images: int) -> "Horizon":
        if images < 1:
            raise InputError(f"a run of {images} images trains nothing: ask for at least one batch")
        return cls(((0, 0.0), (images, 1.0)))

    @property
    def total(self) -> int:
        return self.knots[-1][0]

    def progress(self, images: int) -> float:
        """In [0, 1]."""
        if images >= self.total:
            return 1.0
        (a, p), (b, q) = next((lo, hi) for lo, hi in zip(self.knots, self.knots[1:], strict=False) if images < hi[0])
        return p + (q - p) * (images - a) / (b - a)

    def aimed(self, images: int, total: int) -> "Horizon":
        """The same past, and a straight line from `images` to the end at `total`."""
        here = (images, self.progress(images))
        past = tuple(k for k in self.knots[:-1] if k[0] < images)
        return Horizon((*past, here, (max(total, images + 1), 1.0)))


def learning_rate(progress: float, warmup: float, floor: float) -> float:
    """A share of the highest rate: a straight rise over `warmup`, then half a cosine down to `floor`."""
    if progress < warmup:
        return max(progress / warmup, 1e-3)
    rest = (progress - warmup) / max(1 - warmup, 1e-9)
    return floor + (1 - floor) * (1 + math.cos(math.pi * min(rest, 1.0))) / 2


@dataclass(frozen=True)
class TimeBox:
    """Re-aims a horizon so that the run ends `seconds` after `started` on the run's own clock.

    The rate is measured over all that the run does (steps, pictures along the way, checkpoints); `reserve`,
    in seconds, is kept for what comes after the last step.
    """

    seconds: float
    batch: int

    def aim(self, horizon: Horizon, images: int, now: float, since: tuple[int, float], reserve: float = 1.0) -> Horizon:
        """A new line if the old one would end more than half a per cent off. `since`: images and clock at the start."""
        done, spent = images - since[0], now - since[1]
        if done <= 0 or spent <= 0:
            return horizon
        left = max(self.seconds - reserve - now, 0.0) * done / spent
        total = images + max(1, round(left / self.batch)) * self.batch
        if abs(total - horizon.total) <= 0.005 * horizon.total:
            return horizon
        return horizon.aimed(images, total)
