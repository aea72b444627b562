"""A sampler of one's own, measured beside the library's: the same seeds, the same held-out pictures.

python examples/compare_samplers.py RUN [N]     N samples each; 500 for figures, 100 for a first look
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
run, n = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 500
report = noisette.compare_samplers(run, ["midpoint", "heun", "ddim"], steps=(6, 12), n=n)
print(report)
