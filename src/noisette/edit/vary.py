"""Variations of a picture: noise is added to it and removed again (SDEdit, Meng et al. 2022)."""

import torch
from jaxtyping import Float
from torch import Tensor

from ..diffusion.denoiser import Denoiser
from ..diffusion.noise import Noise
from ..diffusion.sampler import Sampler, sample
from ..errors import InputError
from ..shapes import Grid, Images


def check_strength(strength: float) -> None:
    """Raise InputError for a strength out of range."""
    if not 0 < strength <= 1:
        raise InputError(f"strength must be above 0 (almost no change) and at most 1, got {strength:g}")


def truncate_grid(grid: Grid, strength: float) -> Float[Tensor, "fewer"]:
    """The last `strength`, above 0 to 1, of a grid's steps. It may begin between two of the grid's times."""
    check_strength(strength)
    at = (1 - strength) * (len(grid) - 1)
    low = min(int(at), len(grid) - 2)
    first = torch.lerp(grid[low], grid[low + 1], at - low)
    return torch.cat([first[None], grid[low + 1 :]])


def vary(
    denoise: Denoiser,
    sampler: Sampler,
    grid: Grid,
    pictures: Images,
    strength: float,
    noise: Noise,
    temperature: float = 1.0,
) -> Images:
    """Variations, (B, C, H, W): sampled from x_t ~ q(x_t | picture), where the last `strength` of the steps begins.

    A strength near 0 changes details; 1 keeps no more than the mean colors. `temperature` is a factor of the noise of
    x_t. Raises InputError for a strength out of range.
    """
    late = truncate_grid(grid, strength)
    start = denoise.schedule.diffuse(pictures, late[0], lambda like: temperature * noise(like))
    return sample(denoise, sampler, late, start, noise)
