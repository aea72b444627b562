"""One step of the reverse process: the exact q(x_s | x_t, x0) and the model's p(x_s | x_t).

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

from ..errors import InputError
from ..shapes import Images, Time
from .denoiser import Prediction
from .schedule import Schedule, broadcast_like


def added_variance_ratio(schedule: Schedule, t: Tensor, s: Tensor) -> Tensor:
    """g = 1 − (r_s / r_t)²: the fraction of σ_t² that is added between s and t; 0 for s ≥ t. Of t's shape."""
    return (1 - (schedule.ratio(s) / schedule.ratio(t)) ** 2).clamp(min=0)


def fixed_small_std(schedule: Schedule, t: Tensor, s: Tensor) -> Tensor:
    """The standard deviation of q(x_s | x_t, x0), β̃_t^½ on a chain; of t's shape."""
    return schedule(s)[1] * added_variance_ratio(schedule, t, s).sqrt()


def fixed_large_std(schedule: Schedule, t: Tensor, s: Tensor) -> Tensor:
    """The standard deviation of q(x_t | x_s), β_t^½ on a chain; of t's shape."""
    return schedule(t)[1] * added_variance_ratio(schedule, t, s).sqrt()


def clipped_small_std(schedule: Schedule, t: Tensor, s: Tensor) -> Tensor:
    """`fixed_small_std`, except for s = 0, where that is zero: there it is the value of the step from 2t to t.

    On a chain this is the "clipped" posterior variance of Ho et al. and Nichol & Dhariwal, which makes the likelihood
    of the last step finite.
    """
    last = fixed_small_std(schedule, (2 * t).clamp(max=1.0), t)
    return torch.where(s > 0, fixed_small_std(schedule, t, s), last).clamp(min=1e-10)


def posterior_mean(schedule: Schedule, pred: Prediction, x: Images, t: Time, s: Time) -> Images:
    """The mean of q(x_s | x_t, x0) for a predicted (x0, ε): (B, C, H, W)."""
    alpha, sigma = schedule(s)
    kept = (sigma**2 - fixed_small_std(schedule, t, s) ** 2).clamp(min=0).sqrt()
    return broadcast_like(alpha, x) * pred.x0 + broadcast_like(kept, x) * pred.eps


@runtime_checkable
class Variance(Protocol):
    """The standard deviation of p(x_s | x_t): positive, and shaped to broadcast against x."""

    def __call__(self, schedule: Schedule, pred: Prediction, x: Tensor, t: Tensor, s: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class FixedSmall:
    """β̃_t, optimal for data that is one known picture (Ho et al. 2020, section 3.2)."""

    def __call__(self, schedule: Schedule, pred: Prediction, x: Images, t: Time, s: Time) -> Tensor:
        return broadcast_like(clipped_small_std(schedule, t, s), x)


@dataclass(frozen=True)
class FixedLarge:
    """β_t, optimal for x0 ~ N(0, 1) (Ho et al. 2020, section 3.2)."""

    def __call__(self, schedule: Schedule, pred: Prediction, x: Images, t: Time, s: Time) -> Tensor:
        return broadcast_like(fixed_large_std(schedule, t, s), x)


@dataclass(frozen=True)
class LearnedRange:
    """Predicted by the network per pixel, between `FixedSmall` and `FixedLarge` (Nichol & Dhariwal 2021, eq. 15).

    The network's v interpolates the logarithms: −1 is `FixedSmall`, 1 is `FixedLarge`, as in their code. Raises
    `InputError` for a prediction without v.
    """

    def __call__(self, schedule: Schedule, pred: Prediction, x: Images, t: Time, s: Time) -> Tensor:
        if pred.variance is None:
            raise InputError(
                "this model did not learn a variance, which LearnedRange needs: choose FixedSmall or FixedLarge"
            )
        fraction = (pred.variance + 1) / 2
        low = broadcast_like(clipped_small_std(schedule, t, s), x).log()
        high = broadcast_like(fixed_large_std(schedule, t, s), x).log()
        return (low + fraction * (high - low)).exp()
