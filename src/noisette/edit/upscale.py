"""Enlarge a small picture: by a model of large ones that never saw a small one, or by one that was trained to.

Every estimate of x0 is made to agree with the small picture when it is shrunk again, as light blends (DDNM, Wang et al.
2023). What comes out agrees too; the model adds what the small picture cannot say. A trained model (task.Upscale) is
told of the small picture as well, and knows before it is corrected.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from ..denoiser import Denoiser
from ..guidance import Consistent
from ..noise import Noise
from ..operator import AveragePool
from ..sampler import Resampled, Sampler, sample
from ..shapes import Grid, Images
from .generate import fresh


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
    """(B, C, H, W) of `small`, (B, C, H/factor, W/factor), in model space; each step `rounds` times."""
    shrink = AveragePool(factor)
    exact = Consistent(denoise, shrink, small)
    x = fresh(denoise, grid, shrink.pinv(small), noise, temperature)
    return sample(exact, Resampled(sampler, rounds), grid, x, noise)


def within(x: Images, small: Float[Tensor, "b c h2 w2"], factor: int, alpha: bool = False) -> Images:
    """The nearest picture within [-1, 1] that still agrees with the small one, so that 8 bits can hold it.

    Where pixels are beyond the range, the others of their block make up for it: each block is shifted by what makes its
    clipped mean right, found by bisection. With `alpha`, the last channel, no premultiplied colour exceeds it.
    """
    if not alpha:
        return _block(x, small, factor, torch.ones_like(x))
    cover = _block(x[:, -1:], small[:, -1:], factor, torch.ones_like(x[:, -1:]))
    colour = _block(x[:, :-1], small[:, :-1], factor, cover.expand_as(x[:, :-1]))
    return torch.cat([colour, cover], 1)


def _block(x: Images, small: Float[Tensor, "b c h2 w2"], factor: int, most: Images) -> Images:
    shrink = AveragePool(factor)
    reach = float(x.abs().max()) + 2
    low, high = torch.full_like(small, -reach), torch.full_like(small, reach)
    for _ in range(40):
        middle = (low + high) / 2
        short = shrink(_clipped(x + shrink.pinv(middle), most)) < small
        low, high = torch.where(short, middle, low), torch.where(short, high, middle)
    return _clipped(x + shrink.pinv(high), most)


def _clipped(x: Images, most: Images) -> Images:
    return torch.minimum(x, most).clamp(min=-1)
