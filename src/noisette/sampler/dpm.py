"""DPM-Solver++ (Lu et al. 2022): the linear part of the ODE is solved exactly, x0 is extrapolated from past steps.

With λ = ln(α/σ) and h = λ_s − λ_t > 0, an exact solution of the probability-flow ODE is

    x_s = σ_s/σ_t x_t + α_s ∫_0^h e^{u − h} x0(λ_t + u) du,

and the solvers differ in the polynomial that they put in x0's place. One evaluation a step. A step to σ = 0, where h is
infinite, takes the newest x0; so does any step with no finite past.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..denoiser import Denoiser, Prediction
from ..noise import Noise
from ..schedule import Schedule
from .walk import State

Past = tuple[tuple[Tensor, Prediction], ...]  # (time, prediction), latest first


@dataclass(frozen=True)
class DPMSolver2M:
    """DPM-Solver++(2M), Algorithm 2: second order."""

    def step(self, denoise: Denoiser, state: State, s: Tensor, noise: Noise) -> State:
        return walk(denoise, state, s, 2, second)


@dataclass(frozen=True)
class DPMSolver3M:
    """DPM-Solver++(3M): third order, once three evaluations are there."""

    def step(self, denoise: Denoiser, state: State, s: Tensor, noise: Noise) -> State:
        return walk(denoise, state, s, 3, third)


@dataclass(frozen=True)
class DPMSolverSDE:
    """SDE-DPM-Solver++(2M): solves the reverse SDE, adding as much noise as DDPM does."""

    def step(self, denoise: Denoiser, state: State, s: Tensor, noise: Noise) -> State:
        x, t, schedule = state.x, state.t, denoise.schedule
        past = ((t, denoise(x, t)), *state.history)[:2]
        (_, s_t), (a_s, s_s) = schedule(t), schedule(s)
        shrink = schedule.ratio(s) / schedule.ratio(t)  # e^{−h}
        fresh = 1 - shrink**2
        x = s_s / s_t * shrink * x + a_s * fresh * second(schedule, past, s)
        if s > 0:
            x = x + s_s * fresh.sqrt() * noise(x)
        return State(x, s, past)


def walk(
    denoise: Denoiser, state: State, s: Tensor, remembered: int, x0: Callable[[Schedule, Past, Tensor], Tensor]
) -> State:
    """x_s = σ_s/σ_t x_t + α_s (1 − e^{−h}) x̄0, with x̄0 the mean of the polynomial under the integral's weight."""
    t, schedule = state.t, denoise.schedule
    past = ((t, denoise(state.x, t)), *state.history)[:remembered]
    (_, s_t), (a_s, s_s) = schedule(t), schedule(s)
    shrink = schedule.ratio(s) / schedule.ratio(t)
    return State(s_s / s_t * state.x + a_s * (1 - shrink) * x0(schedule, past, s), s, past)


def second(schedule: Schedule, past: Past, s: Tensor) -> Tensor:
    """x0 extrapolated to the middle of the step."""
    m = [pred.x0 for _, pred in past]
    if len(past) == 1 or s == 0:
        return m[0]
    lam = -schedule.ratio(torch.stack([s, *(t for t, _ in past[:2])])).log()
    h, h0 = lam[0] - lam[1], lam[1] - lam[2]
    return m[0] + h / h0 / 2 * (m[0] - m[1])


def third(schedule: Schedule, past: Past, s: Tensor) -> Tensor:
    """The mean, under the integral's weight, of the parabola through the last three x0."""
    if len(past) < 3 or s == 0:
        return second(schedule, past, s)
    lam = -schedule.ratio(torch.stack([s, *(t for t, _ in past)])).log()
    m = [pred.x0 for _, pred in past]
    h, h0, h1 = lam[0] - lam[1], lam[1] - lam[2], lam[2] - lam[3]
    slope, before = (m[0] - m[1]) / h0, (m[1] - m[2]) / h1
    bend = (slope - before) / (h0 + h1)
    weight = -torch.expm1(-h)
    u, u2 = (h - weight) / weight, (h**2 - 2 * h + 2 * weight) / weight  # the means of u and u²
    return m[0] + u * (slope + h0 * bend) + u2 * bend
