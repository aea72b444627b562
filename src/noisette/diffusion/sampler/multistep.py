"""Multistep solvers, which use the predictions of earlier steps: DPM-Solver++, UniPC, iPNDM. One call per step.

DPM-Solver++ (Lu et al. 2022) and UniPC (Zhao et al. 2023) solve the linear part of the ODE exactly and extrapolate x0
from earlier steps.

With λ = ln(α/σ) and h = λ_s − λ_t > 0, an exact solution of the probability-flow ODE is

    x_s = σ_s/σ_t x_t + α_s ∫_0^h e^{u − h} x0(λ_t + u) du,

and they differ in the polynomial that approximates x0. A step to σ = 0, where h is infinite, uses the latest x0, and
so does the first step. iPNDM (Zhang & Chen 2023): Adams–Bashforth for dx = x0 dα + ε dσ.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ...errors import InputError
from ..denoiser import Denoiser, Prediction
from ..noise import Noise
from ..schedule import Schedule
from .trajectory import State

History = tuple[tuple[Tensor, Prediction], ...]  # (time, prediction), latest first
ADAMS_BASHFORTH = (  # coefficients for equal steps; latest first
    (1.0,),
    (3 / 2, -1 / 2),
    (23 / 12, -16 / 12, 5 / 12),
    (55 / 24, -59 / 24, 37 / 24, -9 / 24),
)


@dataclass(frozen=True)
class DPMSolver2M:
    """DPM-Solver++(2M) (Lu et al. 2022, Algorithm 2): second order. One call per step."""

    def step(self, denoise: Denoiser, state: State, s: Tensor, noise: Noise) -> State:
        return multistep_step(denoise, state, s, 2, extrapolate_linear)


@dataclass(frozen=True)
class DPMSolver3M:
    """DPM-Solver++(3M) (Lu et al. 2022): third order from the third step on. One call per step.

    With the full curvature of the parabola; diffusers and the authors' code use half of it, which has order 2.
    """

    def step(self, denoise: Denoiser, state: State, s: Tensor, noise: Noise) -> State:
        return multistep_step(denoise, state, s, 3, extrapolate_quadratic)


@dataclass(frozen=True)
class DPMSolverSDE:
    """SDE-DPM-Solver++(2M) (Lu et al. 2022): solves the reverse SDE, which adds as much noise as DDPM. One call per
    step."""

    def step(self, denoise: Denoiser, state: State, s: Tensor, noise: Noise) -> State:
        x, t, schedule = state.x, state.t, denoise.schedule
        history = ((t, denoise(x, t)), *state.history)[:2]
        (_, s_t), (a_s, s_s) = schedule(t), schedule(s)
        decay = schedule.ratio(s) / schedule.ratio(t)  # e^{−h}
        variance = 1 - decay**2
        x = s_s / s_t * decay * x + a_s * variance * extrapolate_linear(schedule, history, s)
        if s > 0:
            x = x + s_s * variance.sqrt() * noise(x)
        return State(x, s, history)


def multistep_step(
    denoise: Denoiser, state: State, s: Tensor, order: int, extrapolate: Callable[[Schedule, History, Tensor], Tensor]
) -> State:
    """x_s = σ_s/σ_t x_t + α_s (1 − e^{−h}) x̄0, with x̄0 from `extrapolate`: the weighted mean of the polynomial.

    order: the number of predictions that are kept.
    """
    t, schedule = state.t, denoise.schedule
    history = ((t, denoise(state.x, t)), *state.history)[:order]
    (_, s_t), (a_s, s_s) = schedule(t), schedule(s)
    decay = schedule.ratio(s) / schedule.ratio(t)
    return State(s_s / s_t * state.x + a_s * (1 - decay) * extrapolate(schedule, history, s), s, history)


def extrapolate_linear(schedule: Schedule, history: History, s: Tensor) -> Tensor:
    """x0 at the middle of the step in λ, on the line through the last two."""
    m = [pred.x0 for _, pred in history]
    if len(history) == 1 or s == 0:
        return m[0]
    lam = -schedule.ratio(torch.stack([s, *(t for t, _ in history[:2])])).log()
    h, h0 = lam[0] - lam[1], lam[1] - lam[2]
    return m[0] + h / h0 / 2 * (m[0] - m[1])


def extrapolate_quadratic(schedule: Schedule, history: History, s: Tensor) -> Tensor:
    """The mean, weighted by e^{u − h}, of the parabola through the last three x0."""
    if len(history) < 3 or s == 0:
        return extrapolate_linear(schedule, history, s)
    lam = -schedule.ratio(torch.stack([s, *(t for t, _ in history)])).log()
    m = [pred.x0 for _, pred in history]
    h, h0, h1 = lam[0] - lam[1], lam[1] - lam[2], lam[2] - lam[3]
    slope, slope_before = (m[0] - m[1]) / h0, (m[1] - m[2]) / h1
    curvature = (slope - slope_before) / (h0 + h1)
    weight = -torch.expm1(-h)
    u, u2 = (h - weight) / weight, (h**2 - 2 * h + 2 * weight) / weight  # the weighted means of u and u²
    return m[0] + u * (slope + h0 * curvature) + u2 * curvature


@dataclass(frozen=True)
class UniPC:
    """UniPC of order p, with B₂(h) = e^h − 1 and prediction of x0 (Zhao et al. 2023, Algorithms 1 and 2, appendix A).

    order: p, from 1 to 3; `InputError` otherwise.

    The denoiser is called once per step, at the predicted x. Its prediction first corrects that x, by the difference
    between the implicit and the explicit formula of the step, and is then used for the next predictor.
    """

    order: int = 3

    def __post_init__(self) -> None:
        if self.order not in (1, 2, 3):
            raise InputError(f"the order of UniPC must be 1, 2 or 3, got {self.order}")

    def step(self, denoise: Denoiser, state: State, s: Tensor, noise: Noise) -> State:
        x, t, schedule = state.x, state.t, denoise.schedule
        pred = denoise(x, t)
        if state.history:
            explicit = x0_increment(schedule, state.history[: self.order], t)
            implicit = x0_increment(schedule, state.history[: self.order], t, pred.x0)
            x = x + schedule(t)[0] * (implicit - explicit)
        history = ((t, pred), *state.history)[: self.order]
        (_, s_t), (a_s, s_s) = schedule(t), schedule(s)
        return State(s_s / s_t * x + a_s * x0_increment(schedule, history, s), s, history)


def x0_increment(schedule: Schedule, history: History, s: Tensor, x0_at_s: Tensor | None = None) -> Tensor:
    """The increment of x/α_s from the latest time of `history` to s: (1 − e^{−h}) (x0 + Σ ρ_k (x0_k − x0)).

    x0_at_s: the prediction at s, for the corrector; None for the predictor.
    """
    (t, newest), *older = history
    older = [(time, pred) for time, pred in older if schedule.ratio(time).isfinite()]  # at pure noise λ is −∞
    weight = 1 - schedule.ratio(s) / schedule.ratio(t)  # 1 − e^{−h}
    if s == 0:
        return weight * newest.x0
    lam = -schedule.ratio(torch.stack([s, t, *(time for time, _ in older)])).log()
    h = lam[0] - lam[1]
    positions = (lam[2:] - lam[1]) / h  # of older predictions, in units of h: negative
    values = [pred.x0 for _, pred in older]
    if x0_at_s is not None:
        positions, values = torch.cat([positions, positions.new_ones(1)]), [*values, x0_at_s]
    x0 = newest.x0
    for rho, position, value in zip(corrector_weights(h, positions), positions, values, strict=True):
        x0 = x0 + rho / position * (value - newest.x0)
    return weight * x0


def corrector_weights(h: Tensor, positions: Tensor) -> Tensor:
    """ρ, the solution of R(h) ρ = φ(h) / B(h) of the paper; a single weight is 1/2, which keeps the order (their
    Proposition A.1)."""
    if len(positions) <= 1:
        return torch.full_like(positions, 0.5)
    hh = -h
    b1 = torch.expm1(hh)
    phi, factorial, right = b1 / hh - 1, 1.0, []
    for k in range(1, len(positions) + 1):
        right.append(phi * factorial / b1)
        factorial *= k + 1
        phi = phi / hh - 1 / factorial
    return torch.linalg.solve(
        positions[None] ** torch.arange(len(positions), device=positions.device)[:, None], torch.stack(right)
    )


@dataclass(frozen=True)
class IPNDM:
    """iPNDM (Zhang & Chen 2023), of order 4 from the fourth step on; one call per step.

    dx = x0 dα + ε dσ, with x0 and ε extrapolated by the coefficients for equal steps. They are used for unequal steps
    as well, where the order is 2, because this is more stable with few steps.
    """

    def step(self, denoise: Denoiser, state: State, s: Tensor, noise: Noise) -> State:
        (a_t, s_t), (a_s, s_s) = denoise.schedule(state.t), denoise.schedule(s)
        pred = denoise(state.x, state.t)
        history = ((state.t, pred), *state.history)[:4]
        x = a_s * pred.x0 + s_s * pred.eps
        # the coefficients sum to 1: the Euler step, corrected by differences from the latest prediction
        for weight, (_, old) in zip(ADAMS_BASHFORTH[len(history) - 1], history, strict=True):
            x = x + (a_s - a_t) * weight * (old.x0 - pred.x0) + (s_s - s_t) * weight * (old.eps - pred.eps)
        return State(x, s, history)
