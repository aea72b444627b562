"""The samplers of the papers that began it: DDPM and DDIM."""

from dataclasses import dataclass

from torch import Tensor

from .. import posterior
from ..denoiser import Denoiser
from ..noise import Noise
from ..posterior import FixedSmall, Variance
from .walk import State


@dataclass(frozen=True)
class DDIM:
    """Song et al. 2021, eq. 12. eta = 0 is deterministic, and runs backwards too; eta = 1 is DDPM.

    eta = 0 is also Euler's method on dx = x0 dα + ε dσ: on a variance-exploding schedule Karras' Euler, on a rectified
    flow the step along the velocity.
    """

    eta: float = 0.0

    def step(self, denoise: Denoiser, state: State, s: Tensor, noise: Noise) -> State:
        x, t, schedule = state.x, state.t, denoise.schedule
        pred = denoise(x, t)
        alpha, sigma = schedule(s)
        fresh = self.eta * posterior.small(schedule, t, s)
        x = alpha * pred.x0 + (sigma**2 - fresh**2).clamp(min=0).sqrt() * pred.eps
        if fresh > 0:
            x = x + fresh * noise(x)
        return State(x, s, ((t, pred),))


@dataclass(frozen=True)
class DDPM:
    """Ho et al. 2020, Algorithm 2, on any grid.

    `added` scales the noise that every step but the last adds: 1 is DDPM; 0 leaves it out, as the sprites course does
    to show that the samples then collapse towards the average.
    """

    variance: Variance = FixedSmall()
    added: float = 1.0

    def step(self, denoise: Denoiser, state: State, s: Tensor, noise: Noise) -> State:
        x, t, schedule = state.x, state.t, denoise.schedule
        pred = denoise(x, t)
        mean = posterior.mean(schedule, pred, x, t, s)
        if s > 0 and self.added > 0:
            mean = mean + self.added * self.variance(schedule, pred, x, t, s) * noise(x)
        return State(mean, s, ((t, pred),))
