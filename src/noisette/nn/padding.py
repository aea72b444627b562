"""Before and after a network's layers: concatenate the condition's image, pad to a multiple, crop.

Legend: b batch, c channels, h × w pixels.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ..diffusion.condition import Condition
from ..errors import InputError


def concat_cond_image(
    x: Float[Tensor, "b c h w"], cond: Condition | None, in_channels: int
) -> Float[Tensor, "b c_in h w"]:
    """x with the condition's image concatenated to it; InputError unless they have `in_channels` in all."""
    subject = "x alone has"
    if cond is not None and cond.image is not None:
        subject = "x and the condition's image have"
        if cond.image.shape[2:] != x.shape[2:]:
            sizes = f"{tuple(cond.image.shape[2:])} and {tuple(x.shape[2:])}"
            raise InputError(f"the condition's image and x are of sizes {sizes}: they must be equal")
        x = torch.cat([x, cond.image], dim=1)
    if x.shape[1] != in_channels:
        raise InputError(f"{subject} {x.shape[1]} channels: this network takes {in_channels}")
    return x


def pad_to_multiple(x: Float[Tensor, "b c h w"], multiple: int) -> Float[Tensor, "b c h2 w2"]:
    """x with zeros around it, as convolutions pad, so that height and width are multiples of `multiple`."""
    margins = _margins(x.shape[2], x.shape[3], multiple)
    return F.pad(x, margins) if any(margins) else x


def crop_padding(y: Float[Tensor, "b c h2 w2"], height: int, width: int, multiple: int) -> Float[Tensor, "b c h w"]:
    """y without the margins that `pad_to_multiple` put around an image of height × width."""
    left, right, top, bottom = _margins(height, width, multiple)
    return y[:, :, top : top + height, left : left + width] if left + right + top + bottom else y


def _margins(height: int, width: int, multiple: int) -> tuple[int, int, int, int]:
    """The margins (left, right, top, bottom) that `pad_to_multiple` adds, in pixels."""
    h, w = -height % multiple, -width % multiple
    return w // 2, w - w // 2, h // 2, h - h // 2
