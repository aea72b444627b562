"""Which times a batch is trained at.

A rule is stated as its quantile function, so that it can be drawn from independently or in strata.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from ..schedule import Schedule

Batch = Float[Tensor, "b"]


@runtime_checkable
class Times(Protocol):
    """Draws the times at which a batch is trained: (B,) float64 in (0, 1], on the CPU."""

    def __call__(self, schedule: Schedule, batch: int, generator: torch.Generator) -> Tensor: ...


@runtime_checkable
class Quantiles(Times, Protocol):
    """Times by their quantile function."""

    def quantile(self, schedule: Schedule, u: Tensor) -> Tensor:
        """The time below which a share u ∈ [0, 1) of the draws lies, and above it the rest."""
        ...


@dataclass(frozen=True)
class Steps:
    """Uniform over the steps of a discrete chain, as DDPM trains."""

    steps: int = 1000

    def __call__(self, schedule: Schedule, batch: int, generator: torch.Generator) -> Batch:
        return self.quantile(schedule, _uniform(batch, generator))

    def quantile(self, schedule: Schedule, u: Batch) -> Batch:
        return ((u * self.steps).floor() + 1).clamp(max=self.steps) / self.steps


@dataclass(frozen=True)
class Uniform:
    """Uniform over continuous time, away from t = 0 by a little. With a rectified flow: plain flow matching."""

    smallest: float = 1e-4

    def __call__(self, schedule: Schedule, batch: int, generator: torch.Generator) -> Batch:
        return self.quantile(schedule, _uniform(batch, generator))

    def quantile(self, schedule: Schedule, u: Batch) -> Batch:
        return self.smallest + (1 - self.smallest) * u


@dataclass(frozen=True)
class LogNormal:
    """Karras et al. 2022: ln(σ/α) ~ N(mean, std²), on any schedule.

    On a rectified flow σ/α = t / (1 − t), so these are the logit-normal times of Esser et al. 2024.
    """

    mean: float = -1.2
    std: float = 1.2

    def __call__(self, schedule: Schedule, batch: int, generator: torch.Generator) -> Batch:
        z = torch.randn(batch, generator=generator, dtype=torch.float64)
        return self._time(schedule, z)

    def quantile(self, schedule: Schedule, u: Batch) -> Batch:
        return self._time(schedule, torch.special.ndtri(u.clamp(1e-9, 1 - 1e-9)))

    def _time(self, schedule: Schedule, z: Tensor) -> Tensor:
        return schedule.time((self.mean + self.std * z).exp()).clamp(min=1e-8)


@dataclass(frozen=True)
class Stratified:
    """One draw from each of B equal strata, in random order: the same rule with less luck (Kingma et al. 2021,
    appendix I.1, draws one number and spaces the rest; here each stratum draws its own)."""

    times: Quantiles = Steps()

    def __call__(self, schedule: Schedule, batch: int, generator: torch.Generator) -> Batch:
        u = (torch.arange(batch, dtype=torch.float64) + _uniform(batch, generator)) / batch
        return self.times.quantile(schedule, u[torch.randperm(batch, generator=generator)])


def _uniform(batch: int, generator: torch.Generator) -> Tensor:
    return torch.rand(batch, generator=generator, dtype=torch.float64)
