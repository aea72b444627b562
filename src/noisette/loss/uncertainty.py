"""Noise levels weighted by what can be known of them (Karras et al. 2024, EDM2, eq. 14 and 21)."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..condition import Condition
from ..schedule import Schedule
from ..shapes import Images, PerImage
from .objective import Loss, Network
from .times import Times


class LogVariance(nn.Module):
    """u(σ/α): a linear function of Fourier features of ln(σ/α), zero at first."""

    freqs: Tensor
    phases: Tensor

    def __init__(self, features: int = 128) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.register_buffer("freqs", torch.randn(features, generator=generator))
        self.register_buffer("phases", 2 * math.pi * torch.rand(features, generator=generator))
        self.out = nn.Linear(features, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, log_ratio: Float[Tensor, "b"]) -> Float[Tensor, "b"]:
        return self.out((log_ratio[:, None] * self.freqs + self.phases).cos()).squeeze(1)


@dataclass(frozen=True, eq=False)
class Uncertain:
    """loss / e^u + u, with u learned beside the model: at its best e^u is the expected loss at that noise level, so
    every level pulls on the network alike."""

    loss: Loss
    log_variance: LogVariance  # its parameters go to the optimiser too

    @property
    def schedule(self) -> Schedule:
        return self.loss.schedule

    @property
    def times(self) -> Times:
        return self.loss.times

    def __call__(
        self, model: Network, x0: Images, t: Float[Tensor, "b"], eps: Images, cond: Condition | None = None
    ) -> PerImage:
        loss = self.loss(model, x0, t, eps, cond)
        log_ratio = self.schedule.ratio(t).log().clamp(-12, 12).to(loss)  # pure noise has an infinite ratio
        u = self.log_variance(log_ratio)
        return loss / u.exp() + u
