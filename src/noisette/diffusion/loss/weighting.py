"""Weights of the squared error in x0, as functions of (α, σ).

The weight refers to x0 for every parametrization; `Objective` converts it to the network's output by
`Parametrization.x0_gain`.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor

from ...errors import check_range


@runtime_checkable
class Weighting(Protocol):
    """The weight of a squared error in x0 at (α, σ). A weighting of your own implements `__call__`."""

    def __call__(self, alpha: Tensor, sigma: Tensor) -> Tensor:
        """The weight, 0 or more, of the shape of α and σ: () or (B, 1, 1, 1)."""
        ...


@dataclass(frozen=True)
class Simple:
    """SNR = α²/σ²: the unweighted squared error in ε, L_simple of Ho et al. 2020."""

    def __call__(self, alpha: Tensor, sigma: Tensor) -> Tensor:
        return (alpha / sigma) ** 2


@dataclass(frozen=True)
class MinSNR:
    """min(SNR, gamma) with gamma above 0 (Hang et al. 2023)."""

    gamma: float = 5.0

    def __post_init__(self) -> None:
        check_range("gamma", self.gamma, 0, above=True)

    def __call__(self, alpha: Tensor, sigma: Tensor) -> Tensor:
        return ((alpha / sigma) ** 2).clamp(max=self.gamma)


@dataclass(frozen=True)
class P2:
    """SNR / (k + SNR)^gamma: the error in ε with less weight at low noise (Choi et al. 2022, eq. 8).

    k: above 0. gamma: 0 or more; 0 is `Simple`.
    """

    k: float = 1.0
    gamma: float = 1.0

    def __post_init__(self) -> None:
        check_range("k", self.k, 0, above=True)
        check_range("gamma", self.gamma, 0)

    def __call__(self, alpha: Tensor, sigma: Tensor) -> Tensor:
        snr = (alpha / sigma) ** 2
        return snr / (self.k + snr) ** self.gamma


@dataclass(frozen=True)
class EDMWeight:
    """SNR + 1/σ_d² = 1/c_out²: with `EDM`, the initial loss is 1 at every noise level (Karras et al. 2022, Table 1).

    sigma_data: σ_d, the standard deviation of the data in model space, above 0.
    """

    sigma_data: float = 0.5

    def __post_init__(self) -> None:
        check_range("sigma_data", self.sigma_data, 0, above=True)

    def __call__(self, alpha: Tensor, sigma: Tensor) -> Tensor:
        return (alpha / sigma) ** 2 + 1 / self.sigma_data**2


@dataclass(frozen=True)
class FlowMatching:
    """(1 + α/σ)²: the unweighted squared error in the velocity ε − x0, on any schedule (Lipman et al. 2023)."""

    def __call__(self, alpha: Tensor, sigma: Tensor) -> Tensor:
        return (1 + alpha / sigma) ** 2
