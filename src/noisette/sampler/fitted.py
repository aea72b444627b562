"""A time grid made for one model (Chen et al. 2024, GITS)."""

import torch
from jaxtyping import Float
from torch import Tensor

from ..denoiser import Denoiser
from ..errors import InputError
from ..noise import Noise
from ..shapes import Grid, Images
from .heun import Heun
from .walk import trajectory


@torch.no_grad()
def fitted(
    denoise: Denoiser, fine: Grid, steps: int, x: Images, noise: Noise, gamma: float = 1.15
) -> Float[Tensor, "fewer"]:
    """The `steps` of `fine`'s steps by which Euler strays least from where a fine walk of the images x goes.

    x starts at fine[0]. A jump from one fine time to another costs the distance between Euler's point and the fine
    walk's, which begins on the fine walk itself; dynamic programming finds the cheapest path. A real walk has strayed
    already, the more the later, so each jump weighs `gamma` times as much as the one before it.
    """
    return cheapest(fine, steps, jumps(denoise, fine, x, noise), gamma)


def cheapest(fine: Grid, steps: int, cost: Tensor, gamma: float = 1.15) -> Float[Tensor, "fewer"]:
    """The path of `steps` jumps from fine[0] to fine[-1] that costs least, by what `jumps` found."""
    n = len(fine)
    if not 1 <= steps < n:
        raise InputError(f"a grid of {n - 1} steps has none of {steps}: ask for 1 to {n - 1}")
    best = torch.full((n,), torch.inf, dtype=torch.float64)  # the cheapest way from each time to the end
    best[-1] = 0
    choices = []
    for _ in range(steps):
        best, choice = (cost + gamma * best).min(1)
        choices.append(choice)
    at, path = 0, [0]
    for choice in reversed(choices):
        at = int(choice[at])
        path.append(at)
    return fine[path]


@torch.no_grad()
def jumps(denoise: Denoiser, fine: Grid, x: Images, noise: Noise) -> Tensor:
    """What Euler's jump from fine[i] to fine[j] costs, at [i, j]; infinite for j ≤ i. float64, on the CPU."""
    states = list(trajectory(denoise, Heun(), fine, x, noise))
    n = len(fine)
    cost = torch.full((n, n), torch.inf, dtype=torch.float64)
    for i, state in enumerate(states):
        _, pred = state.history[0]
        for j in range(i + 1, n):
            alpha, sigma = denoise.schedule(fine[j])
            off = (alpha * pred.x0 + sigma * pred.eps - states[j - 1].x) / alpha
            cost[i, j] = off.flatten(1).norm(dim=1).mean().cpu()
    return cost
