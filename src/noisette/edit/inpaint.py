"""Inpainting: draw the unknown pixels of a picture, and keep the known ones.

RePaint (Lugmayr et al. 2022) replaces the known pixels in x_t, DDNM (Wang et al. 2023) in every estimate of x0. Both
add noise back and repeat each step, so that the new pixels fit the known ones.
"""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from ..diffusion.denoiser import Denoiser
from ..diffusion.guidance import Consistent
from ..diffusion.noise import Noise
from ..diffusion.operator import Mask
from ..diffusion.sampler import Repaint, Resampled, Sampler, sample
from ..errors import InputError
from ..sampling.generate import initial_noise
from ..shapes import Grid, Images, UInt8Images

KnownMask = Float[Tensor, "#b #c h w"]  # 1 where a pixel is known, 0 where it is to be drawn


def inpaint_repaint(
    denoise: Denoiser,
    sampler: Sampler,
    grid: Grid,
    pictures: Images,
    known_mask: KnownMask,
    noise: Noise,
    rounds: int = 5,
    temperature: float = 1.0,
) -> Images:
    """RePaint: the known pixels of x_t are the picture's, with noise. Each step is taken `rounds` times."""
    x = initial_noise(denoise, grid, pictures, noise, temperature)
    return sample(denoise, Repaint(sampler, pictures, known_mask, rounds), grid, x, noise)


def inpaint_ddnm(
    denoise: Denoiser,
    sampler: Sampler,
    grid: Grid,
    pictures: Images,
    known_mask: KnownMask,
    noise: Noise,
    rounds: int = 5,
    temperature: float = 1.0,
) -> Images:
    """DDNM: the known pixels of every estimate of x0 are the picture's. Each step is taken `rounds` times."""
    mask = Mask(known_mask)
    consistent = Consistent(denoise, mask, mask(pictures))
    x = initial_noise(denoise, grid, pictures, noise, temperature)
    return sample(consistent, Resampled(sampler, rounds), grid, x, noise)


def restore_known(pixels: UInt8[Tensor, "#b c h w"], known_mask: KnownMask, samples: UInt8Images) -> UInt8Images:
    """The samples with the known pixels of the picture itself, byte for byte."""
    return torch.where(known_mask > 0, pixels, samples)


def pad_canvas(
    pixels: UInt8Images, known_mask: KnownMask, margin: int
) -> tuple[UInt8[Tensor, "b c tall wide"], Float[Tensor, "#b #c tall wide"]]:
    """For outpainting: a picture with `margin` pixels more on every side, and the mask that has 0 there."""
    if margin < 1:
        raise InputError(f"margin must be at least 1, got {margin}")
    sides = (margin,) * 4
    return torch.nn.functional.pad(pixels, sides), torch.nn.functional.pad(known_mask, sides)
