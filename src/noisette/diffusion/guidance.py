"""Guidance: denoisers built from denoisers. Each is a `Denoiser` itself, so they nest.

As for every denoiser, x is (B, C, H, W) and t has shape () (one time for all images) or (B,) (one time per image).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ..errors import InputError, check_range
from ..shapes import Images, Time
from .denoiser import Denoiser, Prediction, predict_both
from .operator import Operator
from .schedule import Schedule, broadcast_like

LogProbFn = Callable[[Tensor, Tensor, Tensor], Tensor]  # (x_t, x0, t) -> log p(y | x_t) of each image, (B,)
RATIO_TOLERANCE = 1e-3  # relative; σ/α that exceeds a schedule's largest by no more than this is rounding


@dataclass(frozen=True)
class DenoiserWrapper:
    """Base class of a denoiser that calls another one and has its schedule."""

    denoiser: Denoiser

    @property
    def schedule(self) -> Schedule:
        return self.denoiser.schedule


@dataclass(frozen=True)
class Clipped(DenoiserWrapper):
    """Clamp x0 to [-limit, limit] and recompute ε from it (diffusers' use_clipped_model_output=True).

    limit: above 0. Should be the outermost wrapper.
    """

    limit: float = 1.0

    def __post_init__(self) -> None:
        check_range("limit", self.limit, 0, above=True)

    def __call__(self, x: Images, t: Time) -> Prediction:
        pred = self.denoiser(x, t)
        return pred.with_x0(pred.x0.clamp(-self.limit, self.limit), x, *self.schedule.at(t, x))


@dataclass(frozen=True)
class Guided(DenoiserWrapper):
    """Extrapolate from one denoiser to another: away + scale · (denoiser − away), for x0 and ε.

    Covers classifier-free guidance (Ho & Salimans 2022; `away` is the unconditional model), negative conditions, and
    autoguidance (Karras et al. 2024; `away` is a smaller model or an earlier snapshot of the same run). If both are
    the same model with different conditions, the network is called once with a batch of twice the size.

    scale: 0 is `away`, 1 is `denoiser` (no guidance), above 1 extrapolates.
    interval: guidance applies to images with t in [interval[0], interval[1]]; elsewhere the result is `denoiser`'s
        (Kynkäänniemi et al. 2024). If no image is inside, `away` is not called. Default: all times.
    rescale: CFG rescale, 0 to 1: how far the standard deviation of x0 is moved back to that of `denoiser` (Lin et al.
        2023, eq. 15 and 16, here for x0); ε is recomputed. Default: 0.

    Raises `InputError` if the two schedules differ or `rescale` is out of range.
    """

    away: Denoiser
    scale: float
    interval: tuple[float, float] = (0.0, 1.0)
    rescale: float = 0.0

    def __post_init__(self) -> None:
        if self.away.schedule != self.schedule:
            raise InputError(
                f"guidance needs two denoisers with the same schedule, got {self.schedule} and {self.away.schedule}: "
                "wrap one of them in Rescheduled"
            )
        if not 0 <= self.rescale <= 1:
            raise InputError(f"rescale must be from 0 to 1, got {self.rescale}")

    def __call__(self, x: Images, t: Time) -> Prediction:
        low, high = self.interval
        inside = [low <= time <= high for time in t.reshape(-1).tolist()]  # one item for a time for all images
        if self.scale == 1 or not any(inside):
            return self.denoiser(x, t)
        pred, ref = predict_both(self.denoiser, self.away, x, t)
        guided = replace(pred, x0=ref.x0.lerp(pred.x0, self.scale), eps=ref.eps.lerp(pred.eps, self.scale))
        if self.rescale > 0:
            std, guided_std = (p.x0.flatten(1).std(1).clamp(min=1e-8) for p in (pred, guided))
            factor = broadcast_like(1 + self.rescale * (std / guided_std - 1), x)
            guided = guided.with_x0(factor * guided.x0, x, *self.schedule.at(t, x))
        return guided if all(inside) else guided.where(torch.tensor(inside, device="cpu"), pred)


@dataclass(frozen=True)
class GradientGuided(DenoiserWrapper):
    """x0 + scale · σ²/α · ∇ log p(y | x_t): classifier guidance (Dhariwal & Nichol 2021, Algorithm 2), reconstruction
    guidance, or any differentiable objective; ε is recomputed.

    log_prob: called as `log_prob(x_t, x0, t)`, returns one number per image, (B,); the gradient is with respect to x_t,
    also through x0. scale: any number; 0 is no guidance. Images
    with α = 0 are pure noise, which carries no information about y: they get the prediction of `denoiser`.
    """

    log_prob: LogProbFn
    scale: float = 1.0

    def __call__(self, x: Images, t: Time) -> Prediction:
        alpha, sigma = self.schedule.at(t, x)
        has_signal = alpha > 0
        if not has_signal.any():
            return self.denoiser(x, t)
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            pred = self.denoiser(leaf, t)
            (grad,) = torch.autograd.grad(self.log_prob(leaf, pred.x0, t).sum(), leaf)
        pred = pred.map(Tensor.detach)
        guided = pred.with_x0(pred.x0 + self.scale * sigma**2 / alpha * grad, x, alpha, sigma)
        return guided if has_signal.all() else guided.where(has_signal.flatten(), pred)


@dataclass(frozen=True, eq=False)
class Consistent(DenoiserWrapper):
    """x0 + A⁺(y − A x0): x0 agrees with a measurement y = A x0, and the denoiser supplies what A removes.

    DDNM (Wang et al. 2023, eq. 13); ε is recomputed. `measurement` is y for each image, or one y for all. Should be
    the outermost wrapper, so that the samples agree with y exactly.
    """

    operator: Operator
    measurement: Images

    def __call__(self, x: Images, t: Time) -> Prediction:
        pred = self.denoiser(x, t)
        predicted = self.operator(pred.x0)
        x0 = pred.x0 + self.operator.pinv(self.measurement.to(predicted).expand_as(predicted) - predicted)
        return pred.with_x0(x0, x, *self.schedule.at(t, x))


@dataclass(frozen=True)
class Asyrp(DenoiserWrapper):
    """x0 from a network whose activations are edited, ε from the unedited network (Kwon et al. 2023, eq. 5). Two calls.

    bottleneck: the module of the denoiser's network whose output is edited, such as `UNet.mid`.
    edit: a function of that output. It is installed as a forward hook during the call only.
    """

    bottleneck: nn.Module
    edit: Callable[[Tensor], Tensor]

    def __call__(self, x: Images, t: Time) -> Prediction:
        plain = self.denoiser(x, t)
        with hook_output(self.bottleneck, self.edit):
            edited = self.denoiser(x, t)
        return replace(plain, x0=edited.x0)


@contextmanager
def hook_output(module: nn.Module, edit: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Inside the `with` block, `module` returns `edit(output)`: a forward hook, which is removed at the end."""
    handle = module.register_forward_hook(lambda _module, _inputs, output: edit(output))
    try:
        yield
    finally:
        handle.remove()


@dataclass(frozen=True)
class Rescheduled(DenoiserWrapper):
    """A denoiser used on another schedule: called at the time of equal σ/α, with x_t scaled to its own α and σ.

    Pure noise (α = 0 in `target_schedule`) is passed at the inner schedule's t = 1, which is where its own sampling
    starts from pure noise. Any other σ/α above the largest of the inner schedule is outside what the denoiser was
    made for and raises `InputError`: use a time grid with a smaller `sigma_max`.
    """

    target_schedule: Schedule

    @property
    def schedule(self) -> Schedule:
        return self.target_schedule

    def __call__(self, x: Images, t: Time) -> Prediction:
        inner, ratio = self.denoiser.schedule, self.target_schedule.ratio(t)
        largest = inner.ratio(torch.ones((), dtype=torch.float64, device=t.device))
        outside = ratio.isfinite() & (ratio > largest * (1 + RATIO_TOLERANCE))
        if outside.any():
            raise InputError(
                f"the denoiser's {type(inner).__name__} schedule has σ/α up to {largest:.4g}, called at "
                f"{ratio[outside].max():.4g}: use a time grid with sigma_max of at most {largest:.4g}"
            )
        inner_t = inner.time_at_ratio(ratio)
        # for equal σ/α the factor is α'/α = σ'/σ; as a ratio of lengths it is finite also where α or σ is 0
        (alpha, sigma), (inner_alpha, inner_sigma) = self.target_schedule(t), inner(inner_t)
        factor = torch.hypot(inner_alpha, inner_sigma) / torch.hypot(alpha, sigma)
        return self.denoiser(broadcast_like(factor, x) * x, inner_t)


@dataclass
class CallCounter:
    """Counts the calls of a denoiser in `num_calls`; the predictions are not changed.

    is_counted: of which times; None: all.
    """

    denoiser: Denoiser
    num_calls: int = 0
    is_counted: Callable[[Time], bool] | None = None

    @property
    def schedule(self) -> Schedule:
        return self.denoiser.schedule

    def __call__(self, x: Images, t: Time) -> Prediction:
        self.num_calls += self.is_counted is None or self.is_counted(t)
        return self.denoiser(x, t)
