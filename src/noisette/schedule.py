"""Noise schedules: how much signal and how much noise there is at time t.

    x_t = α_t x0 + σ_t ε,    ε ~ N(0, 1),    t ∈ [0, 1],    t = 0 is data, t = 1 is noise.

A discrete chain of T steps is a continuous schedule with exact knots: step k of the chain is t = k / T.
Times may have shape () or (B,); they are kept in float64, and α and σ are computed in their precision.
"""

import abc
import math
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from .display import Displayed
from .errors import InputError
from .noise import Noise
from .shapes import Images, Time


def like(c: Tensor, x: Tensor) -> Tensor:
    """`c`, of shape () or (B,), ready to broadcast against x.

    A batch of numbers takes x's dtype and device. One number for all stays where it is, on the CPU in float64: torch
    multiplies a tensor of any device with it without waiting for the device, and its result has x's dtype.
    """
    return c.to(x).reshape(c.shape + (1,) * (x.ndim - 1)) if c.ndim else c


class Schedule(Displayed, abc.ABC):
    """A forward process. Frozen, comparable, knows nothing of networks or samplers."""

    @abc.abstractmethod
    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Return (α_t, σ_t), each of t's shape."""

    @abc.abstractmethod
    def label(self, t: Tensor) -> Tensor:
        """Return the number that the network's time embedding receives for time t."""

    @abc.abstractmethod
    def time(self, ratio: Tensor) -> Tensor:
        """Return the t at which σ_t / α_t is `ratio`, clamped to [0, 1]: the inverse of `ratio`."""

    @property
    def first(self) -> float:
        """The smallest time that is worth a network's call: the first step of a chain, 0 in continuous time."""
        return 0.0

    @property
    def length(self) -> int:
        """The steps of the chain that it is; 1000, by which others count theirs, in continuous time."""
        return 1000

    def ratio(self, t: Tensor) -> Tensor:
        """σ_t / α_t, the noise level of Karras et al. 2022; its inverse square is the SNR."""
        alpha, sigma = self(t)
        return sigma / alpha

    def at(self, t: Time, x: Images) -> tuple[Tensor, Tensor]:
        """(α_t, σ_t), ready to broadcast against x."""
        alpha, sigma = self(t)
        return like(alpha, x), like(sigma, x)

    def diffuse(self, x0: Images, t: Time, noise: Noise) -> Images:
        """Draw x_t ~ q(x_t | x0) (Ho et al. 2020, eq. 4)."""
        alpha, sigma = self.at(t, x0)
        return alpha * x0 + sigma * noise(x0)

    def renoise(self, x_s: Images, s: Time, t: Time, noise: Noise) -> Images:
        """Draw x_t ~ q(x_t | x_s) for t > s."""
        (a_s, s_s), (a_t, s_t) = self.at(s, x_s), self.at(t, x_s)
        keep = a_t / a_s
        return keep * x_s + (s_t**2 - (keep * s_s) ** 2).clamp(min=0).sqrt() * noise(x_s)


class Chain(Schedule):
    """A discrete process of `steps` steps, with α² + σ² = 1.

    The table holds the angles atan2(σ, α); between its knots the angle is linear, so the variance is kept throughout,
    t = 0 is exactly clean, and t = k / steps is exactly the k-th entry of the chain.
    """

    steps: int

    @property
    @abc.abstractmethod
    def angles(self) -> Tensor:
        """atan2(σ, α) at t = 0, 1/T, … 1: (T + 1,), float64, increasing from 0 to at most π/2."""

    @property
    def first(self) -> float:
        return 1 / self.steps

    @property
    def length(self) -> int:
        return self.steps

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        table, k = self.angles.to(t), t * self.steps
        low = k.floor().clamp(0, self.steps - 1).long()
        angle = torch.lerp(table[low], table[low + 1], k - low)
        # the float64 nearest to π/2 has a cosine of 6e-17, and a chain may end in pure noise
        return torch.where(angle < math.pi / 2, angle.cos(), 0.0), angle.sin()

    def label(self, t: Tensor) -> Tensor:
        return t * self.steps - 1

    def time(self, ratio: Tensor) -> Tensor:
        table, angle = self.angles.to(ratio), ratio.atan()
        high = torch.searchsorted(table, angle.contiguous()).clamp(1, self.steps)
        low = high - 1
        step = (table[high] - table[low]).clamp(min=1e-30)  # a chain's far end may have no signal left to lose
        return ((low + (angle - table[low]) / step) / self.steps).clamp(0, 1)


@dataclass(frozen=True)
class VariancePreserving(Chain):
    """A chain given by its betas (Ho et al. 2020)."""

    steps: int = 1000
    shown: int | None = field(default=None, kw_only=True)  # of how many steps the network is told that it is; None: all

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise InputError(f"a chain of {self.steps} steps is no chain: steps must be at least 1")
        if self.shown is not None and self.shown < 1:
            raise InputError(f"a chain cannot be shown as one of {self.shown} steps: shown must be at least 1")

    def label(self, t: Tensor) -> Tensor:
        """As for every chain; improved-diffusion shows each as one of 1000 steps (its rescale_timesteps)."""
        label = super().label(t)
        return label if self.shown is None else label * (self.shown / self.steps)

    @abc.abstractmethod
    def betas(self) -> Tensor:
        """β_1 … β_T, float64, each in (0, 1]."""

    @cached_property
    def angles(self) -> Tensor:
        return _angles(torch.cumprod(1 - self.betas(), dim=0))


def _angles(alpha_bar: Tensor) -> Tensor:
    """The table of a chain, of its ᾱ_1 … ᾱ_T."""
    angles = torch.atan2((1 - alpha_bar).sqrt(), alpha_bar.sqrt())
    return torch.cat([angles.new_zeros(1), angles])


@dataclass(frozen=True)
class LinearBeta(VariancePreserving):
    """Ho et al. 2020: β rises linearly."""

    beta_start: float = 1e-4
    beta_end: float = 0.02

    def betas(self) -> Tensor:
        return torch.linspace(self.beta_start, self.beta_end, self.steps, dtype=torch.float64)


@dataclass(frozen=True)
class Quadratic(VariancePreserving):
    """√β rises linearly: the Annotated Diffusion Model's "quadratic", diffusers' "scaled_linear"."""

    beta_start: float = 1e-4
    beta_end: float = 0.02

    def betas(self) -> Tensor:
        return torch.linspace(self.beta_start**0.5, self.beta_end**0.5, self.steps, dtype=torch.float64) ** 2


@dataclass(frozen=True)
class Sigmoid(VariancePreserving):
    """β follows a sigmoid on [-6, 6], as in the Annotated Diffusion Model."""

    beta_start: float = 1e-4
    beta_end: float = 0.02

    def betas(self) -> Tensor:
        rise = torch.sigmoid(torch.linspace(-6, 6, self.steps, dtype=torch.float64))
        return self.beta_start + (self.beta_end - self.beta_start) * rise


@dataclass(frozen=True)
class Cosine(VariancePreserving):
    """Nichol & Dhariwal 2021, eq. 17: ᾱ follows a squared cosine."""

    offset: float = 0.008
    max_beta: float = 0.999

    def betas(self) -> Tensor:
        t = torch.arange(self.steps + 1, dtype=torch.float64) / self.steps
        alpha_bar = torch.cos((t + self.offset) / (1 + self.offset) * math.pi / 2) ** 2
        return (1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(max=self.max_beta)


@dataclass(frozen=True)
class GammaSigmoid(VariancePreserving):
    """Chen 2023, Algorithm 1: ᾱ is a piece of a sigmoid, from `start` to `end`; a larger tau is nearer to linear."""

    start: float = -3.0
    end: float = 3.0
    tau: float = 1.0
    max_beta: float = 1.0

    def betas(self) -> Tensor:
        t = torch.linspace(0, 1, self.steps + 1, dtype=torch.float64)
        fall = torch.sigmoid(-(t * (self.end - self.start) + self.start) / self.tau)
        alpha_bar = ((fall - fall[-1]) / (fall[0] - fall[-1])).clamp(min=1e-9)
        return (1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(max=self.max_beta)


@dataclass(frozen=True)
class GivenBetas(VariancePreserving):
    """A chain of another project that no formula here gives, by its numbers."""

    steps: int = 2
    values: tuple[float, ...] = (1e-4, 0.02)  # β_1 … β_T

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.values) != self.steps:
            raise InputError(f"a chain of {self.steps} steps needs as many betas, not {len(self.values)}")
        if (bad := next((b for b in self.values if not 0 < b <= 1), None)) is not None:
            raise InputError(f"a beta is {bad}: each must be above 0 and at most 1")

    def betas(self) -> Tensor:
        return torch.tensor(self.values, dtype=torch.float64)


@dataclass(frozen=True)
class ZeroTerminalSNR(Chain):
    """A chain stretched so that it ends in noise alone (Lin et al. 2023, Algorithm 1). Not for Epsilon."""

    chain: VariancePreserving = LinearBeta()

    def __post_init__(self) -> None:
        if self.chain.steps < 2:
            raise InputError("a chain of one step cannot be stretched: it needs at least 2")

    @property
    def steps(self) -> int:  # type: ignore[override]
        return self.chain.steps

    def label(self, t: Tensor) -> Tensor:
        return self.chain.label(t)

    @cached_property
    def angles(self) -> Tensor:
        alpha = self.chain.angles[1:].cos()
        return _angles(((alpha - alpha[-1]) * alpha[0] / (alpha[0] - alpha[-1])) ** 2)


@dataclass(frozen=True)
class RectifiedFlow(Schedule):
    """Liu et al. 2022; Lipman et al. 2023: straight lines from data to noise."""

    label_scale: float = 1000.0

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        return 1 - t, t

    def label(self, t: Tensor) -> Tensor:
        return t * self.label_scale

    def time(self, ratio: Tensor) -> Tensor:
        return torch.where(ratio.isinf(), 1.0, ratio / (1 + ratio))


@dataclass(frozen=True)
class VarianceExploding(Schedule):
    """Karras et al. 2022: σ = σ_max t and α = 1; the network is told c_noise = ln(σ) / 4."""

    sigma_max: float = 80.0

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        return torch.ones_like(t), self.sigma_max * t

    def label(self, t: Tensor) -> Tensor:
        return (self.sigma_max * t).clamp(min=1e-4).log() / 4  # finite at t = 0, where an inversion begins

    def time(self, ratio: Tensor) -> Tensor:
        return (ratio / self.sigma_max).clamp(0, 1)
