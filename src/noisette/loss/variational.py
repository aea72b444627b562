"""The variational bound as a loss, and improved DDPM's mixture of it (Nichol & Dhariwal 2021)."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from .. import normal, posterior
from ..condition import Condition
from ..denoiser import Prediction
from ..errors import InputError
from ..parametrization import Parametrization
from ..posterior import FixedSmall, LearnedRange, Variance
from ..schedule import Schedule
from ..shapes import Images, PerImage, Time
from .objective import Network, Objective
from .times import Steps, Stratified, Times


def term(
    schedule: Schedule, pred: Prediction, x0: Images, x_t: Images, t: Time, s: Time, variance: Variance
) -> PerImage:
    """One term of the bound, in bits a dimension: KL(q(x_s | x_t, x0) ‖ p(x_s | x_t)), or −log p(x0 | x_t) where s = 0
    (Ho et al. 2020, eq. 5; the last one for 256 levels of [-1, 1])."""
    alpha, sigma = schedule.at(t, x0)
    truth = Prediction(x0, (x_t - alpha * x0) / sigma)
    mean = posterior.mean(schedule, pred, x_t, t, s)
    std = variance(schedule, pred, x_t, t, s).to(x_t).expand_as(x_t)
    right = FixedSmall()(schedule, truth, x_t, t, s).to(x_t).expand_as(x_t)
    apart = normal.kl(posterior.mean(schedule, truth, x_t, t, s), right, mean, std)
    nats = torch.where((s == 0).to(x0.device).reshape(-1, 1, 1, 1), -normal.discretised_log_prob(x0, mean, std), apart)
    return nats.flatten(1).mean(1) / math.log(2)


@dataclass(frozen=True)
class Variational:
    """L_vlb on a chain of `steps` steps: T times the term of the step that was drawn, in bits a dimension.

    Over uniform steps its mean is the bound without its prior term.
    """

    schedule: Schedule
    parametrization: Parametrization
    steps: int = 1000
    variance: Variance = LearnedRange()
    stratified: bool = False

    @property
    def times(self) -> Times:
        return Stratified(Steps(self.steps)) if self.stratified else Steps(self.steps)

    def __call__(
        self, model: Network, x0: Images, t: Float[Tensor, "b"], eps: Images, cond: Condition | None = None
    ) -> PerImage:
        alpha, sigma = self.schedule.at(t, x0)
        out = model(alpha * x0 + sigma * eps, t, cond)
        return self.error(*halves(out, x0), x0, t, eps)

    def error(self, out: Images, variance: Images | None, x0: Images, t: Float[Tensor, "b"], eps: Images) -> PerImage:
        """The loss of what a network answered: F, and logits of the learned range."""
        alpha, sigma = self.schedule.at(t, x0)
        x_t = alpha * x0 + sigma * eps
        pred = Prediction(*self.parametrization.solve(out, x_t, alpha, sigma), variance)
        s = (t * self.steps - 1).round().clamp(min=0) / self.steps
        return self.steps * term(self.schedule, pred, x0, x_t, t, s, self.variance)


@dataclass(frozen=True)
class Hybrid:
    """L_hybrid = L_simple + λ L_vlb, where L_vlb teaches the variance alone: the mean is held (Nichol & Dhariwal 2021,
    section 3.1). For a network with twice as many output channels as the picture has."""

    simple: Objective
    share: float = 1e-3
    steps: int = 1000

    @property
    def schedule(self) -> Schedule:
        return self.simple.schedule

    @property
    def times(self) -> Times:
        return self.simple.times

    def __call__(
        self, model: Network, x0: Images, t: Float[Tensor, "b"], eps: Images, cond: Condition | None = None
    ) -> PerImage:
        alpha, sigma = self.schedule.at(t, x0)
        out, variance = halves(model(alpha * x0 + sigma * eps, t, cond), x0)
        if variance is None:
            raise InputError(
                f"a hybrid loss needs a network with {2 * x0.shape[1]} output channels, this one has {out.shape[1]}"
            )
        bound = Variational(self.schedule, self.simple.parametrization, self.steps)
        return self.simple.error(out, x0, t, eps) + self.share * bound.error(out.detach(), variance, x0, t, eps)


def halves(out: Tensor, x0: Images) -> tuple[Tensor, Tensor | None]:
    """F, and where the network has answered with twice the channels, the logits of the variance."""
    if out.shape[1] == 2 * x0.shape[1]:
        mean, variance = out.chunk(2, dim=1)
        return mean, variance
    return out, None
