"""A model beside the optimal denoiser of its training set.

For each noise level σ/α: the root mean square error of x̂0 on training and on held-out pictures, for the model and for
the `EmpiricalDenoiser` of the training pictures, which minimizes the training loss. At high noise both predict an
average, at low noise the visible picture. In between they differ: the optimal denoiser predicts one of its training
pictures, so its error is 0 on those and large on others. A model that follows it there is memorizing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ...diffusion.denoiser import Denoiser
from ...diffusion.noise import Seeded, derive_seed
from ...diffusion.oracle import EmpiricalDenoiser
from ...errors import InputError
from ...shapes import Images

NOISE_RATIOS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2, 2.0, 3.5, 6.0, 12.0, 30.0)
BATCH_SIZE = 32


@dataclass(frozen=True)
class NoiseLevelErrors:
    """Root mean square errors of x̂0 at one noise level, in model space."""

    ratio: float  # σ/α
    training: float
    held_out: float
    finite_training: float  # of the optimal denoiser
    finite_held_out: float
    output_distance: float  # RMS between model and optimal denoiser on held-out pictures; 0: the model memorizes


def compare_with_optimum(
    model: Denoiser,
    training_set: Float[Tensor, "all c h w"],
    training_samples: Float[Tensor, "some c h w"],
    held_out: Images,
    ratios: Sequence[float] = NOISE_RATIOS,
    seed: int = 0,
) -> list[NoiseLevelErrors]:
    """Compare an unconditional model with the optimal denoiser of its whole training set.

    training_samples: the pictures of `training_set` that are noised; all pictures in model space, [-1, 1]. ratios:
    noise levels σ/α; those beyond the schedule's largest are left out. Every picture has its own noise, the same for
    both. Raises InputError for no training sample or no held-out picture.
    """
    if not len(training_samples) or not len(held_out):
        raise InputError(
            "at least one training and one held-out picture are needed, got "
            f"{len(training_samples)} and {len(held_out)}"
        )
    finite = EmpiricalDenoiser(model.schedule, training_set)
    most = model.schedule.ratio(torch.ones((), dtype=torch.float64))
    levels = []
    for ratio in ratios:
        if ratio > most:
            continue
        t = model.schedule.time_at_ratio(torch.tensor(ratio, dtype=torch.float64))
        known, _ = _rms_errors(model, finite, training_samples, t, seed)
        new, distance = _rms_errors(model, finite, held_out, t, seed + 1)
        levels.append(NoiseLevelErrors(ratio, known[0], new[0], known[1], new[1], distance))
    return levels


@torch.no_grad()
def _rms_errors(
    model: Denoiser, finite: Denoiser, x0: Images, t: Tensor, seed: int
) -> tuple[tuple[float, float], float]:
    """The RMS errors of both, and the RMS distance between their predictions."""
    sums = torch.zeros(3, dtype=torch.float64)
    for first in range(0, len(x0), BATCH_SIZE):
        part = x0[first : first + BATCH_SIZE]
        noise = Seeded([derive_seed(seed, "optimum", i) for i in range(first, first + len(part))])
        noisy = model.schedule.diffuse(part, t, noise)
        ours, best = model(noisy, t).x0, finite(noisy, t).x0
        for i, off in enumerate((ours - part, best - part, ours - best)):
            sums[i] += off.double().square().sum().cpu()
    a, b, c = (sums / x0.numel()).sqrt().tolist()
    return (a, b), c
