"""The sampling loop and the interface of a sampler."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from ...errors import InputError
from ...shapes import Grid, Images
from ..denoiser import Denoiser, Prediction
from ..noise import Noise, Seeded


@dataclass(frozen=True)
class State:
    """The state of a trajectory between two steps."""

    x: Images  # x_t
    t: Tensor  # (), float64
    history: tuple[tuple[Tensor, Prediction], ...] = ()  # (time, prediction) of earlier steps, latest first

    @property
    def preview(self) -> Tensor:
        """The latest estimate of x0, or x before the first step: (B, C, H, W)."""
        return self.history[0][1].x0 if self.history else self.x


@runtime_checkable
class Sampler(Protocol):
    """A rule for one step. A sampler of your own implements `step` and keeps no state of its own."""

    def step(self, denoise: Denoiser, state: State, s: Tensor, noise: Noise) -> State:
        """The state at time s < state.t. A deterministic sampler also accepts s > state.t (inversion)."""
        ...


@torch.no_grad()
def trajectory(denoise: Denoiser, sampler: Sampler, grid: Grid, x: Images, noise: Noise) -> Iterator[State]:
    """Sample from x at time grid[0] along the grid, yielding the state after every step.

    x: (B, C, H, W). grid: decreasing times, see `noisette.diffusion.grid`; `InputError` if it has fewer than 2. noise:
    a stream such as `Seeded`, used by stochastic samplers; a `Seeded` that gave noise to an earlier trajectory raises
    `InputError`.

    x is kept in float32 (or float64, if it is given so), whatever precision the network computes in. Times stay on the
    CPU in float64, so that steps do not wait for the device.
    """
    if len(grid) < 2:
        raise InputError(f"a grid of {len(grid)} times has no step: it needs at least 2 times")
    if isinstance(noise, Seeded):
        noise.start_trajectory()
    grid = grid.cpu()
    state = State(x if x.dtype == torch.float64 else x.float(), grid[0])
    for s in grid[1:]:
        state = sampler.step(denoise, state, s, noise)
        yield state


@torch.no_grad()
def sample(denoise: Denoiser, sampler: Sampler, grid: Grid, x: Images, noise: Noise) -> Images:
    """The x at the end of `trajectory`: the samples, if the grid ends in 0."""
    return deque(trajectory(denoise, sampler, grid, x, noise), maxlen=1).pop().x
