"""The training objective: a weighted squared error in x0, measured where the network lives.

    loss = w(α, σ) |x̂0 − x0|²  =  w(α, σ) c_out² |F̂ − F|²

A weighting is stated once, for x0; c_out carries it over to every parametrization.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from .condition import Condition
from .parametrization import Parametrization
from .schedule import Schedule
from .shapes import Images, PerImage


@runtime_checkable
class Weighting(Protocol):
    """The weight of a squared error in x0 at (α, σ)."""

    def __call__(self, alpha: Tensor, sigma: Tensor) -> Tensor: ...


@runtime_checkable
class Times(Protocol):
    """Draws the times at which a batch is trained: (B,) float64 in (0, 1], on the CPU."""

    def __call__(self, schedule: Schedule, batch: int, generator: torch.Generator) -> Tensor: ...


@dataclass(frozen=True)
class Simple:
    """Ho et al. 2020, L_simple: the plain error in ε, which is the SNR as a weight in x0."""

    def __call__(self, alpha: Tensor, sigma: Tensor) -> Tensor:
        return (alpha / sigma) ** 2


@dataclass(frozen=True)
class MinSNR:
    """Hang et al. 2023: the SNR, at most γ."""

    gamma: float = 5.0

    def __call__(self, alpha: Tensor, sigma: Tensor) -> Tensor:
        return ((alpha / sigma) ** 2).clamp(max=self.gamma)


@dataclass(frozen=True)
class EDMWeight:
    """Karras et al. 2022, Table 1: 1 / c_out², so that every noise level starts with a loss of one."""

    sigma_data: float = 0.5

    def __call__(self, alpha: Tensor, sigma: Tensor) -> Tensor:
        return (alpha / sigma) ** 2 + 1 / self.sigma_data**2


@dataclass(frozen=True)
class Steps:
    """Uniform over the steps of a discrete chain, as DDPM trains."""

    steps: int = 1000

    def __call__(self, schedule: Schedule, batch: int, generator: torch.Generator) -> Tensor:
        return torch.randint(1, self.steps + 1, (batch,), generator=generator).double() / self.steps


@dataclass(frozen=True)
class Uniform:
    """Uniform over continuous time, away from t = 0 by a little."""

    smallest: float = 1e-4

    def __call__(self, schedule: Schedule, batch: int, generator: torch.Generator) -> Tensor:
        u = torch.rand(batch, generator=generator, dtype=torch.float64)
        return self.smallest + (1 - self.smallest) * u


@dataclass(frozen=True)
class LogNormal:
    """Karras et al. 2022: ln(σ/α) ~ N(mean, std²), on any schedule."""

    mean: float = -1.2
    std: float = 1.2

    def __call__(self, schedule: Schedule, batch: int, generator: torch.Generator) -> Tensor:
        z = torch.randn(batch, generator=generator, dtype=torch.float64)
        return schedule.time((self.mean + self.std * z).exp()).clamp(min=1e-8)


@dataclass(frozen=True)
class Objective:
    """What is minimised: which times, which target, which weight."""

    schedule: Schedule
    parametrization: Parametrization
    weighting: Weighting = Simple()
    times: Times = Steps()

    def __call__(
        self,
        model: Callable[[Tensor, Tensor, Condition | None], Tensor],
        x0: Images,
        t: Float[Tensor, "b"],
        eps: Images,
        cond: Condition | None = None,
    ) -> PerImage:
        """The loss of every image of the batch at its time t and with its noise ε; a mean over C, H and W."""
        alpha, sigma = self.schedule.at(t, x0)
        out = model(alpha * x0 + sigma * eps, t, cond)
        error = out - self.parametrization.target(x0, eps, alpha, sigma)
        weight = self.weighting(alpha, sigma) * self.parametrization.x0_gain(alpha, sigma) ** 2
        return (weight * error**2).flatten(1).mean(1)
