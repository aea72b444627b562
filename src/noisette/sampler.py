"""Samplers: rules for moving an image from time t to time s.

A sampler needs only (x0, ε) at t and (α, σ) at s; it knows nothing of networks, labels or guidance. A step returns a
new state: nothing is hidden in the sampler, so the same object may walk many trajectories at once.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from .denoiser import Denoiser, Prediction
from .errors import InputError
from .noise import Noise
from .shapes import Grid, Images


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

    The state is kept in float32 or better, whatever precision the network computes in.
    """
    if len(grid) < 2:
        raise InputError(f"a grid of {len(grid)} times has no step: it needs at least 2")
    state = State(x if x.dtype == torch.float64 else x.float(), grid[0])
    for s in grid[1:]:
        state = sampler.step(denoise, state, s, noise)
        yield state


@torch.no_grad()
def sample(denoise: Denoiser, sampler: Sampler, grid: Grid, x: Images, noise: Noise) -> Images:
    """Walk x along the grid and return where it ends."""
    return deque(trajectory(denoise, sampler, grid, x, noise), maxlen=1).pop().x


def fresh_std(a_t: Tensor, s_t: Tensor, a_s: Tensor, s_s: Tensor) -> Tensor:
    """The standard deviation of q(x_s | x_t, x0), "fixed small" (Ho et al. 2020, eq. 7; Song et al. 2021, eq. 16)."""
    return s_s / s_t * (s_t**2 - (a_t / a_s * s_s) ** 2).clamp(min=0).sqrt()


@dataclass(frozen=True)
class DDIM:
    """Song et al. 2021, eq. 12. eta = 0 is deterministic, and runs backwards too; eta = 1 is DDPM."""

    eta: float = 0.0

    def step(self, denoise: Denoiser, state: State, s: Tensor, noise: Noise) -> State:
        x, t = state.x, state.t
        (a_t, s_t), (a_s, s_s) = denoise.schedule.at(t, x), denoise.schedule.at(s, x)
        pred = denoise(x, t)
        if self.eta == 0:
            return State(a_s * pred.x0 + s_s * pred.eps, s, ((t, pred),))
        fresh = self.eta * fresh_std(a_t, s_t, a_s, s_s)
        x = a_s * pred.x0 + (s_s**2 - fresh**2).clamp(min=0).sqrt() * pred.eps + fresh * noise(x)
        return State(x, s, ((t, pred),))


@dataclass(frozen=True)
class DDPM:
    """Ho et al. 2020, Algorithm 2, on any grid.

    `added` scales the noise that every step adds: 1 is DDPM; 0 leaves it out, as the sprites course does to show that
    the samples then collapse towards the average.
    """

    added: float = 1.0

    def step(self, denoise: Denoiser, state: State, s: Tensor, noise: Noise) -> State:
        x, t = state.x, state.t
        (a_t, s_t), (a_s, s_s) = denoise.schedule.at(t, x), denoise.schedule.at(s, x)
        pred = denoise(x, t)
        fresh = fresh_std(a_t, s_t, a_s, s_s)
        mean = a_s * pred.x0 + (s_s**2 - fresh**2).clamp(min=0).sqrt() * pred.eps
        return State(mean + self.added * fresh * noise(x), s, ((t, pred),))


@dataclass(frozen=True)
class Heun:
    """Karras et al. 2022, Algorithm 1: a second-order step in σ / α. The last step, to σ = 0, is Euler's."""

    def step(self, denoise: Denoiser, state: State, s: Tensor, noise: Noise) -> State:
        x, t = state.x, state.t
        (a_t, s_t), (a_s, s_s) = denoise.schedule.at(t, x), denoise.schedule.at(s, x)
        h = s_s / a_s - s_t / a_t
        pred = denoise(x, t)
        euler = a_s * (x / a_t + h * pred.eps)
        if s_s == 0:
            return State(euler, s, ((t, pred),))
        slope = (pred.eps + denoise(euler, s).eps) / 2
        return State(a_s * (x / a_t + h * slope), s, ((t, pred),))
