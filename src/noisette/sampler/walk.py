"""The one sampling loop, and what it asks of a sampler."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from ..denoiser import Denoiser, Prediction
from ..errors import InputError
from ..noise import Noise
from ..shapes import Grid, Images


@dataclass(frozen=True)
class State:
    """Where a trajectory is."""

    x: Images  # x_t
    t: Tensor  # (), float64
    history: tuple[tuple[Tensor, Prediction], ...] = ()  # (time, prediction) pairs, latest first

    @property
    def preview(self) -> Tensor:
        """The finished image, as last estimated: (B, C, H, W)."""
        return self.history[0][1].x0 if self.history else self.x


@runtime_checkable
class Sampler(Protocol):
    """One step from state.t to s < state.t (or s > state.t, for a deterministic sampler run backwards)."""

    def step(self, denoise: Denoiser, state: State, s: Tensor, noise: Noise) -> State: ...


@torch.no_grad()
def trajectory(denoise: Denoiser, sampler: Sampler, grid: Grid, x: Images, noise: Noise) -> Iterator[State]:
    """Walk x along the grid, yielding the state after every step. The only sampling loop there is.

    The state is kept in float32 or better, whatever precision the network computes in. Times stay on the CPU: a step
    branches on them and computes its coefficients from them in float64 without waiting for the device.
    """
    if len(grid) < 2:
        raise InputError(f"a grid of {len(grid)} times has no step: it needs at least 2")
    grid = grid.cpu()
    state = State(x if x.dtype == torch.float64 else x.float(), grid[0])
    for s in grid[1:]:
        state = sampler.step(denoise, state, s, noise)
        yield state


@torch.no_grad()
def sample(denoise: Denoiser, sampler: Sampler, grid: Grid, x: Images, noise: Noise) -> Images:
    """Walk x along the grid and return where it ends."""
    return deque(trajectory(denoise, sampler, grid, x, noise), maxlen=1).pop().x
