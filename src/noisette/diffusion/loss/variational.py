"""The variational bound as a training loss, alone and in the hybrid loss of Nichol & Dhariwal 2021."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ...errors import InputError
from ...shapes import Images, PerImage, Time
from .. import normal
from ..condition import Condition
from ..denoiser import Prediction
from ..parametrization import Parametrization
from ..posterior import FixedSmall, LearnedRange, Variance, posterior_mean
from ..schedule import Schedule
from .objective import Network, Objective
from .timesteps import Steps, Stratified, TimestepSampler


def vlb_term(
    schedule: Schedule, pred: Prediction, x0: Images, x_t: Images, t: Time, s: Time, variance: Variance
) -> PerImage:
    """One term of the bound for each image, in bits per dimension: (B,) (Ho et al. 2020, eq. 5).

    KL(q(x_s | x_t, x0) ‖ p(x_s | x_t)) for s > 0, and −log₂ p(x0 | x_t) of 8-bit values in [-1, 1] for s = 0.
    """
    alpha, sigma = schedule.at(t, x0)
    truth = Prediction(x0, (x_t - alpha * x0) / sigma)
    mean = posterior_mean(schedule, pred, x_t, t, s)
    std = variance(schedule, pred, x_t, t, s).to(x_t).expand_as(x_t)
    true_std = FixedSmall()(schedule, truth, x_t, t, s).to(x_t).expand_as(x_t)
    kl = normal.kl(posterior_mean(schedule, truth, x_t, t, s), true_std, mean, std)
    nats = torch.where((s == 0).to(x0.device).reshape(-1, 1, 1, 1), -normal.discretized_log_prob(x0, mean, std), kl)
    return nats.flatten(1).mean(1) / math.log(2)


@dataclass(frozen=True)
class VariationalLoss:
    """L_vlb: T times the term of the bound at step t, in bits per dimension, for a chain of T = `steps`.

    The mean over uniform steps is the bound without its prior term. stratified: sample the steps with `Stratified`.
    """

    schedule: Schedule
    parametrization: Parametrization
    steps: int = 1000
    variance: Variance = LearnedRange()
    stratified: bool = False

    @property
    def times(self) -> TimestepSampler:
        return Stratified(Steps(self.steps)) if self.stratified else Steps(self.steps)

    def __call__(
        self, model: Network, x0: Images, t: Float[Tensor, "b"], eps: Images, cond: Condition | None = None
    ) -> PerImage:
        alpha, sigma = self.schedule.at(t, x0)
        out = model(alpha * x0 + sigma * eps, t, cond)
        return self.loss_from_output(*split_output(out, x0), x0, t, eps)

    def loss_from_output(
        self, output: Images, variance: Images | None, x0: Images, t: Float[Tensor, "b"], eps: Images
    ) -> PerImage:
        """The loss of a network output F and, for `LearnedRange`, its v."""
        alpha, sigma = self.schedule.at(t, x0)
        x_t = alpha * x0 + sigma * eps
        pred = Prediction(*self.parametrization.solve(output, x_t, alpha, sigma), variance)
        s = (t * self.steps - 1).round().clamp(min=0) / self.steps
        return self.steps * vlb_term(self.schedule, pred, x0, x_t, t, s, self.variance)


@dataclass(frozen=True)
class HybridLoss:
    """L_hybrid = L_simple + vlb_weight · L_vlb (Nichol & Dhariwal 2021, section 3.1).

    The gradient of L_vlb reaches the learned variance only. The network needs twice as many output channels as the
    picture; `InputError` otherwise.
    """

    simple: Objective
    vlb_weight: float = 1e-3
    steps: int = 1000

    @property
    def schedule(self) -> Schedule:
        return self.simple.schedule

    @property
    def times(self) -> TimestepSampler:
        return self.simple.times

    def __call__(
        self, model: Network, x0: Images, t: Float[Tensor, "b"], eps: Images, cond: Condition | None = None
    ) -> PerImage:
        alpha, sigma = self.schedule.at(t, x0)
        out, variance = split_output(model(alpha * x0 + sigma * eps, t, cond), x0)
        if variance is None:
            raise InputError(f"HybridLoss needs a network with {2 * x0.shape[1]} output channels, got {out.shape[1]}")
        bound = VariationalLoss(self.schedule, self.simple.parametrization, self.steps)
        return self.simple.loss_from_output(out, x0, t, eps) + self.vlb_weight * bound.loss_from_output(
            out.detach(), variance, x0, t, eps
        )


def split_output(output: Tensor, x0: Images) -> tuple[Tensor, Tensor | None]:
    """Split a network output into F and, if it has twice the channels of x0, the v of a learned variance."""
    if output.shape[1] == 2 * x0.shape[1]:
        mean, variance = output.chunk(2, dim=1)
        return mean, variance
    return output, None
