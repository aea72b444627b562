"""Second order by asking twice, and noise put back on the way (Karras et al. 2022)."""

import math
from dataclasses import dataclass

from torch import Tensor

from ..denoiser import Denoiser
from ..noise import Noise
from .walk import Sampler, State


@dataclass(frozen=True)
class Heun:
    """The trapezoid rule on the probability-flow ODE, which in x0 and ε reads dx = x0 dα + ε dσ.

    On a variance-exploding schedule, Algorithm 1 of Karras et al. 2022; on a rectified flow, Heun's rule along the
    velocity. It needs no derivative of the schedule and is finite where α or σ is 0. Two evaluations a step; the last
    step, to σ = 0, is Euler's.
    """

    def step(self, denoise: Denoiser, state: State, s: Tensor, noise: Noise) -> State:
        t = state.t
        (a_t, s_t), (a_s, s_s) = denoise.schedule(t), denoise.schedule(s)
        pred = denoise(state.x, t)
        x = a_s * pred.x0 + s_s * pred.eps
        if s > 0:
            then = denoise(x, s)
            x = x + (a_s - a_t) / 2 * (then.x0 - pred.x0) + (s_s - s_t) / 2 * (then.eps - pred.eps)
        return State(x, s, ((t, pred),))


@dataclass(frozen=True)
class Churned:
    """Karras et al. 2022, Algorithm 2: before every step, go back to a noise level (1 + gamma) times as high.

    `Churned(Heun(), gamma)` is their stochastic sampler, with gamma = S_churn / steps, at most √2 − 1. Only where
    σ/α is within `low` and `high`, and never beyond the schedule's own noise. `inflate` is S_noise. A multistep sampler
    forgets its past there, which was another way's.
    """

    sampler: Sampler
    gamma: float = 0.1
    low: float = 0.05
    high: float = 50.0
    inflate: float = 1.003

    def step(self, denoise: Denoiser, state: State, s: Tensor, noise: Noise) -> State:
        schedule, ratio = denoise.schedule, denoise.schedule.ratio(state.t)
        if self.low <= ratio <= self.high:
            back = schedule.time(ratio * (1 + min(self.gamma, math.sqrt(2) - 1)))
            x = schedule.renoise(state.x, state.t, back, lambda like: self.inflate * noise(like))
            state = State(x, back)
        return self.sampler.step(denoise, state, s, noise)
