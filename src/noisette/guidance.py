"""Guidance: denoisers made of denoisers. Each is a Denoiser, so they nest."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .denoiser import Denoiser, Prediction
from .schedule import Schedule
from .shapes import Images, Time


@dataclass(frozen=True)
class Wrapper:
    """A denoiser around another."""

    denoiser: Denoiser

    @property
    def schedule(self) -> Schedule:
        return self.denoiser.schedule


@dataclass(frozen=True)
class Clipped(Wrapper):
    """Keep x0 within [-limit, limit] and re-derive ε (diffusers' use_clipped_model_output=True). Goes outermost."""

    limit: float = 1.0

    def __call__(self, x: Images, t: Time) -> Prediction:
        pred = self.denoiser(x, t)
        return pred.with_x0(pred.x0.clamp(-self.limit, self.limit), x, *self.schedule.at(t, x))


@dataclass(frozen=True)
class Guided(Wrapper):
    """Away from one denoiser and towards another: classifier-free guidance (Ho & Salimans 2022), negative conditions,
    autoguidance (Karras et al. 2024).

    scale 0 is `away`, 1 is `denoiser`, and more goes past it. Outside of `interval`, in t, only `denoiser` is asked
    (Kynkäänniemi et al. 2024).
    """

    away: Denoiser
    scale: float
    interval: tuple[float, float] = (0.0, 1.0)

    def __call__(self, x: Images, t: Time) -> Prediction:
        pred = self.denoiser(x, t)
        if self.scale == 1 or not self.interval[0] <= t <= self.interval[1]:
            return pred
        ref = self.away(x, t)
        return replace(pred, x0=ref.x0.lerp(pred.x0, self.scale), eps=ref.eps.lerp(pred.eps, self.scale))


@dataclass(frozen=True)
class GradientGuided(Wrapper):
    """Up the gradient of log p(y | x_t): classifier guidance (Dhariwal & Nichol 2021, Algorithm 2), reconstruction
    guidance, any differentiable wish.

    Where α is 0, x_t says nothing of the image and the wish nothing of x_t: there it changes nothing.
    """

    log_prob: Callable[[Tensor, Tensor, Tensor], Tensor]  # (x_t, x0, t) -> (B,)
    scale: float = 1.0

    def __call__(self, x: Images, t: Time) -> Prediction:
        if self.schedule(t)[0].min() == 0:
            return self.denoiser(x, t)
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            pred = self.denoiser(leaf, t)
            (grad,) = torch.autograd.grad(self.log_prob(leaf, pred.x0, t).sum(), leaf)
        alpha, sigma = self.schedule.at(t, x)
        pred = Prediction(pred.x0.detach(), pred.eps.detach(), pred.variance)
        return pred.with_x0(pred.x0 + self.scale * sigma**2 / alpha * grad, x, alpha, sigma)
