"""RePaint (Lugmayr et al. 2022): resampling, and trajectories with known pixels."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ...errors import InputError
from ...shapes import Images
from ..denoiser import Denoiser
from ..noise import Noise
from .trajectory import Sampler, State


@dataclass(frozen=True)
class Resampled:
    """Take each step except the last `rounds` times; before each repetition, add noise to go back to its start.

    So the generated pixels fit the known ones: RePaint's resampling with a jump of one step (Lugmayr et al. 2022), or
    the time travel of DDNM (Wang et al. 2023, section 3.3). A multistep sampler restarts at each repetition, as in
    `Churned`. rounds: at least 1, `InputError` otherwise.
    """

    sampler: Sampler
    rounds: int = 10

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise InputError(f"rounds must be at least 1, got {self.rounds}")

    def step(self, denoise: Denoiser, state: State, s: Tensor, noise: Noise) -> State:
        new = self.sampler.step(denoise, state, s, noise)
        for _ in range(self.rounds - 1 if s > 0 else 0):
            x = denoise.schedule.renoise(new.x, s, state.t, noise)
            new = self.sampler.step(denoise, State(x, state.t), s, noise)
        return new


@dataclass(frozen=True, eq=False)
class ReplaceKnown:
    """After each step of `sampler`, set the known pixels to a sample of q(x_s | known); at t = 0 to `known` itself.

    The replacement of RePaint (Lugmayr et al. 2022, Algorithm 1). known: (B or 1, C, H, W) in [-1, 1].
    """

    sampler: Sampler
    known: Images
    mask: Float[Tensor, "#b #c h w"]  # 1 where known, 0 elsewhere

    def step(self, denoise: Denoiser, state: State, s: Tensor, noise: Noise) -> State:
        new = self.sampler.step(denoise, state, s, noise)
        known = denoise.schedule.diffuse(self.known.to(new.x).expand_as(new.x), s, noise)
        return State(torch.where(self.mask.to(new.x) > 0, known, new.x), s, new.history)


@dataclass(frozen=True, eq=False)
class Repaint:
    """RePaint's Algorithm 1 with any sampler: `Resampled(ReplaceKnown(sampler, known, mask), rounds)`.

    Lugmayr et al. 2022. rounds: at least 1, `InputError` otherwise.
    """

    sampler: Sampler
    known: Images
    mask: Float[Tensor, "#b #c h w"]  # 1 where known, 0 elsewhere
    rounds: int = 10

    def step(self, denoise: Denoiser, state: State, s: Tensor, noise: Noise) -> State:
        return Resampled(ReplaceKnown(self.sampler, self.known, self.mask), self.rounds).step(denoise, state, s, noise)
