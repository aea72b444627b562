"""Weighting of the noise levels by their learned uncertainty (Karras et al. 2024, EDM2, eq. 14 and 21)."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ...shapes import Images, PerImage
from ..condition import Condition
from .objective import LossWrapper, Network


class LogVariance(nn.Module):
    """u(σ/α): a linear layer on Fourier features of ln(σ/α), initialized to zero (Karras et al. 2024, EDM2)."""

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
        """u at ln(σ/α): (B,)."""
        return self.out((log_ratio[:, None] * self.freqs + self.phases).cos()).squeeze(1)


@dataclass(frozen=True, eq=False)
class UncertaintyWeightedLoss(LossWrapper):
    """loss / e^u + u, where u(σ/α) is trained together with the model (Karras et al. 2024, EDM2, eq. 14).

    At the optimum e^u is the expected loss at that noise level, so that all noise levels contribute equally.
    """

    log_variance: LogVariance  # its parameters must be given to the optimizer

    def __call__(
        self, model: Network, x0: Images, t: Float[Tensor, "b"], eps: Images, cond: Condition | None = None
    ) -> PerImage:
        loss = self.loss(model, x0, t, eps, cond)
        log_ratio = self.schedule.ratio(t).log().clamp(-12, 12).to(loss)  # σ/α is infinite for pure noise
        u = self.log_variance(log_ratio)
        return loss / u.exp() + u
