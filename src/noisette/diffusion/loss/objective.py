"""The weighted squared error.

loss = w(α, σ) |x̂0 − x0|²  =  w(α, σ) c_out² |F̂ − F|²
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from ...shapes import Images, PerImage
from ..condition import Condition
from ..parametrization import Parametrization
from ..schedule import Schedule
from .timesteps import Steps, TimestepSampler
from .weighting import Simple, Weighting

Network = Callable[[Tensor, Tensor, Condition | None], Tensor]  # (x_t, t, cond) -> F


@runtime_checkable
class Loss(Protocol):
    """A training loss per image, and the distribution of the times at which it is evaluated."""

    @property
    def schedule(self) -> Schedule:
        """The noise schedule of training."""
        ...

    @property
    def times(self) -> TimestepSampler:
        """The distribution of the training times."""
        ...

    def __call__(self, model: Network, x0: Tensor, t: Tensor, eps: Tensor, cond: Condition | None = None) -> Tensor:
        """The loss of each image, (B,), of pictures x0 (B, C, H, W) at times t (B,) with noise eps (B, C, H, W)."""
        ...


@dataclass(frozen=True, eq=False)
class LossWrapper:
    """Base class of a loss that is made from another one and has its schedule and times."""

    loss: Loss

    @property
    def schedule(self) -> Schedule:
        return self.loss.schedule

    @property
    def times(self) -> TimestepSampler:
        return self.loss.times


@dataclass(frozen=True)
class Objective:
    """The squared error of the prediction, weighted by `weighting`, at times sampled by `times`: w(α, σ) |x̂0 − x0|².

    Defaults: L_simple on the steps of a chain (Ho et al. 2020, eq. 14).
    """

    schedule: Schedule
    parametrization: Parametrization
    weighting: Weighting = Simple()
    times: TimestepSampler = Steps()

    def __call__(
        self, model: Network, x0: Images, t: Float[Tensor, "b"], eps: Images, cond: Condition | None = None
    ) -> PerImage:
        """The loss of each image, (B,), at its time t and with its noise eps: the mean over C, H and W."""
        alpha, sigma = self.schedule.at(t, x0)
        return self.loss_from_output(model(alpha * x0 + sigma * eps, t, cond), x0, t, eps)

    def loss_from_output(self, output: Images, x0: Images, t: Float[Tensor, "b"], eps: Images) -> PerImage:
        """The loss of a network output F at x_t = α x0 + σ ε."""
        alpha, sigma = self.schedule.at(t, x0)
        error = output - self.parametrization.target(x0, eps, alpha, sigma)
        weight = self.weighting(alpha, sigma) * self.parametrization.x0_gain(alpha, sigma) ** 2
        return (weight * error**2).flatten(1).mean(1)
