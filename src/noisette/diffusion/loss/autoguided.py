"""Autoguidance that is trained into the network, so that it costs nothing when pictures are drawn."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ...errors import check_range
from ...shapes import Images, PerImage
from ..condition import Condition
from ..schedule import broadcast_like
from .objective import LossWrapper, Network


@dataclass(frozen=True, eq=False)
class AutoguidedLoss(LossWrapper):
    """A loss of which the trained network F becomes the guided one: F = D + (scale − 1) (D − R) for σ/α ≤ max_ratio.

    D is what minimizes `loss`, R a weaker model, such as an early snapshot of the same run (autoguidance: Karras et al.
    2024, arXiv:2406.02507). Drawing with D and R takes two calls a step. Here `loss` is that of the mixture

        F / scale + (1 − 1 / scale) R,

    which is D at the optimum, so F is the guided network. At more noise F is D: there the difference is one of layout,
    brightness and hue, and more of it makes pictures worse (an interval: Kynkäänniemi et al. 2024, arXiv:2404.07724).

    scale: 1 (no guidance) or more. reference: R, with the parametrization of the trained network; no gradient reaches
    it. Raises InputError for a scale below 1 and for a max_ratio that is not above 0.
    """

    reference: Network
    scale: float
    max_ratio: float = 2.0  # highest σ/α with guidance, above 0

    def __post_init__(self) -> None:
        check_range("scale", self.scale, 1)
        check_range("max_ratio", self.max_ratio, 0, above=True)

    def __call__(
        self, model: Network, x0: Images, t: Float[Tensor, "b"], eps: Images, cond: Condition | None = None
    ) -> PerImage:
        def mixture(x: Images, time: Float[Tensor, "b"], cond: Condition | None) -> Images:
            output = model(x, time, cond)
            with torch.no_grad():
                weaker = self.reference(x, time, cond)
            guided = self.schedule.ratio(time) <= self.max_ratio
            share = broadcast_like((1 - 1 / self.scale) * guided, x)
            return output + share * (weaker - output)

        return self.loss(mixture, x0, t, eps, cond)
