"""How far pictures lie outside of what a set of pictures spans: where a model that is not finished leaves its noise."""

from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor

from ..shapes import Bytes
from .features import light

HELD = 0.999  # share of the variance that the span holds


@dataclass(frozen=True, eq=False)
class Span:
    """The fewest principal components that hold HELD of the variance of a set of pictures."""

    mean: Float64[Tensor, "d"]
    components: Float64[Tensor, "d k"]

    @classmethod
    def of(cls, pixels: Bytes) -> "Span":
        x = flat(pixels)
        mean = x.mean(0)
        _, held, right = torch.linalg.svd(x - mean, full_matrices=False)
        share = held.square().cumsum(0) / held.square().sum().clamp(min=1e-12)
        return cls(mean, right[: int((share < HELD).sum()) + 1].T)

    def outside(self, pixels: Bytes) -> float:
        """Root mean square of what lies outside, in premultiplied light of 0 … 1."""
        x = flat(pixels) - self.mean
        return (x - x @ self.components @ self.components.T).square().mean().sqrt().item()


def flat(pixels: Bytes) -> Float64[Tensor, "b d"]:
    return light(pixels).flatten(1).double()
