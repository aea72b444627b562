"""Denoisers: functions that estimate the clean image and the noise from a noisy image.

`Denoiser` is the central interface: conditioned models and all guidance wrappers implement it, and samplers use nothing
else.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ..errors import InputError
from ..shapes import Images, Time
from .condition import Condition
from .parametrization import Epsilon, Parametrization
from .schedule import Schedule


@dataclass(frozen=True)
class Prediction:
    """Estimates of x0 and ε in x_t = α x0 + σ ε.

    Both are stored, although one follows from the other, because some edits change only one of them (`Asyrp`).
    """

    x0: Images
    eps: Images
    variance: Images | None = None  # v of a learned variance (Nichol & Dhariwal 2021, eq. 15); None: not learned

    def with_x0(self, x0: Tensor, x_t: Tensor, alpha: Tensor, sigma: Tensor) -> "Prediction":
        """Replace x0 and compute ε from it: ε = (x_t − α x0) / σ."""
        return replace(self, x0=x0, eps=(x_t - alpha * x0) / sigma)

    def map(self, fn: Callable[[Tensor], Tensor]) -> "Prediction":
        """Apply a function to every field that is not None."""
        return Prediction(fn(self.x0), fn(self.eps), None if self.variance is None else fn(self.variance))

    def where(self, mask: Bool[Tensor, "b"], other: "Prediction") -> "Prediction":
        """This prediction for the images where mask is true, `other` elsewhere."""
        rows = mask.to(self.x0.device).reshape(-1, 1, 1, 1)
        variance = None
        if self.variance is not None and other.variance is not None:
            variance = torch.where(rows, self.variance, other.variance)
        return Prediction(torch.where(rows, self.x0, other.x0), torch.where(rows, self.eps, other.eps), variance)

    def __getitem__(self, rows: slice) -> "Prediction":
        """The rows of a slice of the batch."""
        return self.map(lambda part: part[rows])

    def __add__(self, other: "Prediction") -> "Prediction":
        """Sum field by field; without a variance unless both have one."""
        variance = None if self.variance is None or other.variance is None else self.variance + other.variance
        return Prediction(self.x0 + other.x0, self.eps + other.eps, variance)


@runtime_checkable
class Denoiser(Protocol):
    """The interface between models, guidance and samplers."""

    @property
    def schedule(self) -> Schedule:
        """The schedule that relates t to α and σ."""
        ...

    def __call__(self, x: Tensor, t: Tensor) -> Prediction:
        """Predict x0 and ε from x_t, (B, C, H, W), at time t: shape () for all images, or (B,) for each image."""
        ...


class DiffusionModel(nn.Module):
    """A network with its noise schedule and its parametrization (what the network predicts).

    The network is called as `net(c_in · x_t, noise_label, cond)`. Raises `InputError` for `Epsilon` on a schedule that
    ends in α = 0.
    """

    def __init__(self, net: nn.Module, schedule: Schedule, parametrization: Parametrization) -> None:
        super().__init__()
        end = schedule(torch.ones((), dtype=torch.float64, device="cpu"))[0]
        if isinstance(parametrization, Epsilon) and end < 1e-9:
            raise InputError(
                f"{type(schedule).__name__} ends at α = 0, where x0 cannot be computed from a prediction of the "
                "noise: choose V, X0, Flow or EDM"
            )
        self.net = net
        self.schedule = schedule
        self.parametrization = parametrization

    def forward(self, x: Images, t: Time, cond: Condition | None = None) -> Float[Tensor, "b c2 h w"]:
        """The network's raw output F at x_t and time t, of shape () or (B,).

        (B, C, H, W); (B, 2C, H, W) for a network with a learned variance, whose v is the second half.
        """
        alpha, sigma = self.schedule.at(t, x)
        label = self.schedule.noise_label(t).to(x).expand(len(x))
        return self.net(self.parametrization.input_scale(alpha, sigma) * x, label, cond).to(x.dtype)

    def predict(self, x: Images, t: Time, cond: Condition | None = None) -> Prediction:
        """x0 and ε from x_t, and the variance of a network that has learned one."""
        out = self(x, t, cond)
        variance = None
        if out.shape[1] == 2 * x.shape[1]:
            out, variance = out.chunk(2, dim=1)
        x0, eps = self.parametrization.solve(out, x, *self.schedule.at(t, x))
        return Prediction(x0, eps, variance)

    def given(self, cond: Condition | None = None) -> "ConditionalDenoiser":
        """This model as a denoiser with a fixed condition; None: unconditional."""
        return ConditionalDenoiser(self, cond)


@dataclass(frozen=True)
class ConditionalDenoiser:
    """A model with a fixed condition, one row per image."""

    model: DiffusionModel
    cond: Condition | None = None

    @property
    def schedule(self) -> Schedule:
        return self.model.schedule

    def __call__(self, x: Images, t: Time) -> Prediction:
        return self.model.predict(x, t, self.cond)


def predict_both(
    first_denoiser: Denoiser, second_denoiser: Denoiser, x: Images, t: Time
) -> tuple[Prediction, Prediction]:
    """The predictions of two denoisers for the same x_t.

    If both are the same model and their conditions can be concatenated, this is one call with twice the batch.
    """
    if (
        isinstance(first_denoiser, ConditionalDenoiser)
        and isinstance(second_denoiser, ConditionalDenoiser)
        and first_denoiser.model is second_denoiser.model
    ):
        cond = (
            None
            if first_denoiser.cond is None or second_denoiser.cond is None
            else first_denoiser.cond.concat(second_denoiser.cond)
        )
        if cond is not None:
            pred = first_denoiser.model.given(cond)(torch.cat([x, x]), torch.cat([t, t]) if t.ndim else t)
            first, second = slice(None, len(x)), slice(len(x), None)
            return pred[first], pred[second]
    return first_denoiser(x, t), second_denoiser(x, t)
