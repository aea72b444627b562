"""A model beside the optimum: what it makes of noisy pictures, and what a perfect memory of its training set would.

For each noise level σ/α, the root mean square error of x̂0, for pictures that the model was trained on and for held-out
ones; the same for `FiniteSet` of the training pictures, the denoiser that minimises the training loss. At high noise
both answer with an average, at low noise with what is plainly to be seen. In the middle they part: the finite set
answers with a picture that it knows, so its error is nothing on training pictures and large on others. A model that
follows it there, down on one and up on the other, is memorising.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ..denoiser import Denoiser
from ..errors import InputError
from ..noise import Seeded, key
from ..oracle import FiniteSet
from ..shapes import Images

RATIOS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2, 2.0, 3.5, 6.0, 12.0, 30.0)
BATCH = 32


@dataclass(frozen=True)
class Level:
    """Root mean square errors of x̂0 at one noise level, in model space."""

    ratio: float  # σ/α
    training: float
    held_out: float
    finite_training: float  # of the finite set's answer
    finite_held_out: float
    apart: float  # between the model's answer and the finite set's, for held-out pictures: 0 for a perfect memory


def beside_the_optimum(
    model: Denoiser,
    bank: Float[Tensor, "all c h w"],
    training: Float[Tensor, "some c h w"],
    held_out: Images,
    ratios: Sequence[float] = RATIOS,
    seed: int = 0,
) -> list[Level]:
    """Compare a model that is asked for nothing in particular with the finite set of its training pictures `bank`.

    `training` are those of them that are noised. Every picture has its own noise, the same for model and optimum. Noise
    that the schedule does not reach is left out.
    """
    if not len(training) or not len(held_out):
        raise InputError("an optimum is seen in training pictures and in others: give at least one of each")
    finite = FiniteSet(model.schedule, bank)
    most = model.schedule.ratio(torch.ones((), dtype=torch.float64))
    levels = []
    for ratio in ratios:
        if ratio > most:
            continue
        t = model.schedule.time(torch.tensor(ratio, dtype=torch.float64))
        seen, _ = _errors(model, finite, training, t, seed)
        other, apart = _errors(model, finite, held_out, t, seed + 1)
        levels.append(Level(ratio, seen[0], other[0], seen[1], other[1], apart))
    return levels


@torch.no_grad()
def _errors(model: Denoiser, finite: Denoiser, x0: Images, t: Tensor, seed: int) -> tuple[tuple[float, float], float]:
    """The errors of both, and how far apart they are."""
    sums = torch.zeros(3, dtype=torch.float64)
    for first in range(0, len(x0), BATCH):
        part = x0[first : first + BATCH]
        noise = Seeded([key(seed, "optimum", i) for i in range(first, first + len(part))])
        noisy = model.schedule.diffuse(part, t, noise)
        one, best = model(noisy, t).x0, finite(noisy, t).x0
        for i, off in enumerate((one - part, best - part, one - best)):
            sums[i] += off.double().square().sum().cpu()
    a, b, c = (sums / x0.numel()).sqrt().tolist()
    return (a, b), c
