"""What the network predicts.

Every parametrization in use is a mixture F = a x0 + b ε whose weights depend on the noise level alone.
With x_t = α x0 + σ ε that is two equations in two unknowns, so (a, b) is all there is to say: the training
target is the mixture, and inference inverts the 2 × 2 system, whose determinant is a σ − b α.
"""

import abc
from dataclasses import dataclass

import torch
from torch import Tensor

from .errors import InputError


class Parametrization(abc.ABC):
    """F = a x0 + b ε."""

    @abc.abstractmethod
    def weights(self, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """Return (a, b)."""

    def input_scale(self, alpha: Tensor, sigma: Tensor) -> Tensor:
        """c_in: what x_t is multiplied with before the network sees it."""
        return torch.ones_like(sigma)

    def target(self, x0: Tensor, eps: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """What the network should have answered."""
        a, b = self.weights(alpha, sigma)
        return a * x0 + b * eps

    def solve(self, out: Tensor, x_t: Tensor, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """Recover (x0, ε) from the network's output and x_t."""
        a, b = self.weights(alpha, sigma)
        det = a * sigma - b * alpha
        return (sigma / det) * out - (b / det) * x_t, (a / det) * x_t - (alpha / det) * out

    def x0_gain(self, alpha: Tensor, sigma: Tensor) -> Tensor:
        """|c_out|: the size of the error in x0 that an error of 1 in F makes."""
        a, b = self.weights(alpha, sigma)
        return (sigma / (a * sigma - b * alpha)).abs()


@dataclass(frozen=True)
class Epsilon(Parametrization):
    """Ho et al. 2020: predict the noise. Says nothing about x0 where α = 0."""

    def weights(self, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        return torch.zeros_like(alpha), torch.ones_like(sigma)


@dataclass(frozen=True)
class X0(Parametrization):
    """Predict the image."""

    def weights(self, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        return torch.ones_like(alpha), torch.zeros_like(sigma)


@dataclass(frozen=True)
class V(Parametrization):
    """Salimans & Ho 2022: v = α ε − σ x0."""

    def weights(self, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        return -sigma, alpha


@dataclass(frozen=True)
class Flow(Parametrization):
    """Liu et al. 2022, Lipman et al. 2023: u = ε − x0."""

    def weights(self, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        return -torch.ones_like(alpha), torch.ones_like(sigma)


@dataclass(frozen=True)
class EDM(Parametrization):
    """Karras et al. 2022, Table 1: input and target of unit variance for data of standard deviation σ_d."""

    sigma_data: float = 0.5

    def __post_init__(self) -> None:
        if not self.sigma_data > 0:
            raise InputError(f"sigma_data is {self.sigma_data}: it is the data's standard deviation, above 0")

    def input_scale(self, alpha: Tensor, sigma: Tensor) -> Tensor:
        return (alpha * self.sigma_data).square().add(sigma.square()).rsqrt()

    def weights(self, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        scale = self.input_scale(alpha, sigma)
        return sigma * scale / self.sigma_data, -alpha * scale * self.sigma_data
