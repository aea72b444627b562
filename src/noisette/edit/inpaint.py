"""Fill in what is missing of a picture, and touch nothing else.

Two ways, which differ in how the known pixels hold the walk: RePaint (Lugmayr et al. 2022) replaces them in x_t, DDNM
(Wang et al. 2023) in every estimate of x0. Both put noise back and repeat each step, so that the filling fits.
"""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from ..denoiser import Denoiser
from ..errors import InputError
from ..guidance import Consistent
from ..noise import Noise
from ..operator import Mask
from ..sampler import Repaint, Resampled, Sampler, sample
from ..shapes import Bytes, Grid, Images
from .generate import fresh

Known = Float[Tensor, "#b #c h w"]  # 1 where a pixel is known, 0 where it is wanted


def repaint(
    denoise: Denoiser, sampler: Sampler, grid: Grid, pictures: Images, known: Known, noise: Noise, rounds: int = 5
) -> Images:
    """RePaint: the known pixels of x_t are those of the picture, as noisy."""
    held = Repaint(sampler, pictures, known, rounds)
    return sample(denoise, held, grid, fresh(denoise, grid, pictures, noise), noise)


def fill(
    denoise: Denoiser, sampler: Sampler, grid: Grid, pictures: Images, known: Known, noise: Noise, rounds: int = 5
) -> Images:
    """DDNM: the known pixels of every estimate of x0 are those of the picture."""
    mask = Mask(known)
    exact = Consistent(denoise, mask, mask(pictures))
    return sample(exact, Resampled(sampler, rounds), grid, fresh(denoise, grid, pictures, noise), noise)


def kept(pixels: UInt8[Tensor, "#b c h w"], known: Known, drawn: Bytes) -> Bytes:
    """What was drawn, with the known pixels byte for byte, as they were before any model saw them."""
    return torch.where(known > 0, pixels, drawn)


def canvas(
    pixels: Bytes, known: Known, margin: int
) -> tuple[UInt8[Tensor, "b c tall wide"], Float[Tensor, "#b #c tall wide"]]:
    """A picture with room around it to be drawn, and which pixels are known: what outpainting fills in."""
    if margin < 1:
        raise InputError(f"a margin of {margin} pixels leaves nothing to draw: give 1 or more")
    around = (margin,) * 4
    return torch.nn.functional.pad(pixels, around), torch.nn.functional.pad(known, around)
