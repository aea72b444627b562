"""iPNDM (Zhang & Chen 2023): Adams–Bashforth on the probability-flow ODE."""

from dataclasses import dataclass

from torch import Tensor

from ..denoiser import Denoiser
from ..noise import Noise
from .walk import State

ADAMS_BASHFORTH = (  # over equal steps; latest first
    (1.0,),
    (3 / 2, -1 / 2),
    (23 / 12, -16 / 12, 5 / 12),
    (55 / 24, -59 / 24, 37 / 24, -9 / 24),
)


@dataclass(frozen=True)
class IPNDM:
    """Fourth order once four evaluations are there, one evaluation a step.

    dx = x0 dα + ε dσ, with x0 and ε extrapolated by the coefficients of equal steps even where steps are not equal:
    that is what makes it steady with few of them.
    """

    def step(self, denoise: Denoiser, state: State, s: Tensor, noise: Noise) -> State:
        (a_t, s_t), (a_s, s_s) = denoise.schedule(state.t), denoise.schedule(s)
        pred = denoise(state.x, state.t)
        past = ((state.t, pred), *state.history)[:4]
        x = a_s * pred.x0 + s_s * pred.eps
        # the coefficients sum to one, so each old pair counts by its difference from the newest
        for weight, (_, old) in zip(ADAMS_BASHFORTH[len(past) - 1], past, strict=True):
            x = x + (a_s - a_t) * weight * (old.x0 - pred.x0) + (s_s - s_t) * weight * (old.eps - pred.eps)
        return State(x, s, past)
