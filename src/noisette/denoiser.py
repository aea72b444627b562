"""Denoisers: from a noisy image to what was under the noise, and what the noise was.

`Denoiser` is the waist of the project: models, guidance and consistency are denoisers, and samplers see nothing else.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .condition import Condition
from .errors import InputError
from .parametrization import Epsilon, Parametrization
from .schedule import Schedule
from .shapes import Images, Time


@dataclass(frozen=True)
class Prediction:
    """The two halves of x_t = α x0 + σ ε, as estimated.

    They are two fields, and not one and a rule, because some edits change one and keep the other (Asyrp).
    """

    x0: Images
    eps: Images
    variance: Images | None = None  # logits of the learned range (Nichol & Dhariwal 2021, eq. 15), where there are any

    def with_x0(self, x0: Tensor, x_t: Tensor, alpha: Tensor, sigma: Tensor) -> "Prediction":
        """Change the image and re-derive the noise from it."""
        return replace(self, x0=x0, eps=(x_t - alpha * x0) / sigma)

    def each(self, do: Callable[[Tensor], Tensor]) -> "Prediction":
        """The same done to all that is there."""
        return Prediction(do(self.x0), do(self.eps), None if self.variance is None else do(self.variance))

    def __getitem__(self, rows: slice) -> "Prediction":
        """Some of the batch."""
        return self.each(lambda part: part[rows])

    def __add__(self, other: "Prediction") -> "Prediction":
        """Sums; of two of one kind."""
        both = (self.variance, other.variance)
        variance = None if both[0] is None or both[1] is None else both[0] + both[1]
        return Prediction(self.x0 + other.x0, self.eps + other.eps, variance)


@runtime_checkable
class Denoiser(Protocol):
    """The one interface between models, guidance and samplers."""

    @property
    def schedule(self) -> Schedule: ...

    def __call__(self, x: Tensor, t: Tensor) -> Prediction: ...


class DiffusionModel(nn.Module):
    """A network, the process that it was trained for, and what it predicts."""

    def __init__(self, net: nn.Module, schedule: Schedule, parametrization: Parametrization) -> None:
        super().__init__()
        end = schedule(torch.ones((), dtype=torch.float64))[0]
        if isinstance(parametrization, Epsilon) and end < 1e-9:
            raise InputError(
                f"{type(schedule).__name__} ends in pure noise, where a prediction of the noise says nothing of the "
                "image: choose V, X0, Flow or EDM"
            )
        self.net = net
        self.schedule = schedule
        self.parametrization = parametrization

    def forward(self, x: Images, t: Time, cond: Condition | None = None) -> Float[Tensor, "b c2 h w"]:
        """The network's raw output at x_t, time t of shape () or (B,): F, and after it, if it has learned one, the
        logits of the variance, as many channels again."""
        alpha, sigma = self.schedule.at(t, x)
        label = self.schedule.label(t).to(x).expand(len(x))
        return self.net(self.parametrization.input_scale(alpha, sigma) * x, label, cond).to(x.dtype)

    def given(self, cond: Condition | None = None) -> "Conditioned":
        """This model as a denoiser of images of a certain kind."""
        return Conditioned(self, cond)


@dataclass(frozen=True)
class Conditioned:
    """A model and what its images are asked to be."""

    model: DiffusionModel
    cond: Condition | None = None

    @property
    def schedule(self) -> Schedule:
        return self.model.schedule

    def __call__(self, x: Images, t: Time) -> Prediction:
        out = self.model(x, t, self.cond)
        variance = None
        if out.shape[1] == 2 * x.shape[1]:
            out, variance = out.chunk(2, dim=1)
        x0, eps = self.model.parametrization.solve(out, x, *self.schedule.at(t, x))
        return Prediction(x0, eps, variance)


def both(one: Denoiser, other: Denoiser, x: Images, t: Time) -> tuple[Prediction, Prediction]:
    """What two denoisers answer to the same x_t: by one call of twice the batch where they are one model that is asked
    for two things of one kind."""
    if isinstance(one, Conditioned) and isinstance(other, Conditioned) and one.model is other.model:
        cond = None if one.cond is None or other.cond is None else one.cond.beside(other.cond)
        if cond is not None:
            pred = one.model.given(cond)(torch.cat([x, x]), torch.cat([t, t]) if t.ndim else t)
            first, second = slice(None, len(x)), slice(len(x), None)
            return pred[first], pred[second]
    return one(x, t), other(x, t)
