"""Weights of a squared error in x0, as functions of (α, σ).

A weighting is stated once, for x0; `Parametrization.x0_gain` carries it over to every parametrization.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class Weighting(Protocol):
    """The weight of a squared error in x0 at (α, σ)."""

    def __call__(self, alpha: Tensor, sigma: Tensor) -> Tensor: ...


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
class P2:
    """Choi et al. 2022, eq. 8: the error in ε over (k + SNR)^γ, so that less is spent where little is to be seen."""

    k: float = 1.0
    gamma: float = 1.0

    def __call__(self, alpha: Tensor, sigma: Tensor) -> Tensor:
        snr = (alpha / sigma) ** 2
        return snr / (self.k + snr) ** self.gamma


@dataclass(frozen=True)
class EDMWeight:
    """Karras et al. 2022, Table 1: 1 / c_out², so that every noise level starts with a loss of one."""

    sigma_data: float = 0.5

    def __call__(self, alpha: Tensor, sigma: Tensor) -> Tensor:
        return (alpha / sigma) ** 2 + 1 / self.sigma_data**2


@dataclass(frozen=True)
class FlowMatching:
    """Lipman et al. 2023, Liu et al. 2022: the plain error in the velocity ε − x0, on any schedule."""

    def __call__(self, alpha: Tensor, sigma: Tensor) -> Tensor:
        return (1 + alpha / sigma) ** 2
