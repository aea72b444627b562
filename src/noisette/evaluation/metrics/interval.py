"""Estimates with confidence intervals."""

import math
from dataclasses import dataclass
from statistics import NormalDist

from ...errors import InputError


@dataclass(frozen=True)
class ConfidenceInterval:
    """An estimate with the two-sided confidence interval around it."""

    value: float
    low: float
    high: float

    def __format__(self, spec: str) -> str:
        return f"{self.value:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"

    def scaled(self, factor: float) -> "ConfidenceInterval":
        """The same in another unit: all three times `factor`, which is positive."""
        return ConfidenceInterval(self.value * factor, self.low * factor, self.high * factor)


def wilson_interval(successes: int, trials: int, confidence: float = 0.95) -> ConfidenceInterval:
    """The share successes / trials with its score interval (Wilson 1927).

    The interval stays inside [0, 1] and has a width above 0 even at 0 of n and n of n. Raises InputError for 0 trials,
    and for more successes than trials.
    """
    if not 0 <= successes <= trials or trials == 0:
        raise InputError(f"a share needs at least 1 trial and 0 to {trials} successes, got {successes} of {trials}")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, shrink = successes / trials, 1 + z * z / trials
    center = (share + z * z / (2 * trials)) / shrink
    half = z / shrink * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    return ConfidenceInterval(share, max(0.0, center - half), min(1.0, center + half))
