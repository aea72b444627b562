"""The mask of a picture and its uncertainty, from several sampled masks."""

from jaxtyping import Bool, Float
from torch import Tensor

ProbabilityMap = Float[Tensor, "#n 1 h w"]  # in [0, 1], of a pixel being inside


def mask_probability(samples: Float[Tensor, "n 1 h w"]) -> Float[Tensor, "1 1 h w"]:
    """The share of the sampled masks, in [-1, 1], that are above 0. Grays are not averaged: they come from few sampling
    steps, and would look like uncertainty."""
    return (samples > 0).to(samples.dtype).mean(0, keepdim=True)


def binarize(probability: ProbabilityMap) -> Bool[Tensor, "#n 1 h w"]:
    """The mask: where the probability is above 0.5."""
    return probability > 0.5


def uncertainty(probability: ProbabilityMap) -> ProbabilityMap:
    """4 p (1 - p): 0 where all samples agree, 1 where half of them are white."""
    return 4 * probability * (1 - probability)
