"""What is minimised.

loss = w(α, σ) |x̂0 − x0|²  =  w(α, σ) c_out² |F̂ − F|²
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from ..condition import Condition
from ..parametrization import Parametrization
from ..schedule import Schedule
from ..shapes import Images, PerImage
from .times import Steps, Times
from .weighting import Simple, Weighting

Network = Callable[[Tensor, Tensor, Condition | None], Tensor]  # (x_t, t, cond) -> F


@runtime_checkable
class Loss(Protocol):
    """A training loss, image by image, and the times at which it wants to be measured."""

    @property
    def schedule(self) -> Schedule: ...

    @property
    def times(self) -> Times: ...

    def __call__(self, model: Network, x0: Tensor, t: Tensor, eps: Tensor, cond: Condition | None = None) -> Tensor: ...


@dataclass(frozen=True)
class Objective:
    """A weighted squared error: which times, which target, which weight."""

    schedule: Schedule
    parametrization: Parametrization
    weighting: Weighting = Simple()
    times: Times = Steps()

    def __call__(
        self, model: Network, x0: Images, t: Float[Tensor, "b"], eps: Images, cond: Condition | None = None
    ) -> PerImage:
        """The loss of every image of the batch at its time t and with its noise ε; a mean over C, H and W."""
        alpha, sigma = self.schedule.at(t, x0)
        return self.error(model(alpha * x0 + sigma * eps, t, cond), x0, t, eps)

    def error(self, out: Images, x0: Images, t: Float[Tensor, "b"], eps: Images) -> PerImage:
        """The loss of what a network answered."""
        alpha, sigma = self.schedule.at(t, x0)
        off = out - self.parametrization.target(x0, eps, alpha, sigma)
        weight = self.weighting(alpha, sigma) * self.parametrization.x0_gain(alpha, sigma) ** 2
        return (weight * off**2).flatten(1).mean(1)
