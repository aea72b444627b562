"""What is where in a picture: several samples of its mask, what they agree on, and where they do not."""

from jaxtyping import Bool, Float
from torch import Tensor

from ..denoiser import Denoiser
from ..noise import Noise
from ..sampler import Sampler, sample
from ..shapes import Grid, Images
from .generate import fresh

Chance = Float[Tensor, "#n 1 h w"]  # in [0, 1], that a pixel is inside


def segment(denoise: Denoiser, sampler: Sampler, grid: Grid, like: Images, noise: Noise) -> Images:
    """A sample of the mask for each row of `like`, in model space: what `denoise` was given lies under it."""
    return sample(denoise, sampler, grid, fresh(denoise, grid, like, noise), noise)


def chance(samples: Float[Tensor, "n 1 h w"]) -> Float[Tensor, "1 1 h w"]:
    """The mean of several samples of one mask, as a share of white."""
    return ((samples + 1) / 2).clamp(0, 1).mean(0, keepdim=True)


def inside(share: Chance) -> Bool[Tensor, "#n 1 h w"]:
    """The mask: where more than half of what was drawn is white."""
    return share > 0.5


def uncertainty(share: Chance) -> Chance:
    """4 p (1 - p): 0 where all samples agree, 1 where they are halved."""
    return 4 * share * (1 - share)
