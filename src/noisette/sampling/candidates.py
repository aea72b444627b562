"""The settings that the end of a training run chooses from: a stochastic sampler on a grid made for the data."""

from collections.abc import Sequence
from dataclasses import replace

from ..diffusion.grid import signal_range
from ..diffusion.schedule import Schedule
from ..models.config import SamplingDefaults

SAMPLER, STEPS = "dpm++sde", 16  # one network call per step; why this sampler: docs/log.md
TEMPERATURES = (1.0, 0.95, 0.9, 0.85, 0.8)
CALLS_PER_PICTURE = STEPS * len(TEMPERATURES)  # of all candidates together
GRID_STEP_COUNTS = (4, 5, 6, 8, 10, 12, 16, 20, 25)  # numbers of steps for which the model gets a grid


def make_grids(
    schedule: Schedule, signal_std: float, step_counts: Sequence[int] = GRID_STEP_COUNTS
) -> tuple[tuple[float, ...], ...]:
    """The grid `signal_range` of each of these numbers of steps, as times."""
    return tuple(tuple(signal_range(schedule, steps, signal_std).tolist()) for steps in step_counts)


def list_candidates(base: SamplingDefaults, fitted: tuple[tuple[float, ...], ...]) -> list[SamplingDefaults]:
    """The sampler at every temperature, with these grids and the guidance of `base`."""
    return [
        replace(base, sampler=SAMPLER, grid="fitted", steps=STEPS, temperature=temperature, fitted=fitted)
        for temperature in TEMPERATURES
    ]
