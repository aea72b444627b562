"""From a picture back to its noise: a deterministic sampler that walks the grid the other way (Song et al. 2021).

Redrawn from that noise the picture comes back; redrawn under another wish it is another picture of the same build.
"""

import torch

from ..denoiser import Denoiser
from ..errors import InputError
from ..noise import Noise
from ..sampler import DDIM, Sampler, sample
from ..shapes import Grid, Images, PerImage


def no_noise(like: Images) -> Images:
    """What a deterministic sampler never asks for."""
    raise InputError("a sampler that draws noise cannot be walked backwards: choose ddim or heun")


NONE: Noise = no_noise
EULER = DDIM()


def invert(denoise: Denoiser, grid: Grid, pictures: Images, sampler: Sampler = EULER) -> Images:
    """x at grid[0] from which `redraw` comes to these pictures. Give it a denoiser that is not clipped.

    The walk begins at the grid's last time above 0, where the picture is taken for α times itself.
    """
    back = grid.flip(0)
    back = back[back > 0]
    if len(back) < 2:
        raise InputError("a picture is not walked back in 1 step: ask for 2 or more")
    return sample(denoise, sampler, back, pictures * denoise.schedule(back[0])[0], NONE)


def redraw(denoise: Denoiser, grid: Grid, x: Images, sampler: Sampler = EULER) -> Images:
    """The picture whose noise is x."""
    return sample(denoise, sampler, grid, x, NONE)


def psnr(one: Images, other: Images) -> PerImage:
    """Peak signal to noise ratio of pictures in [-1, 1], image by image, in dB: 10 log10(4 / mean squared error)."""
    error = (one.clamp(-1, 1) - other.clamp(-1, 1)).cpu().double().square().flatten(1).mean(1)
    return 10 * torch.log10(4 / error.clamp(min=1e-12))
