"""A figure and how sure one can be of it."""

import math
from dataclasses import dataclass
from statistics import NormalDist

from ..errors import InputError


@dataclass(frozen=True)
class Interval:
    """An estimate with the two-sided confidence interval around it."""

    value: float
    low: float
    high: float

    def __format__(self, spec: str) -> str:
        return f"{self.value:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"

    def scaled(self, by: float) -> "Interval":
        """The same in another unit; `by` is positive."""
        return Interval(self.value * by, self.low * by, self.high * by)


def wilson(hits: int, of: int, level: float = 0.95) -> Interval:
    """A share and its score interval (Wilson 1927), which stays inside [0, 1] and is not empty at 0 of n or n of n."""
    if not 0 <= hits <= of or of == 0:
        raise InputError(f"{hits} of {of} is no share: count at least one case and at most all of them")
    z = NormalDist().inv_cdf((1 + level) / 2)
    share, shrink = hits / of, 1 + z * z / of
    centre = (share + z * z / (2 * of)) / shrink
    half = z / shrink * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return Interval(share, max(0.0, centre - half), min(1.0, centre + half))
