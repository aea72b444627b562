"""One step of the reverse process: q(x_s | x_t, x0), and the model's p(x_s | x_t) that stands in for it.

With r = σ/α and g = 1 − (r_s / r_t)², for any schedule and any s < t,

    q(x_t | x_s)      has variance  σ_t² g     ("fixed large"; β_t on a chain)
    q(x_s | x_t, x0)  has variance  σ_s² g     ("fixed small"; β̃_t on a chain)
                      and mean      α_s x0 + √(σ_s² − σ_s² g) ε

(Ho et al. 2020, eq. 6 and 7; Song et al. 2021, eq. 7), where (x0, ε) is any pair with x_t = α_t x0 + σ_t ε.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from .denoiser import Prediction
from .errors import InputError
from .schedule import Schedule, like
from .shapes import Images, Time


def gain(schedule: Schedule, t: Tensor, s: Tensor) -> Tensor:
    """g = 1 − (r_s / r_t)², the share of σ_t² that the step from s to t added; 0 for a step backwards."""
    return (1 - (schedule.ratio(s) / schedule.ratio(t)) ** 2).clamp(min=0)


def small(schedule: Schedule, t: Tensor, s: Tensor) -> Tensor:
    """The standard deviation of q(x_s | x_t, x0); of t's shape."""
    return schedule(s)[1] * gain(schedule, t, s).sqrt()


def large(schedule: Schedule, t: Tensor, s: Tensor) -> Tensor:
    """The standard deviation of q(x_t | x_s); of t's shape."""
    return schedule(t)[1] * gain(schedule, t, s).sqrt()


def floored(schedule: Schedule, t: Tensor, s: Tensor) -> Tensor:
    """`small`, but in the step to s = 0, where it is zero, that of the step before: of 2t to t.

    On a chain that is the "clipped" posterior variance of Ho et al. and Nichol & Dhariwal, which gives the last step a
    likelihood.
    """
    last = small(schedule, (2 * t).clamp(max=1.0), t)
    return torch.where(s > 0, small(schedule, t, s), last).clamp(min=1e-10)


def mean(schedule: Schedule, pred: Prediction, x: Images, t: Time, s: Time) -> Images:
    """The mean of q(x_s | x_t, x0) for a predicted pair: (B, C, H, W)."""
    alpha, sigma = schedule(s)
    kept = (sigma**2 - small(schedule, t, s) ** 2).clamp(min=0).sqrt()
    return like(alpha, x) * pred.x0 + like(kept, x) * pred.eps


@runtime_checkable
class Variance(Protocol):
    """How wide p(x_s | x_t) is: a standard deviation that broadcasts against x. Never zero."""

    def __call__(self, schedule: Schedule, pred: Prediction, x: Tensor, t: Tensor, s: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class FixedSmall:
    """Right if x0 is known (Ho et al. 2020, section 3.2: β̃_t)."""

    def __call__(self, schedule: Schedule, pred: Prediction, x: Images, t: Time, s: Time) -> Tensor:
        return like(floored(schedule, t, s), x)


@dataclass(frozen=True)
class FixedLarge:
    """Right if x0 ~ N(0, 1) (Ho et al. 2020, section 3.2: β_t)."""

    def __call__(self, schedule: Schedule, pred: Prediction, x: Images, t: Time, s: Time) -> Tensor:
        return like(large(schedule, t, s), x)


@dataclass(frozen=True)
class LearnedRange:
    """Between the two, pixel by pixel, in the logarithm (Nichol & Dhariwal 2021, eq. 15).

    The network's v is −1 for small and 1 for large, as in their code.
    """

    def __call__(self, schedule: Schedule, pred: Prediction, x: Images, t: Time, s: Time) -> Tensor:
        if pred.variance is None:
            raise InputError("this model did not learn a variance: choose FixedSmall or FixedLarge")
        share = (pred.variance + 1) / 2
        low, high = like(floored(schedule, t, s), x).log(), like(large(schedule, t, s), x).log()
        return (low + share * (high - low)).exp()
