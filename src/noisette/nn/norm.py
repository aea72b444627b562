"""Group normalisation (Wu & He 2018), with what always goes with it.

Legend: b batch, c channels, h × w pixels.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .kernels.library import address, kernels, serves

Modulation = tuple[Float[Tensor, "b c"], Float[Tensor, "b c"]]


class GroupNorm(nn.GroupNorm):
    """Group normalisation, with a per-image shift before it, a modulation after it and SiLU at the end, as asked for.

    h = norm(x + shift) · (1 + scale) + offset
    """

    def forward(
        self,
        x: Float[Tensor, "b c h w"],
        shift: Float[Tensor, "b c"] | None = None,
        modulation: Modulation | None = None,
        silu: bool = False,
    ) -> Float[Tensor, "b c h w"]:
        if self.num_channels % 16 == 0 and len(x) and serves(x, shift, self.weight, *(modulation or ())):
            weight: Tensor = self.weight
            bias: Tensor = self.bias
            if modulation is not None:
                scale, offset = modulation
                weight, bias = self.weight * (1 + scale), torch.addcmul(self.bias + offset, self.bias, scale)
            return _Norm.apply(x, shift, weight, bias, self.num_groups, self.eps, silu)  # type: ignore[no-untyped-call]
        return self._plain(x, shift, modulation, silu)

    def _plain(self, x: Tensor, shift: Tensor | None, modulation: Modulation | None, silu: bool) -> Tensor:
        if shift is not None:
            x = x + shift[:, :, None, None]
        h = F.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)
        if modulation is not None:
            scale, offset = modulation
            h = h * (1 + scale[:, :, None, None]) + offset[:, :, None, None]
        return F.silu(h) if silu else h


class _Norm(torch.autograd.Function):
    """kernels/norm.c. The weight and the bias are (c,), or (b, c) where they are modulated."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, shift: Tensor | None, weight: Tensor, bias: Tensor, groups: int, eps: float, silu: bool
    ) -> Tensor:
        library = kernels()
        x = x.contiguous(memory_format=torch.channels_last)
        shift = None if shift is None else shift.contiguous()
        weight, bias = weight.contiguous(), bias.contiguous()
        b, c, h, w = x.shape
        mean, rstd = x.new_empty(2, b, groups)
        work = x.new_empty(library.norm_work(b, h * w, c))
        y = torch.empty_like(x)
        ctx.sizes = (b, h * w, c, groups, c if weight.ndim == 2 else 0, int(silu))
        arrays = (x, shift, weight, bias, y, mean, rstd, work)
        library.norm_forward(*map(address, arrays), *ctx.sizes, eps)
        ctx.save_for_backward(x, shift, weight, bias, mean, rstd)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        library = kernels()
        x, shift, weight, bias, mean, rstd = ctx.saved_tensors
        dy = dy.contiguous(memory_format=torch.channels_last)
        b, pixels, c = ctx.sizes[:3]
        dx = torch.empty_like(x)
        dweight, dbias, dshift = x.new_empty(3, b, c)
        work = x.new_empty(library.norm_work(b, pixels, c))
        arrays = (x, shift, weight, bias, mean, rstd, dy, dx, dweight, dbias, dshift, work)
        library.norm_backward(*map(address, arrays), *ctx.sizes)
        if weight.ndim == 1:
            dweight, dbias = dweight.sum(0), dbias.sum(0)
        return dx, None if shift is None else dshift, dweight, dbias, None, None, None
