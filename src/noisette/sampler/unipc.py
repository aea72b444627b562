"""UniPC (Zhao et al. 2023): a predictor, and a corrector that costs no evaluation."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..denoiser import Denoiser
from ..errors import InputError
from ..noise import Noise
from ..schedule import Schedule
from .dpm import Past
from .walk import State


@dataclass(frozen=True)
class UniPC:
    """UniPC-p with B₂(h) = e^h − 1, on x0 (their Algorithms 1 and 2, and appendix A).

    The network is asked once a step, at the predicted x. Its answer first corrects that x, as the difference between
    the step's implicit and explicit formula, then serves the next prediction.
    """

    order: int = 3

    def __post_init__(self) -> None:
        if self.order not in (1, 2, 3):
            raise InputError(f"UniPC of order {self.order} is not known to be stable: choose 1, 2 or 3")

    def step(self, denoise: Denoiser, state: State, s: Tensor, noise: Noise) -> State:
        x, t, schedule = state.x, state.t, denoise.schedule
        pred = denoise(x, t)
        if state.history:
            explicit = increment(schedule, state.history[: self.order], t)
            implicit = increment(schedule, state.history[: self.order], t, pred.x0)
            x = x + schedule(t)[0] * (implicit - explicit)
        past = ((t, pred), *state.history)[: self.order]
        (_, s_t), (a_s, s_s) = schedule(t), schedule(s)
        return State(s_s / s_t * x + a_s * increment(schedule, past, s), s, past)


def increment(schedule: Schedule, past: Past, s: Tensor, then: Tensor | None = None) -> Tensor:
    """What a step from the newest of `past` to s adds to x, over α_s: (1 − e^{−h}) (x0 + Σ_k ρ_k (x0_k − x0)).

    `then`, x0 at s itself, makes it the corrector's.
    """
    (t, newest), *older = past
    older = [(time, pred) for time, pred in older if schedule.ratio(time).isfinite()]  # pure noise is infinitely far
    weight = 1 - schedule.ratio(s) / schedule.ratio(t)  # 1 − e^{−h}
    if s == 0:
        return weight * newest.x0
    lam = -schedule.ratio(torch.stack([s, t, *(time for time, _ in older)])).log()
    h = lam[0] - lam[1]
    at = (lam[2:] - lam[1]) / h  # where the older ones lie, in steps: negative
    values = [pred.x0 for _, pred in older]
    if then is not None:
        at, values = torch.cat([at, at.new_ones(1)]), [*values, then]
    x0 = newest.x0
    for rho, where, value in zip(coefficients(h, at), at, values, strict=True):
        x0 = x0 + rho / where * (value - newest.x0)
    return weight * x0


def coefficients(h: Tensor, at: Tensor) -> Tensor:
    """ρ, from the paper's R(h) ρ = φ(h) / B(h). One alone is 1/2, whatever h: with B₂ that keeps the order (their
    Proposition A.1)."""
    if len(at) <= 1:
        return torch.full_like(at, 0.5)
    hh = -h
    b1 = torch.expm1(hh)
    phi, factorial, right = b1 / hh - 1, 1.0, []
    for k in range(1, len(at) + 1):
        right.append(phi * factorial / b1)
        factorial *= k + 1
        phi = phi / hh - 1 / factorial
    return torch.linalg.solve(at[None] ** torch.arange(len(at))[:, None], torch.stack(right))
