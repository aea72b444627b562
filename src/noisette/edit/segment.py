"""What is where in a picture: several samples of its mask, what they agree on, and where they do not."""

from jaxtyping import Bool, Float
from torch import Tensor

Chance = Float[Tensor, "#n 1 h w"]  # in [0, 1], that a pixel is inside


def chance(samples: Float[Tensor, "n 1 h w"]) -> Float[Tensor, "1 1 h w"]:
    """The share of several samples of one mask that are white, or nearer to it than to black: greys are a model's
    haste, and would look like doubt."""
    return (samples > 0).to(samples.dtype).mean(0, keepdim=True)


def inside(share: Chance) -> Bool[Tensor, "#n 1 h w"]:
    """The mask: where more than half of what was drawn is white."""
    return share > 0.5


def uncertainty(share: Chance) -> Chance:
    """4 p (1 - p): 0 where all samples agree, 1 where they are halved."""
    return 4 * share * (1 - share)
