"""Inversion: the noise of a picture, by a deterministic sampler run backwards (DDIM inversion, Song et al. 2021).

Sampled from that noise the picture comes back; under another label, a picture of similar layout.
"""

import torch

from ..diffusion.denoiser import Denoiser
from ..diffusion.noise import Noise
from ..diffusion.sampler import DDIM, Sampler, sample
from ..errors import InputError
from ..shapes import Grid, Images, PerImage


def refuse_noise(like: Images) -> Images:
    """A `Noise` that raises InputError: deterministic samplers draw none."""
    raise InputError("inversion needs a deterministic sampler: choose ddim or heun")


NO_NOISE: Noise = refuse_noise
EULER = DDIM()


def invert(denoise: Denoiser, grid: Grid, pictures: Images, sampler: Sampler = EULER) -> Images:
    """x at grid[0] from which `reconstruct` gives these pictures. The denoiser must not clip.

    It starts at the grid's last time above 0, with x = α picture. Raises InputError for a grid of one step, and for a
    sampler that draws noise.
    """
    back = grid.flip(0)
    back = back[back > 0]
    if len(back) < 2:
        raise InputError("steps must be at least 2 for inversion, got 1")
    return sample(denoise, sampler, back, pictures * denoise.schedule(back[0])[0], NO_NOISE)


def reconstruct(denoise: Denoiser, grid: Grid, x: Images, sampler: Sampler = EULER) -> Images:
    """The picture from x at grid[0]."""
    return sample(denoise, sampler, grid, x, NO_NOISE)


def psnr(a: Images, b: Images) -> PerImage:
    """Peak signal to noise ratio of pictures in [-1, 1], image by image, in dB: 10 log10(4 / mean squared error)."""
    error = (a.clamp(-1, 1) - b.clamp(-1, 1)).cpu().double().square().flatten(1).mean(1)
    return 10 * torch.log10(4 / error.clamp(min=1e-12))
