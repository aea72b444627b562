"""Time grids: the times that a sampler visits, from noise to data.

A grid of n steps is a decreasing float64 tensor of n + 1 times in [0, 1] on the CPU, ending in 0. Functions raise
`InputError` for a number of steps that is not possible.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import InputError
from ..shapes import Grid
from .schedule import Schedule


def uniform(steps: int) -> Grid:
    """Equal steps in t."""
    if steps < 1:
        raise InputError(f"the number of steps must be at least 1, got {steps}")
    return torch.linspace(1, 0, steps + 1, dtype=torch.float64, device="cpu")


def trailing(steps: int, num_train_timesteps: int = 1000) -> Grid:
    """Whole steps of a chain of num_train_timesteps, evenly spaced, counted from t = 1 (Lin et al. 2023, Table 2)."""
    _check_steps(steps, num_train_timesteps)
    return (uniform(steps) * num_train_timesteps).round() / num_train_timesteps


def leading(steps: int, num_train_timesteps: int = 1000) -> Grid:
    """Whole steps of a chain of T = num_train_timesteps: multiples of T // steps, plus one (the code of DDIM)."""
    _check_steps(steps, num_train_timesteps)
    return _grid_from_steps(
        torch.arange(steps, dtype=torch.float64, device="cpu") * (num_train_timesteps // steps) + 1, num_train_timesteps
    )


def strided(steps: int, num_train_timesteps: int = 1000) -> Grid:
    """Whole steps of a chain, evenly spaced, including its first and last (Nichol & Dhariwal 2021, section 4)."""
    _check_steps(steps, num_train_timesteps)
    last = num_train_timesteps - 1
    indices = torch.linspace(last if steps == 1 else 0, last, steps, dtype=torch.float64, device="cpu").round()
    return _grid_from_steps(indices + 1, num_train_timesteps)


def quadratic(steps: int, num_train_timesteps: int = 1000) -> Grid:
    """Whole steps of a chain, evenly spaced in √t up to 0.8 T (Song et al. 2021, appendix D.2).

    Where two times would round to the same step, consecutive steps are used.
    """
    _check_steps(steps, num_train_timesteps)
    i = torch.arange(steps, dtype=torch.float64, device="cpu")
    squares = (
        torch.linspace(0, (0.8 * num_train_timesteps) ** 0.5, steps, dtype=torch.float64, device="cpu").square().floor()
    )
    return _grid_from_steps(torch.maximum(squares, i) + 1, num_train_timesteps)


def karras(schedule: Schedule, steps: int, sigma_min: float = 0.002, sigma_max: float = 80.0, rho: float = 7.0) -> Grid:
    """σ/α evenly spaced in its ρ-th root from sigma_max to sigma_min, then 0 (Karras et al. 2022, eq. 5).

    For any schedule; the range is cut to what the schedule has. `InputError` if nothing of it is left.
    """
    lo, hi = (c ** (1 / rho) for c in _ratio_range(schedule, steps, sigma_min, sigma_max))
    return _grid_from_ratios(schedule, (lo + (hi - lo) * _ramp(steps)) ** rho)


def signal_range(schedule: Schedule, steps: int, signal_std: float, sigma_min: float = 0.02) -> Grid:
    """One step from the first time of `karras` to σ/α = 2 · signal_std, then as `karras` from there to sigma_min.

    signal_std: standard deviation of the data along their first principal component, in model space. Where σ/α is above
    twice that, the best x0 is hardly more than the mean of the data, so one step is enough. Below sigma_min, 2.5 levels
    of 255, x0 is known.
    """
    first, sigma_max = karras(schedule, 1), max(2 * signal_std, 50 * sigma_min)
    if steps < 2 or sigma_max >= schedule.ratio(first[0]):
        return karras(schedule, steps, sigma_min)
    return torch.cat([first[:1], karras(schedule, steps - 1, sigma_min, sigma_max)])


def logsnr(schedule: Schedule, steps: int, sigma_min: float = 0.002, sigma_max: float = 80.0) -> Grid:
    """Equal steps in λ = ln(α/σ), half the log-SNR, then 0 (Lu et al. 2022). The range is cut as in `karras`."""
    lo, hi = (c.log() for c in _ratio_range(schedule, steps, sigma_min, sigma_max))
    return _grid_from_ratios(schedule, (lo + (hi - lo) * _ramp(steps)).exp())


def grid_from_times(times: Sequence[float]) -> Grid:
    """A list of times as a grid; `InputError` unless they decrease from at most 1 to 0."""
    grid = torch.tensor(times, dtype=torch.float64, device="cpu")
    if len(grid) < 2 or not (grid[0] <= 1 and grid[-1] == 0 and (grid.diff() < 0).all()):
        raise InputError(f"the times {list(times)} are no grid: they must decrease from at most 1 to 0")
    return grid


def resample_grid(grids: Sequence[Sequence[float]], steps: int) -> Grid:
    """The grid with `steps` steps among `grids`, or the one with the nearest number of steps, interpolated in ln t.

    An interpolated grid has the same first and last times and the same relative density.
    """
    uniform(steps)
    if not grids:
        raise InputError("this model has no fitted grid: fit one with `noisette steps`, or choose another grid")
    nearest = grid_from_times(min(grids, key=lambda times: abs(len(times) - 1 - steps)))
    if len(nearest) == steps + 1:
        return nearest
    if len(nearest) == 2:
        raise InputError(f"a fitted grid of one step cannot be interpolated to {steps} steps: choose another grid")
    logs, at = nearest[:-1].log(), torch.linspace(0, len(nearest) - 2, steps, dtype=torch.float64, device="cpu")
    low = at.floor().long().clamp(max=len(logs) - 2)
    between = torch.lerp(logs[low], logs[low + 1], at - low).exp()
    between[0] = nearest[0]  # exp(log(t)) may differ in the last bit
    return torch.cat([between, logs.new_zeros(1)])


def _check_steps(steps: int, num_train_timesteps: int) -> None:
    if not 1 <= steps <= num_train_timesteps:
        raise InputError(
            f"the number of steps must be from 1 to {num_train_timesteps}, the steps of the chain, got {steps}"
        )


def _grid_from_steps(step_indices: Tensor, num_train_timesteps: int) -> Grid:
    """The grid of increasing step numbers of a chain."""
    return torch.cat([step_indices.flip(0), step_indices.new_zeros(1)]) / num_train_timesteps


def _ratio_range(schedule: Schedule, steps: int, sigma_min: float, sigma_max: float) -> tuple[Tensor, Tensor]:
    """The smallest and largest σ/α: [sigma_min, sigma_max] cut to the range of the schedule."""
    first, last = schedule.ratio(torch.tensor([schedule.min_time, 1.0], dtype=torch.float64, device="cpu"))
    low, high = first.clamp(min=sigma_min), last.clamp(max=sigma_max)
    if steps > 1 and not low < high:
        raise InputError(
            f"{type(schedule).__name__} has σ/α from {first:.3g} to {last:.3g}, with no range left for {steps} steps "
            f"between sigma_min {sigma_min:.3g} and sigma_max {sigma_max:.3g}: use 1 step, or another range"
        )
    return low, high


def _ramp(steps: int) -> Tensor:
    """`steps` numbers from 1 to 0; a single one is 1."""
    return uniform(steps - 1) if steps > 1 else uniform(steps)[:1]


def _grid_from_ratios(schedule: Schedule, ratios: Tensor) -> Grid:
    t = schedule.time_at_ratio(ratios)
    return torch.cat([t, t.new_zeros(1)])
