"""Group normalisation (Wu & He 2018), with what always follows it."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class GroupNorm(nn.GroupNorm):
    """Group normalisation, optionally with a per-image shift before it, a modulation after it, and SiLU at the end.

    h = norm(x + shift) · (1 + scale) + offset
    """

    def forward(
        self,
        x: Float[Tensor, "b c h w"],
        shift: Float[Tensor, "b c"] | None = None,
        modulation: tuple[Float[Tensor, "b c"], Float[Tensor, "b c"]] | None = None,
        silu: bool = False,
    ) -> Float[Tensor, "b c h w"]:
        if shift is not None:
            x = x + shift[:, :, None, None]
        h = F.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)
        if modulation is not None:
            scale, offset = modulation
            h = h * (1 + scale[:, :, None, None]) + offset[:, :, None, None]
        return F.silu(h) if silu else h
