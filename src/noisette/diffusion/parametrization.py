"""Parametrizations: what the network predicts.

Each is a mixture F = a x0 + b ε whose weights depend on (α, σ) only. The training target is this mixture. At inference,
F and x_t = α x0 + σ ε are two linear equations for x0 and ε, with determinant a σ − b α.
"""

import abc
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import check_range


class Parametrization(abc.ABC):
    """What a network predicts: F = a x0 + b ε. A parametrization of your own implements `weights`.

    α and σ have shape (), (B,) or one that broadcasts against the images.
    """

    @abc.abstractmethod
    def weights(self, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """Return (a, b), of the shape of α and σ."""

    def input_scale(self, alpha: Tensor, sigma: Tensor) -> Tensor:
        """c_in: the factor of x_t at the network's input; 1 by default."""
        return torch.ones_like(sigma)

    def target(self, x0: Tensor, eps: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """The training target F = a x0 + b ε."""
        a, b = self.weights(alpha, sigma)
        return a * x0 + b * eps

    def solve(self, out: Tensor, x_t: Tensor, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """Compute (x0, ε) from the network's output F and x_t."""
        a, b = self.weights(alpha, sigma)
        det = a * sigma - b * alpha
        return (sigma / det) * out - (b / det) * x_t, (a / det) * x_t - (alpha / det) * out

    def x0_gain(self, alpha: Tensor, sigma: Tensor) -> Tensor:
        """|c_out| = |∂x0/∂F|: the error in x0 caused by an error of 1 in F."""
        a, b = self.weights(alpha, sigma)
        return (sigma / (a * sigma - b * alpha)).abs()


@dataclass(frozen=True)
class Epsilon(Parametrization):
    """Predict the noise ε (Ho et al. 2020). At α = 0 it does not determine x0."""

    def weights(self, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        return torch.zeros_like(alpha), torch.ones_like(sigma)


@dataclass(frozen=True)
class X0(Parametrization):
    """Predict the image x0."""

    def weights(self, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        return torch.ones_like(alpha), torch.zeros_like(sigma)


@dataclass(frozen=True)
class V(Parametrization):
    """Predict v = α ε − σ x0 (Salimans & Ho 2022)."""

    def weights(self, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        return -sigma, alpha


@dataclass(frozen=True)
class Flow(Parametrization):
    """Predict the velocity u = ε − x0 (Liu et al. 2022, Lipman et al. 2023)."""

    def weights(self, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        return -torch.ones_like(alpha), torch.ones_like(sigma)


@dataclass(frozen=True)
class EDM(Parametrization):
    """Preconditioning to unit variance of input and target (Karras et al. 2022, Table 1), for any schedule.

    sigma_data: the standard deviation of the data in model space, above 0.
    """

    sigma_data: float = 0.5

    def __post_init__(self) -> None:
        check_range("sigma_data, the standard deviation of the data,", self.sigma_data, 0, above=True)

    def input_scale(self, alpha: Tensor, sigma: Tensor) -> Tensor:
        return (alpha * self.sigma_data).square().add(sigma.square()).rsqrt()

    def weights(self, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        scale = self.input_scale(alpha, sigma)
        return sigma * scale / self.sigma_data, -alpha * scale * self.sigma_data
