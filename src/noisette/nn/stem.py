"""What every network does with a picture before its layers and after them: stack, pad, crop.

Legend: b batch, c channels, h × w pixels.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ..condition import Condition
from ..errors import InputError


def stacked(x: Float[Tensor, "b c h w"], cond: Condition | None, channels: int) -> Float[Tensor, "b c_in h w"]:
    """x with the condition's image under it, `channels` in all."""
    who = "x alone has"
    if cond is not None and cond.image is not None:
        who = "x and the condition's image have"
        if cond.image.shape[2:] != x.shape[2:]:
            sizes = f"{tuple(cond.image.shape[2:])} and {tuple(x.shape[2:])}"
            raise InputError(f"the condition's image and x are of sizes {sizes}: they must be equal")
        x = torch.cat([x, cond.image], dim=1)
    if x.shape[1] != channels:
        raise InputError(f"{who} {x.shape[1]} channels: this network takes {channels}")
    return x


def padded(x: Float[Tensor, "b c h w"], multiple: int) -> Float[Tensor, "b c h2 w2"]:
    """x with zeros around it, as convolutions pad, so that both sizes are multiples."""
    margins = _margins(x.shape[2], x.shape[3], multiple)
    return F.pad(x, margins) if any(margins) else x


def cropped(y: Float[Tensor, "b c h2 w2"], height: int, width: int, multiple: int) -> Float[Tensor, "b c h w"]:
    """What `padded` put around a picture of height × width, taken off again."""
    left, right, top, bottom = _margins(height, width, multiple)
    return y[:, :, top : top + height, left : left + width] if left + right + top + bottom else y


def _margins(height: int, width: int, multiple: int) -> tuple[int, int, int, int]:
    """Left, right, top and bottom."""
    h, w = -height % multiple, -width % multiple
    return w // 2, w - w // 2, h // 2, h - h // 2
