"""Variations of a picture: some noise is put on it, and taken off again (SDEdit, Meng et al. 2022)."""

import torch
from jaxtyping import Float
from torch import Tensor

from ..denoiser import Denoiser
from ..errors import InputError
from ..noise import Noise
from ..sampler import Sampler, sample
from ..shapes import Grid, Images


def last(grid: Grid, share: float) -> Float[Tensor, "fewer"]:
    """The last `share` of a grid's steps; it begins between two of its times where need be."""
    if not 0 < share <= 1:
        raise InputError(
            f"a strength of {share:g} is none: give one above 0, which changes little, up to 1, which is all"
        )
    at = (1 - share) * (len(grid) - 1)
    low = min(int(at), len(grid) - 2)
    first = torch.lerp(grid[low], grid[low + 1], at - low)
    return torch.cat([first[None], grid[low + 1 :]])


def vary(denoise: Denoiser, sampler: Sampler, grid: Grid, pictures: Images, strength: float, noise: Noise) -> Images:
    """Pictures like these, (B, C, H, W): drawn from q(x_t | picture), where the last `strength` of the steps begins.

    A strength near 0 changes details, 1 leaves nothing but the colours of the whole.
    """
    late = last(grid, strength)
    return sample(denoise, sampler, late, denoise.schedule.diffuse(pictures, late[0], noise), noise)
