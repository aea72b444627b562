"""A sampler of one's own, used by its name from Python and from the command line.

python examples/own_sampler.py MODEL drawn.png
noisette sample MODEL --out drawn --sampler midpoint --import examples/own_sampler.py
"""

import sys
from dataclasses import dataclass

from torch import Tensor

import noisette
from noisette.diffusion.denoiser import Denoiser
from noisette.diffusion.noise import Noise
from noisette.diffusion.sampler import State


@dataclass(frozen=True)
class Midpoint:
    """The midpoint rule on the probability-flow ODE dx = x0 dα + ε dσ: second order, two evaluations per step."""

    def step(self, denoise: Denoiser, state: State, s: Tensor, noise: Noise) -> State:
        t, middle = state.t, (state.t + s) / 2
        (a_t, s_t), (a_m, s_m), (a_s, s_s) = map(denoise.schedule, (t, middle, s))
        begin = denoise(state.x, t)
        half = denoise(a_m * begin.x0 + s_m * begin.eps, middle)
        return State(state.x + (a_s - a_t) * half.x0 + (s_s - s_t) * half.eps, s, ((t, begin),))


noisette.register(Midpoint, name="midpoint")

if __name__ == "__main__":
    model, out = sys.argv[1:]
    noisette.draw(noisette.load(model), 16, sampler="midpoint", steps=12).save(out)
