"""Time grids fitted to one model (Chen et al. 2024, GITS)."""

import torch
from jaxtyping import Float
from torch import Tensor

from ...errors import InputError
from ...shapes import Grid, Images
from ..denoiser import Denoiser
from ..noise import Noise
from .single_step import Heun
from .trajectory import trajectory


@torch.no_grad()
def fit_grid(
    denoise: Denoiser, fine_grid: Grid, steps: int, x: Images, noise: Noise, gamma: float = 1.15
) -> Float[Tensor, "fewer"]:
    """The `steps`-step subset of fine_grid with which Euler's method stays closest to a fine trajectory of x.

    x: (B, C, H, W), at time fine_grid[0]. The cost of an Euler step from one time of the fine grid to another is the
    distance of its end from the fine trajectory, on which it starts; dynamic programming finds the path of least total
    cost (GITS, Chen et al. 2024). In sampling, errors accumulate, so each step's cost has gamma times the weight of the
    step before it. Returns (steps + 1,). `InputError` unless steps is at least 1 and less than in the fine grid.
    """
    return find_cheapest_grid(fine_grid, steps, compute_jump_costs(denoise, fine_grid, x, noise), gamma)


def find_cheapest_grid(fine_grid: Grid, steps: int, cost: Tensor, gamma: float = 1.15) -> Float[Tensor, "fewer"]:
    """The grid of `steps` steps of least cost; `cost` is from `compute_jump_costs`. `InputError` if there is none."""
    n = len(fine_grid)
    if not 1 <= steps < n:
        raise InputError(f"the number of steps must be from 1 to {n - 1}, less than in the fine grid, got {steps}")
    best = torch.full((n,), torch.inf, dtype=torch.float64)  # least cost from each time to the end
    best[-1] = 0
    choices = []
    for _ in range(steps):
        best, choice = (cost + gamma * best).min(1)
        choices.append(choice)
    index, path = 0, [0]
    for choice in reversed(choices):
        index = int(choice[index])
        path.append(index)
    return fine_grid[path]


@torch.no_grad()
def compute_jump_costs(denoise: Denoiser, fine_grid: Grid, x: Images, noise: Noise) -> Tensor:
    """The cost of an Euler step from fine_grid[i] to fine_grid[j], at [i, j]: (n, n) float64, infinite for j ≤ i."""
    states = list(trajectory(denoise, Heun(), fine_grid, x, noise))
    n = len(fine_grid)
    cost = torch.full((n, n), torch.inf, dtype=torch.float64)
    for i, state in enumerate(states):
        _, pred = state.history[0]
        for j in range(i + 1, n):
            alpha, sigma = denoise.schedule(fine_grid[j])
            error = (alpha * pred.x0 + sigma * pred.eps - states[j - 1].x) / alpha
            cost[i, j] = error.flatten(1).norm(dim=1).mean().cpu()
    return cost
