"""Time grids: the n + 1 times, from noise to data, that a sampler visits. Float64, decreasing, on the CPU."""

import torch
from torch import Tensor

from .errors import InputError
from .schedule import Schedule
from .shapes import Grid


def uniform(steps: int) -> Grid:
    """Equal steps in t."""
    if steps < 1:
        raise InputError(f"{steps} steps lead nowhere: ask for at least 1")
    return torch.linspace(1, 0, steps + 1, dtype=torch.float64)


def trailing(steps: int, of: int = 1000) -> Grid:
    """Whole steps of an `of`-step chain, counted from its noisy end (Lin et al. 2023, Table 2)."""
    _within(steps, of)
    return (uniform(steps) * of).round() / of


def leading(steps: int, of: int = 1000) -> Grid:
    """Whole steps of an `of`-step chain, as DDIM's own code chose them: multiples of of // steps, plus one."""
    _within(steps, of)
    return _chain(torch.arange(steps, dtype=torch.float64) * (of // steps) + 1, of)


def strided(steps: int, of: int = 1000) -> Grid:
    """Whole steps of an `of`-step chain, its first and its last among them (Nichol & Dhariwal 2021, section 4)."""
    _within(steps, of)
    return _chain(torch.linspace(of - 1 if steps == 1 else 0, of - 1, steps, dtype=torch.float64).round() + 1, of)


def quadratic(steps: int, of: int = 1000) -> Grid:
    """Whole steps of an `of`-step chain, denser near the data: up to 0.8 T, evenly in the square root
    (Song et al. 2021, appendix D.2). Where the squares would repeat a step, the steps are consecutive."""
    _within(steps, of)
    i = torch.arange(steps, dtype=torch.float64)
    squares = torch.linspace(0, (0.8 * of) ** 0.5, steps, dtype=torch.float64).square().floor()
    return _chain(torch.maximum(squares, i) + 1, of)


def karras(schedule: Schedule, steps: int, sigma_min: float = 0.002, sigma_max: float = 80.0, rho: float = 7.0) -> Grid:
    """Karras et al. 2022, eq. 5: σ/α spaced evenly in its ρ-th root, then 0.

    For any schedule: of the range asked for, the part that the schedule has.
    """
    lo, hi = (c ** (1 / rho) for c in _range(schedule, steps, sigma_min, sigma_max))
    return _from_ratios(schedule, (lo + (hi - lo) * _ramp(steps)) ** rho)


def logsnr(schedule: Schedule, steps: int, sigma_min: float = 0.002, sigma_max: float = 80.0) -> Grid:
    """Equal steps in ln(α/σ), half the log of the SNR (Lu et al. 2022), then 0. For any schedule."""
    lo, hi = (c.log() for c in _range(schedule, steps, sigma_min, sigma_max))
    return _from_ratios(schedule, (lo + (hi - lo) * _ramp(steps)).exp())


def _within(steps: int, of: int) -> None:
    if not 1 <= steps <= of:
        raise InputError(f"a chain of {of} steps cannot be walked in {steps}: ask for 1 to {of}")


def _chain(k: Tensor, of: int) -> Grid:
    """Increasing steps of a chain as a grid."""
    return torch.cat([k.flip(0), k.new_zeros(1)]) / of


def _range(schedule: Schedule, steps: int, sigma_min: float, sigma_max: float) -> tuple[Tensor, Tensor]:
    """The smallest and largest σ/α of a grid."""
    first, last = schedule.ratio(torch.tensor([schedule.first, 1.0], dtype=torch.float64))
    low, high = first.clamp(min=sigma_min), last.clamp(max=sigma_max)
    if steps > 1 and not low < high:
        raise InputError(
            f"{type(schedule).__name__} has noise from {first:.3g} to {last:.3g}, nothing between {sigma_min:.3g} and "
            f"{sigma_max:.3g} to take {steps} steps in: ask for 1 step, or for another range"
        )
    return low, high


def _ramp(steps: int) -> Tensor:
    """1 … 0 in `steps` numbers; one number is 1."""
    return uniform(steps - 1) if steps > 1 else uniform(steps)[:1]


def _from_ratios(schedule: Schedule, ratios: Tensor) -> Grid:
    t = schedule.time(ratios)
    return torch.cat([t, t.new_zeros(1)])
