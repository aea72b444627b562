"""Enlarge a small picture, by any model of large pictures or by one trained for it (task.Upscale).

Every estimate of x0 is projected to pictures whose average pooling, premultiplied, is the small picture (DDNM, Wang et
al. 2023), so the result is one of them; the model adds the details. A trained model is also conditioned on the small
picture.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from ..diffusion.denoiser import Denoiser
from ..diffusion.guidance import Consistent
from ..diffusion.noise import Noise
from ..diffusion.operator import AveragePool
from ..diffusion.sampler import Resampled, Sampler, sample
from ..sampling.generate import initial_noise
from ..shapes import Grid, Images


def upscale(
    denoise: Denoiser,
    sampler: Sampler,
    grid: Grid,
    small: Float[Tensor, "b c h2 w2"],
    factor: int,
    noise: Noise,
    rounds: int = 1,
    temperature: float = 1.0,
) -> Images:
    """Pictures (B, C, H, W) from `small`, (B, C, H/factor, W/factor), in model space. Each step is taken `rounds`
    times; `temperature` is a factor of the initial noise."""
    pool = AveragePool(factor)
    consistent = Consistent(denoise, pool, small)
    x = initial_noise(denoise, grid, pool.pinv(small), noise, temperature)
    return sample(consistent, Resampled(sampler, rounds), grid, x, noise)


def project_to_range(x: Images, small: Float[Tensor, "b c h2 w2"], factor: int, has_alpha: bool = False) -> Images:
    """The picture within [-1, 1] whose average pooling is still `small`, so that 8 bits can hold it.

    Each block of pixels is shifted by a constant and clipped; the constant that gives the right mean is found by
    bisection. With `has_alpha`, no premultiplied color exceeds alpha, the last channel.
    """
    if not has_alpha:
        return _shift_blocks(x, small, factor, torch.ones_like(x))
    alpha = _shift_blocks(x[:, -1:], small[:, -1:], factor, torch.ones_like(x[:, -1:]))
    color = _shift_blocks(x[:, :-1], small[:, :-1], factor, alpha.expand_as(x[:, :-1]))
    return torch.cat([color, alpha], 1)


def _shift_blocks(x: Images, small: Float[Tensor, "b c h2 w2"], factor: int, upper: Images) -> Images:
    pool = AveragePool(factor)
    reach = float(x.abs().max()) + 2
    low, high = torch.full_like(small, -reach), torch.full_like(small, reach)
    for _ in range(40):
        middle = (low + high) / 2
        too_low = pool(_clip(x + pool.pinv(middle), upper)) < small
        low, high = torch.where(too_low, middle, low), torch.where(too_low, high, middle)
    return _clip(x + pool.pinv(high), upper)


def _clip(x: Images, upper: Images) -> Images:
    return torch.minimum(x, upper).clamp(min=-1)
