"""Going back and forth: resampling, and walks that are held to known pixels (RePaint, Lugmayr et al. 2022)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ..denoiser import Denoiser
from ..errors import InputError
from ..noise import Noise
from ..shapes import Images
from .walk import Sampler, State


@dataclass(frozen=True)
class Resampled:
    """Each step but the last is taken `rounds` times, with the noise of the step put back in between.

    What constrains a walk and what the model wants come to agree that way: RePaint's resampling with a jump of one
    step, and the time travel of DDNM (Wang et al. 2023, section 3.3). A walk that went back forgets its past, as in
    `Churned`.
    """

    sampler: Sampler
    rounds: int = 10

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise InputError(f"{self.rounds} rounds paint nothing: ask for at least 1")

    def step(self, denoise: Denoiser, state: State, s: Tensor, noise: Noise) -> State:
        new = self.sampler.step(denoise, state, s, noise)
        for _ in range(self.rounds - 1 if s > 0 else 0):
            again = denoise.schedule.renoise(new.x, s, state.t, noise)
            new = self.sampler.step(denoise, State(again, state.t), s, noise)
        return new


@dataclass(frozen=True, eq=False)
class Held:
    """After each step of a sampler the known pixels are q(x_s | known). At t = 0 they are those that were given, to the
    last bit."""

    sampler: Sampler
    known: Images
    mask: Float[Tensor, "#b #c h w"]  # 1 where known, 0 elsewhere

    def step(self, denoise: Denoiser, state: State, s: Tensor, noise: Noise) -> State:
        new = self.sampler.step(denoise, state, s, noise)
        known = denoise.schedule.diffuse(self.known.to(new.x).expand_as(new.x), s, noise)
        return State(torch.where(self.mask.to(new.x) > 0, known, new.x), s, new.history)


@dataclass(frozen=True, eq=False)
class Repaint:
    """RePaint's Algorithm 1 around any sampler: `Held`, and `Resampled`."""

    sampler: Sampler
    known: Images
    mask: Float[Tensor, "#b #c h w"]  # 1 where known, 0 elsewhere
    rounds: int = 10

    def step(self, denoise: Denoiser, state: State, s: Tensor, noise: Noise) -> State:
        return Resampled(Held(self.sampler, self.known, self.mask), self.rounds).step(denoise, state, s, noise)
