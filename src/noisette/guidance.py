"""Guidance: denoisers made of denoisers. Each is a Denoiser, so they nest."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from .denoiser import Denoiser, Prediction, both
from .errors import InputError
from .operator import Operator
from .schedule import Schedule, like
from .shapes import Images, Time

LogProb = Callable[[Tensor, Tensor, Tensor], Tensor]  # (x_t, x0, t) -> (B,)


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
    autoguidance (Karras et al. 2024: `away` is a smaller model, or an earlier snapshot of the same run).

    scale 0 is `away`, 1 is `denoiser`, and more goes past it. Outside of `interval`, in t, only `denoiser` is asked
    (Kynkäänniemi et al. 2024). `rescale` gives x0 that share of the standard deviation back which it has in `denoiser`
    (Lin et al. 2023, eq. 15 and 16, for x0; ε is derived anew). One model that is asked for two things is asked once,
    in a batch of twice the size.
    """

    away: Denoiser
    scale: float
    interval: tuple[float, float] = (0.0, 1.0)
    rescale: float = 0.0

    def __post_init__(self) -> None:
        if self.away.schedule != self.schedule:
            raise InputError(
                f"guidance is between denoisers of one schedule, not of {self.schedule} and {self.away.schedule}: "
                "put Rescheduled around one of them"
            )
        if not 0 <= self.rescale <= 1:
            raise InputError(f"guidance is rescaled by {self.rescale}: it is a share, from 0 to 1")

    def __call__(self, x: Images, t: Time) -> Prediction:
        if self.scale == 1 or not self.interval[0] <= t <= self.interval[1]:
            return self.denoiser(x, t)
        pred, ref = both(self.denoiser, self.away, x, t)
        guided = replace(pred, x0=ref.x0.lerp(pred.x0, self.scale), eps=ref.eps.lerp(pred.eps, self.scale))
        if self.rescale == 0:
            return guided
        was, now = (p.x0.flatten(1).std(1).clamp(min=1e-8) for p in (pred, guided))
        factor = like(1 + self.rescale * (was / now - 1), x)
        return guided.with_x0(factor * guided.x0, x, *self.schedule.at(t, x))


@dataclass(frozen=True)
class GradientGuided(Wrapper):
    """Up the gradient of log p(y | x_t): classifier guidance (Dhariwal & Nichol 2021, Algorithm 2), reconstruction
    guidance, any differentiable wish.

    Where α is 0, x_t says nothing of the image and the wish nothing of x_t: there it changes nothing.
    """

    log_prob: LogProb
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


@dataclass(frozen=True, eq=False)
class Consistent(Wrapper):
    """x0 agrees with a measurement y = A x0, and the denoiser fills in what A forgot: DDNM (Wang et al. 2023, eq. 13).

    ε is derived anew. Outermost, so that what comes out agrees exactly. y may be one for all images.
    """

    operator: Operator
    y: Images

    def __call__(self, x: Images, t: Time) -> Prediction:
        pred = self.denoiser(x, t)
        seen = self.operator(pred.x0)
        x0 = pred.x0 + self.operator.pinv(self.y.to(seen).expand_as(seen) - seen)
        return pred.with_x0(x0, x, *self.schedule.at(t, x))


@dataclass(frozen=True)
class Asyrp(Wrapper):
    """x0 from an edited bottleneck, ε from the plain one (Kwon et al. 2023, eq. 5). Asks twice.

    `bottleneck` is the part of the denoiser's network whose output is edited: a U-Net's `mid`, or what takes its place
    in small ones. The hook is there while the denoiser is asked, and no longer.
    """

    bottleneck: nn.Module
    edit: Callable[[Tensor], Tensor]  # of what the bottleneck returns

    def __call__(self, x: Images, t: Time) -> Prediction:
        plain = self.denoiser(x, t)
        with tapped(self.bottleneck, self.edit):
            edited = self.denoiser(x, t)
        return replace(plain, x0=edited.x0)


@contextmanager
def tapped(module: nn.Module, edit: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Change what a module returns, for as long as the block lasts."""
    handle = module.register_forward_hook(lambda _module, _inputs, output: edit(output))
    try:
        yield
    finally:
        handle.remove()


@dataclass(frozen=True)
class Rescheduled(Wrapper):
    """A denoiser on another schedule: asked at the time of the same σ/α, with x_t scaled to its own α and σ."""

    to: Schedule

    @property
    def schedule(self) -> Schedule:
        return self.to

    def __call__(self, x: Images, t: Time) -> Prediction:
        inner = self.denoiser.schedule
        then = inner.time(self.to.ratio(t))
        # of equal σ/α, so α'/α = σ'/σ = this, which is finite where one of them is 0
        (alpha, sigma), (a, s) = self.to(t), inner(then)
        return self.denoiser(like(torch.hypot(a, s) / torch.hypot(alpha, sigma), x) * x, then)


@dataclass
class Counted:
    """Guides nothing, and knows how often it was asked."""

    denoiser: Denoiser
    calls: int = 0

    @property
    def schedule(self) -> Schedule:
        return self.denoiser.schedule

    def __call__(self, x: Images, t: Time) -> Prediction:
        self.calls += 1
        return self.denoiser(x, t)
