"""Time grids: the n + 1 times, from noise to data, that a sampler visits. Float64, decreasing, on the CPU."""

import torch

from .errors import InputError
from .schedule import Schedule
from .shapes import Grid


def uniform(steps: int) -> Grid:
    """Equal steps in t."""
    if steps < 1:
        raise InputError(f"{steps} steps lead nowhere: ask for at least 1")
    return torch.linspace(1, 0, steps + 1, dtype=torch.float64)


def trailing(steps: int, of: int = 1000) -> Grid:
    """Whole steps of an `of`-step chain, starting at its noisy end (Lin et al. 2023, Table 2)."""
    if steps > of:
        raise InputError(f"a chain of {of} steps cannot be walked in {steps}: ask for at most {of}")
    return (uniform(steps) * of).round() / of


def leading(steps: int, of: int = 1000) -> Grid:
    """Whole steps of an `of`-step chain, as DDIM's own code chose them: multiples of of // steps, plus one."""
    if not 1 <= steps <= of:
        raise InputError(f"a chain of {of} steps cannot be walked in {steps}: ask for 1 to {of}")
    k = torch.arange(steps, dtype=torch.float64).flip(0) * (of // steps) + 1
    return torch.cat([k, k.new_zeros(1)]) / of


def karras(schedule: Schedule, steps: int, sigma_min: float = 0.002, sigma_max: float = 80.0, rho: float = 7.0) -> Grid:
    """Karras et al. 2022, eq. 5: σ/α spaced evenly in its ρ-th root, then 0. For any schedule."""
    lo, hi = sigma_min ** (1 / rho), sigma_max ** (1 / rho)
    ramp = uniform(steps - 1) if steps > 1 else torch.ones(1, dtype=torch.float64)
    t = schedule.time((lo + (hi - lo) * ramp) ** rho)
    return torch.cat([t, t.new_zeros(1)])
