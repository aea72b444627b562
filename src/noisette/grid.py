"""Time grids: the n + 1 times, from noise to data, that a sampler visits. Float64, decreasing, on the CPU."""

from collections.abc import Sequence

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


def checked(times: Sequence[float]) -> Grid:
    """Times that were written down, as a grid; refused unless they decrease from at most 1 to 0."""
    grid = torch.tensor(times, dtype=torch.float64)
    if len(grid) < 2 or not (grid[0] <= 1 and grid[-1] == 0 and (grid.diff() < 0).all()):
        raise InputError(f"the times {list(times)} are no grid: they should decrease from at most 1 to 0")
    return grid


def resampled(grids: Sequence[Sequence[float]], steps: int) -> Grid:
    """The grid of that many steps among `grids`; where there is none, that of the nearest number, interpolated in ln t.

    The interpolated grid begins and ends where that one does, and crowds where that one crowds.
    """
    uniform(steps)
    if not grids:
        raise InputError("this model has no fitted grid: `noisette steps` fits one, or choose another grid")
    nearest = checked(min(grids, key=lambda times: abs(len(times) - 1 - steps)))
    if len(nearest) == steps + 1:
        return nearest
    if len(nearest) == 2:
        raise InputError(f"a fitted grid of one step cannot be made one of {steps}: choose another grid")
    logs, at = nearest[:-1].log(), torch.linspace(0, len(nearest) - 2, steps, dtype=torch.float64)
    low = at.floor().long().clamp(max=len(logs) - 2)
    between = torch.lerp(logs[low], logs[low + 1], at - low).exp()
    between[0] = nearest[0]  # exactly: the exponential of a logarithm need not be
    return torch.cat([between, logs.new_zeros(1)])


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
