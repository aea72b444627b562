"""Distributions of the training times.

A distribution is given by its quantile function, so that it can be sampled independently or stratified.
"""

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from ...errors import InputError, check_range
from ..schedule import MAX_CHAIN_STEPS, Schedule

BatchTimes = Float[Tensor, "b"]


@runtime_checkable
class TimestepSampler(Protocol):
    """Samples the training times of a batch: (B,) float64 in (0, 1], on the CPU.

    A timestep sampler of your own implements `__call__`.
    """

    def __call__(self, schedule: Schedule, batch_size: int, generator: torch.Generator) -> Tensor:
        """`batch_size` times, with all randomness from `generator`, which is on the CPU."""
        ...


@runtime_checkable
class QuantileSampler(TimestepSampler, Protocol):
    """A distribution of times with a quantile function."""

    def quantile(self, schedule: Schedule, u: Tensor) -> Tensor:
        """The inverse of the distribution function at u ∈ [0, 1); of u's shape."""
        ...


@dataclass(frozen=True)
class Steps:
    """Uniform over the times k / steps, k = 1 … steps, of a discrete chain (Ho et al. 2020)."""

    steps: int = 1000

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= MAX_CHAIN_STEPS:
            raise InputError(f"steps must be 1 to {MAX_CHAIN_STEPS}, got {self.steps}")

    def __call__(self, schedule: Schedule, batch_size: int, generator: torch.Generator) -> BatchTimes:
        return self.quantile(schedule, _draw_uniform(batch_size, generator))

    def quantile(self, schedule: Schedule, u: BatchTimes) -> BatchTimes:
        return ((u * self.steps).floor() + 1).clamp(max=self.steps) / self.steps


@dataclass(frozen=True)
class Uniform:
    """Uniform on [smallest, 1] (Lipman et al. 2023, with `RectifiedFlow`). smallest: above 0, at most 1."""

    smallest: float = 1e-4

    def __post_init__(self) -> None:
        check_range("smallest", self.smallest, 0, 1, above=True)

    def __call__(self, schedule: Schedule, batch_size: int, generator: torch.Generator) -> BatchTimes:
        return self.quantile(schedule, _draw_uniform(batch_size, generator))

    def quantile(self, schedule: Schedule, u: BatchTimes) -> BatchTimes:
        return self.smallest + (1 - self.smallest) * u


@dataclass(frozen=True)
class LogNormal:
    """ln(σ/α) ~ N(mean, std²), on any schedule (Karras et al. 2022).

    On a rectified flow σ/α = t / (1 − t), which gives the logit-normal times of Esser et al. 2024.
    mean: any number. std: above 0.
    """

    mean: float = -1.2
    std: float = 1.2

    def __post_init__(self) -> None:
        check_range("mean", self.mean, -math.inf)
        check_range("std", self.std, 0, above=True)

    def __call__(self, schedule: Schedule, batch_size: int, generator: torch.Generator) -> BatchTimes:
        z = torch.randn(batch_size, generator=generator, dtype=torch.float64, device="cpu")
        return self._time_from_normal(schedule, z)

    def quantile(self, schedule: Schedule, u: BatchTimes) -> BatchTimes:
        return self._time_from_normal(schedule, torch.special.ndtri(u.clamp(1e-9, 1 - 1e-9)))

    def _time_from_normal(self, schedule: Schedule, z: Tensor) -> Tensor:
        return schedule.time_at_ratio((self.mean + self.std * z).exp()).clamp(min=1e-8)


@dataclass(frozen=True)
class Stratified:
    """One sample from each of B equal strata of `times`, in random order: the same distribution, with less variance.

    Kingma et al. 2021, appendix I.1, space one random offset evenly; here each stratum has its own random offset.
    """

    times: QuantileSampler = Steps()

    def __call__(self, schedule: Schedule, batch_size: int, generator: torch.Generator) -> BatchTimes:
        u = (
            torch.arange(batch_size, dtype=torch.float64, device="cpu") + _draw_uniform(batch_size, generator)
        ) / batch_size
        return self.times.quantile(schedule, u[torch.randperm(batch_size, generator=generator, device="cpu")])


def _draw_uniform(batch_size: int, generator: torch.Generator) -> Tensor:
    return torch.rand(batch_size, generator=generator, dtype=torch.float64, device="cpu")
