"""Noise schedules: the amounts of signal α and of noise σ at time t.

    x_t = α_t x0 + σ_t ε,    ε ~ N(0, 1),    t ∈ [0, 1],    t = 0 is data, t = 1 is noise.

A discrete chain of T steps is a continuous schedule with exact knots: step k of the chain is t = k / T.
Times have shape () or (B,) and dtype float64; α and σ are computed in the dtype of t.
"""

import abc
import math
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from ..display import Displayed
from ..errors import InputError, check_range
from ..shapes import Images, Time
from .noise import Noise

MAX_CHAIN_STEPS = 100_000  # of a discrete chain


def broadcast_like(coefficient: Tensor, x: Tensor) -> Tensor:
    """A coefficient of shape () or (B,), reshaped to broadcast against x (B, C, H, W).

    A coefficient per image takes the dtype and device of x. A scalar stays as it is, on the CPU in float64: torch
    multiplies it with a tensor on any device without synchronization, and the result has the dtype of x.
    """
    return coefficient.to(x).reshape(coefficient.shape + (1,) * (x.ndim - 1)) if coefficient.ndim else coefficient


class Schedule(Displayed, abc.ABC):
    """A forward process: α and σ as functions of t. A frozen dataclass; equal parameters compare equal.

    A schedule of your own implements `__call__`, `noise_label` and `time_at_ratio`. Times are float64, () or (B,), from
    0 (clean) to 1 (noise); α and σ have their shape and dtype. Parameters out of range raise `InputError`.
    """

    @abc.abstractmethod
    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Return (α_t, σ_t), each of t's shape."""

    @abc.abstractmethod
    def noise_label(self, t: Tensor) -> Tensor:
        """Return the input of the network's time embedding at time t (c_noise of Karras et al. 2022); of t's shape."""

    @abc.abstractmethod
    def time_at_ratio(self, ratio: Tensor) -> Tensor:
        """Return the t at which σ_t / α_t is `ratio`, clamped to [0, 1]: the inverse of `ratio`."""

    @property
    def min_time(self) -> float:
        """The smallest time at which the network is called: 1/T for a chain of T steps, 0 in continuous time."""
        return 0.0

    @property
    def num_train_timesteps(self) -> int:
        """The number of steps of a chain; 1000, as in diffusers, for a schedule in continuous time."""
        return 1000

    def ratio(self, t: Tensor) -> Tensor:
        """σ_t / α_t, the noise level of Karras et al. 2022; its inverse square is the SNR."""
        alpha, sigma = self(t)
        return sigma / alpha

    def at(self, t: Time, x: Images) -> tuple[Tensor, Tensor]:
        """(α_t, σ_t), each shaped to broadcast against x (see `broadcast_like`)."""
        alpha, sigma = self(t)
        return broadcast_like(alpha, x), broadcast_like(sigma, x)

    def diffuse(self, x0: Images, t: Time, noise: Noise) -> Images:
        """A sample x_t ~ q(x_t | x0) = N(α_t x0, σ_t²) (Ho et al. 2020, eq. 4)."""
        alpha, sigma = self.at(t, x0)
        return alpha * x0 + sigma * noise(x0)

    def renoise(self, x_s: Images, s: Time, t: Time, noise: Noise) -> Images:
        """A sample x_t ~ q(x_t | x_s), for t > s."""
        (a_s, s_s), (a_t, s_t) = self.at(s, x_s), self.at(t, x_s)
        keep = a_t / a_s
        return keep * x_s + (s_t**2 - (keep * s_s) ** 2).clamp(min=0).sqrt() * noise(x_s)


class DiscreteSchedule(Schedule):
    """A discrete process of `steps` steps with α² + σ² = 1; step k is the time t = k / steps.

    A table holds the angles atan2(σ, α) at the steps. Between them the angle is interpolated linearly, so α² + σ² = 1
    for every t. At t = 0, α is exactly 1.
    """

    steps: int

    @property
    @abc.abstractmethod
    def angles(self) -> Tensor:
        """atan2(σ, α) at t = 0, 1/T, … 1: (T + 1,), float64, increasing from 0 to at most π/2."""

    @property
    def min_time(self) -> float:
        return 1 / self.steps

    @property
    def num_train_timesteps(self) -> int:
        return self.steps

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        table, k = self.angles.to(t), t * self.steps
        low = k.floor().clamp(0, self.steps - 1).long()
        angle = torch.lerp(table[low], table[low + 1], k - low)
        # the float64 nearest to π/2 has a cosine of 6e-17; a chain that ends in pure noise needs exactly 0
        return torch.where(angle < math.pi / 2, angle.cos(), 0.0), angle.sin()

    def noise_label(self, t: Tensor) -> Tensor:
        return t * self.steps - 1

    def time_at_ratio(self, ratio: Tensor) -> Tensor:
        table, angle = self.angles.to(ratio), ratio.atan()
        high = torch.searchsorted(table, angle.contiguous()).clamp(1, self.steps)
        low = high - 1
        step = (table[high] - table[low]).clamp(min=1e-30)  # two equal angles at the end of a chain would divide by 0
        return ((low + (angle - table[low]) / step) / self.steps).clamp(0, 1)


@dataclass(frozen=True)
class VariancePreserving(DiscreteSchedule):
    """A chain defined by its betas (Ho et al. 2020), ᾱ_k = Π (1 − β_i).

    steps: T, the number of steps.
    label_steps: if given, the noise label counts as in a chain of that many steps; default: `steps`.
    """

    steps: int = 1000
    label_steps: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        for name in ("steps", "label_steps"):
            value = getattr(self, name)
            if value is not None and not 1 <= value <= MAX_CHAIN_STEPS:
                raise InputError(f"{name} must be 1 to {MAX_CHAIN_STEPS}, got {value}")

    def noise_label(self, t: Tensor) -> Tensor:
        """t · T − 1, scaled by label_steps / T if given (`rescale_timesteps` of improved-diffusion)."""
        label = super().noise_label(t)
        return label if self.label_steps is None else label * (self.label_steps / self.steps)

    @abc.abstractmethod
    def betas(self) -> Tensor:
        """β_1 … β_T: (T,) float64, each in (0, 1]."""

    @cached_property
    def angles(self) -> Tensor:
        return _angle_table(torch.cumprod(1 - self.betas(), dim=0))


def _angle_table(alpha_bar: Tensor) -> Tensor:
    """The angles of a chain from ᾱ_1 … ᾱ_T: (T + 1,)."""
    angles = torch.atan2((1 - alpha_bar).sqrt(), alpha_bar.sqrt())
    return torch.cat([angles.new_zeros(1), angles])


@dataclass(frozen=True)
class _RisingBetas(VariancePreserving):
    """A chain whose β rises from beta_start to beta_end."""

    beta_start: float = 1e-4
    beta_end: float = 0.02

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("beta_start", self.beta_start, 0, 1, above=True)
        check_range("beta_end", self.beta_end, 0, 1, above=True)


@dataclass(frozen=True)
class LinearBeta(_RisingBetas):
    """β rises linearly from beta_start to beta_end, each above 0 and at most 1 (Ho et al. 2020)."""

    def betas(self) -> Tensor:
        return torch.linspace(self.beta_start, self.beta_end, self.steps, dtype=torch.float64, device="cpu")


@dataclass(frozen=True)
class Quadratic(_RisingBetas):
    """√β rises linearly between the roots of beta_start and beta_end, each above 0 and at most 1: "scaled_linear" of
    diffusers (Rombach et al. 2022), "quadratic" of the Annotated Diffusion Model."""

    def betas(self) -> Tensor:
        return (
            torch.linspace(self.beta_start**0.5, self.beta_end**0.5, self.steps, dtype=torch.float64, device="cpu") ** 2
        )


@dataclass(frozen=True)
class Sigmoid(_RisingBetas):
    """β follows a sigmoid on [-6, 6] from beta_start to beta_end, each above 0 and at most 1 (the Annotated Diffusion
    Model)."""

    def betas(self) -> Tensor:
        rise = torch.sigmoid(torch.linspace(-6, 6, self.steps, dtype=torch.float64, device="cpu"))
        return self.beta_start + (self.beta_end - self.beta_start) * rise


@dataclass(frozen=True)
class Cosine(VariancePreserving):
    """ᾱ follows a squared cosine, with each β at most max_beta (Nichol & Dhariwal 2021, eq. 17).

    offset: s in the paper, 0 or more; it keeps β from being too small near t = 0. max_beta: above 0, at most 1.
    """

    offset: float = 0.008
    max_beta: float = 0.999

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("offset", self.offset, 0)
        check_range("max_beta", self.max_beta, 0, 1, above=True)

    def betas(self) -> Tensor:
        t = torch.arange(self.steps + 1, dtype=torch.float64, device="cpu") / self.steps
        alpha_bar = torch.cos((t + self.offset) / (1 + self.offset) * math.pi / 2) ** 2
        return (1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(max=self.max_beta)


@dataclass(frozen=True)
class GammaSigmoid(VariancePreserving):
    """ᾱ is a sigmoid on [start, end] with temperature tau; a larger tau is nearer to linear (Chen 2023, Alg. 1).

    start: below end. tau: above 0. max_beta: above 0, at most 1; each β is limited to it.
    """

    start: float = -3.0
    end: float = 3.0
    tau: float = 1.0
    max_beta: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("tau", self.tau, 0, above=True)
        check_range("max_beta", self.max_beta, 0, 1, above=True)
        if not -math.inf < self.start < self.end < math.inf:
            raise InputError(f"start must be below end, got {self.start:g} and {self.end:g}")

    def betas(self) -> Tensor:
        t = torch.linspace(0, 1, self.steps + 1, dtype=torch.float64, device="cpu")
        fall = torch.sigmoid(-(t * (self.end - self.start) + self.start) / self.tau)
        alpha_bar = ((fall - fall[-1]) / (fall[0] - fall[-1])).clamp(min=1e-9)
        return (1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(max=self.max_beta)


@dataclass(frozen=True)
class GivenBetas(VariancePreserving):
    """A chain given by its betas as numbers, for models of other projects: `steps` values above 0 and at most 1."""

    steps: int = 2
    values: tuple[float, ...] = (1e-4, 0.02)  # β_1 … β_T

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.values) != self.steps:
            raise InputError(f"GivenBetas needs one beta per step: {self.steps} steps, got {len(self.values)} betas")
        if (bad := next((b for b in self.values if not 0 < b <= 1), None)) is not None:
            raise InputError(f"every beta must be above 0 and at most 1, got {bad}")

    def betas(self) -> Tensor:
        return torch.tensor(self.values, dtype=torch.float64, device="cpu")


@dataclass(frozen=True)
class ZeroTerminalSNR(DiscreteSchedule):
    """A chain rescaled so that α_T = 0 (Lin et al. 2023, Algorithm 1). Cannot be used with `Epsilon`."""

    chain: VariancePreserving = LinearBeta()

    def __post_init__(self) -> None:
        if self.chain.steps < 2:
            raise InputError("ZeroTerminalSNR needs a chain of at least 2 steps, got 1")

    @property
    def steps(self) -> int:  # type: ignore[override]
        return self.chain.steps

    def noise_label(self, t: Tensor) -> Tensor:
        return self.chain.noise_label(t)

    @cached_property
    def angles(self) -> Tensor:
        alpha = self.chain.angles[1:].cos()
        return _angle_table(((alpha - alpha[-1]) * alpha[0] / (alpha[0] - alpha[-1])) ** 2)


@dataclass(frozen=True)
class RectifiedFlow(Schedule):
    """α = 1 − t, σ = t (Liu et al. 2022; Lipman et al. 2023).

    label_scale: above 0; the noise label is t · label_scale.
    """

    label_scale: float = 1000.0

    def __post_init__(self) -> None:
        check_range("label_scale", self.label_scale, 0, above=True)

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        return 1 - t, t

    def noise_label(self, t: Tensor) -> Tensor:
        return t * self.label_scale

    def time_at_ratio(self, ratio: Tensor) -> Tensor:
        return torch.where(ratio.isinf(), 1.0, ratio / (1 + ratio))


@dataclass(frozen=True)
class VarianceExploding(Schedule):
    """α = 1, σ = sigma_max · t; the noise label is c_noise = ln(σ) / 4 (Karras et al. 2022). sigma_max: above 0."""

    sigma_max: float = 80.0

    def __post_init__(self) -> None:
        check_range("sigma_max", self.sigma_max, 0, above=True)

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        return torch.ones_like(t), self.sigma_max * t

    def noise_label(self, t: Tensor) -> Tensor:
        return (self.sigma_max * t).clamp(min=1e-4).log() / 4  # finite at t = 0, where an inversion starts

    def time_at_ratio(self, ratio: Tensor) -> Tensor:
        return (ratio / self.sigma_max).clamp(0, 1)
