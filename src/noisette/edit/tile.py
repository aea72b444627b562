"""Seamless pictures: what `noisette edit tile` draws with, around any denoiser and any sampler."""

import torch
from jaxtyping import Float
from torch import Tensor

from ..data.pictures import Pictures
from ..diffusion.denoiser import Denoiser
from ..diffusion.windows import Canvas, WindowedDenoiser
from ..errors import InputError


def seamless_denoiser(denoiser: Denoiser, pictures: Pictures, axes: str = "xy") -> WindowedDenoiser:
    """The denoiser of pictures of the same size that are seamless in `axes`: x, y or xy."""
    height, width = pictures.height, pictures.width
    return WindowedDenoiser(denoiser, Canvas(height, width, height, width, "x" in axes, "y" in axes))


def border_mask(
    height: int, width: int, band: int, wrap_x: bool = True, wrap_y: bool = True
) -> Float[Tensor, "1 1 h w"]:
    """1 inside, 0 within `band` pixels of the edges in x, in y or in both: the known pixels when a seam is removed."""
    if not 0 < 2 * band < min(width if wrap_x else height + width, height if wrap_y else height + width):
        raise InputError(f"border width must be at least 1 and leave part of the {width}×{height} picture, got {band}")
    known = torch.ones(1, 1, height, width)
    if wrap_x:
        known[..., :band], known[..., width - band :] = 0, 0
    if wrap_y:
        known[:, :, :band], known[:, :, height - band :] = 0, 0
    return known
