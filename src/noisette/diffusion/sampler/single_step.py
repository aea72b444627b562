"""Single-step samplers: DDIM, DDPM, Heun's method, and churn, which adds noise before a step."""

import math
from dataclasses import dataclass

from torch import Tensor

from ...errors import check_range
from ..denoiser import Denoiser
from ..noise import Noise
from ..posterior import FixedSmall, Variance, fixed_small_std, posterior_mean
from .trajectory import Sampler, State


@dataclass(frozen=True)
class DDIM:
    """DDIM (Song et al. 2021, eq. 12). One call per step.

    eta: η, 0 to 1. 0 is deterministic and also runs from t to a larger s (inversion); 1 is DDPM. With 0 it is Euler's
    method for the ODE dx = x0 dα + ε dσ on every schedule: on `VarianceExploding` the Euler method of Karras et al.
    2022, on `RectifiedFlow` a step along the velocity.
    """

    eta: float = 0.0

    def __post_init__(self) -> None:
        check_range("eta", self.eta, 0, 1)

    def step(self, denoise: Denoiser, state: State, s: Tensor, noise: Noise) -> State:
        x, t, schedule = state.x, state.t, denoise.schedule
        pred = denoise(x, t)
        alpha, sigma = schedule(s)
        std = self.eta * fixed_small_std(schedule, t, s)
        x = alpha * pred.x0 + (sigma**2 - std**2).clamp(min=0).sqrt() * pred.eps
        if std > 0:
            x = x + std * noise(x)
        return State(x, s, ((t, pred),))


@dataclass(frozen=True)
class DDPM:
    """Ancestral sampling (Ho et al. 2020, Algorithm 2), on any grid. One call per step.

    variance: of p(x_s | x_t). Default: `FixedSmall()`, β̃ on a chain.
    noise_scale: factor, 0 or more, of the noise added in every step but the last; 1 is DDPM. With 0 the samples
        collapse towards the mean of the data.
    """

    variance: Variance = FixedSmall()
    noise_scale: float = 1.0

    def __post_init__(self) -> None:
        check_range("noise_scale", self.noise_scale, 0)

    def step(self, denoise: Denoiser, state: State, s: Tensor, noise: Noise) -> State:
        x, t, schedule = state.x, state.t, denoise.schedule
        pred = denoise(x, t)
        mean = posterior_mean(schedule, pred, x, t, s)
        if s > 0 and self.noise_scale > 0:
            mean = mean + self.noise_scale * self.variance(schedule, pred, x, t, s) * noise(x)
        return State(mean, s, ((t, pred),))


@dataclass(frozen=True)
class Heun:
    """Heun's method for the probability-flow ODE dx = x0 dα + ε dσ; second order.

    On `VarianceExploding` this is Algorithm 1 of Karras et al. 2022, on `RectifiedFlow` Heun's method along the
    velocity. It is finite where α or σ is 0. Two calls per step; the last step, to t = 0, is an Euler step.
    """

    def step(self, denoise: Denoiser, state: State, s: Tensor, noise: Noise) -> State:
        t = state.t
        (a_t, s_t), (a_s, s_s) = denoise.schedule(t), denoise.schedule(s)
        pred = denoise(state.x, t)
        x = a_s * pred.x0 + s_s * pred.eps
        if s > 0:
            pred_s = denoise(x, s)
            x = x + (a_s - a_t) / 2 * (pred_s.x0 - pred.x0) + (s_s - s_t) / 2 * (pred_s.eps - pred.eps)
        return State(x, s, ((t, pred),))


@dataclass(frozen=True)
class Churned:
    """Before each step of `sampler`, add noise to raise σ/α to (1 + gamma) σ/α.

    `Churned(Heun())` is Algorithm 2 of Karras et al. 2022.

    gamma: S_churn / steps, 0 or more, limited to √2 − 1.
    sigma_min, sigma_max: S_min and S_max, the range of σ/α in which noise is added; never above the schedule's largest.
    noise_scale: S_noise, 0 or more.

    Where noise is added, a multistep sampler restarts, because its history belongs to another trajectory.
    """

    sampler: Sampler
    gamma: float = 0.1
    sigma_min: float = 0.05
    sigma_max: float = 50.0
    noise_scale: float = 1.003

    def __post_init__(self) -> None:
        check_range("gamma", self.gamma, 0)
        check_range("noise_scale", self.noise_scale, 0)

    def step(self, denoise: Denoiser, state: State, s: Tensor, noise: Noise) -> State:
        schedule, ratio = denoise.schedule, denoise.schedule.ratio(state.t)
        if self.sigma_min <= ratio <= self.sigma_max:
            higher = schedule.time_at_ratio(ratio * (1 + min(self.gamma, math.sqrt(2) - 1)))
            x = schedule.renoise(state.x, state.t, higher, lambda like: self.noise_scale * noise(like))
            state = State(x, higher)
        return self.sampler.step(denoise, state, s, noise)


@dataclass(frozen=True)
class ScaledNoise:
    """`sampler` with `scale` times the noise that it adds: S_noise of Karras et al. 2022, for any sampler.

    scale: 0 or more. Below 1, x_t has less noise than the level given to the denoiser, which then removes more.
    """

    sampler: Sampler
    scale: float

    def __post_init__(self) -> None:
        check_range("scale", self.scale, 0)

    def step(self, denoise: Denoiser, state: State, s: Tensor, noise: Noise) -> State:
        return self.sampler.step(denoise, state, s, lambda like: self.scale * noise(like))


def scale_noise(sampler: Sampler, scale: float) -> Sampler:
    """The sampler with `scale` times the noise that it adds; itself for 1."""
    return sampler if scale == 1 else ScaledNoise(sampler, scale)
