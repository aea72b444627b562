"""Group normalisation (Wu & He 2018), with what always goes with it.

Legend: b batch, c channels, h × w pixels, k either c or 2 c.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .kernels.library import address, kernels, serves
from .layout import NHWC


class GroupNorm(nn.GroupNorm):
    """Group normalisation of x, with SiLU after it where that is asked for, and with what each image is told.

    What it is told is a shift of c channels, or scale and offset of 2 c channels together:
    norm(x + shift), or norm(x) · (1 + scale) + offset.
    """

    def forward(
        self, x: Float[Tensor, "b c h w"], told: Float[Tensor, "b k"] | None = None, silu: bool = False
    ) -> Float[Tensor, "b c h w"]:
        if self.fits(x.shape[1]) and x.shape[0] > 0 and (dtype := serves(x, told, self.weight)):
            return _Norm.apply(x.to(dtype), told, self.weight, self.bias, self.num_groups, self.eps, silu)  # type: ignore[no-untyped-call]
        offset = None
        if told is not None and told.shape[1] == x.shape[1]:
            x = x + told[:, :, None, None]
        elif told is not None:
            scale, offset = told[:, :, None, None].chunk(2, dim=1)
        h = F.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)
        if offset is not None:
            h = h * (1 + scale) + offset
        return F.silu(h) if silu else h

    @staticmethod
    def fits(*channels: int) -> bool:
        """Whether kernels/norm.c is made for arrays of so many channels."""
        return all(c % 16 == 0 for c in channels)


class Statistics:
    """One call of kernels/norm.c: what its gradient needs besides the tensors that autograd keeps."""

    def __init__(self, x: tuple[Tensor, ...], told: Tensor | None, groups: int, silu: bool) -> None:
        b, _, h, w = x[0].shape
        widths = [t.shape[1] for t in x] + [0]
        kind = 0 if told is None else told.shape[1] // sum(widths)
        self.sizes = (b, h * w, widths[0], widths[1], groups, kind, int(silu))
        self.values = torch.empty(2, b, groups)
        self.half = "half_" if x[0].dtype is torch.bfloat16 else ""


def normalise(
    x: tuple[Tensor, ...], told: Tensor | None, weight: Tensor, bias: Tensor, groups: int, eps: float, silu: bool
) -> tuple[Tensor, Statistics]:
    """One or two tensors, which are taken as one, all channels last and contiguous, as is the answer.

    They are all fp32, or all bf16; the rest is fp32.
    """
    library, first, second = kernels(), x[0], x[1] if len(x) > 1 else None
    stats = Statistics(x, told, groups, silu)
    b, pixels, one, two = stats.sizes[:4]
    y = torch.empty((b, one + two, *first.shape[2:]), dtype=first.dtype, memory_format=NHWC)
    work = torch.empty(library.norm_work(b, pixels, one + two))
    arrays = (first, second, told, weight, bias, y, stats.values, work)
    getattr(library, stats.half + "norm_forward")(*map(address, arrays), *stats.sizes, eps)
    return y, stats


def normalise_back(
    x: tuple[Tensor, ...],
    told: Tensor | None,
    weight: Tensor,
    bias: Tensor,
    stats: Statistics,
    dy: Tensor,
    onto: Tensor | None = None,
) -> tuple[tuple[Tensor, ...], Tensor | None, Tensor, Tensor]:
    """The gradients of x (to the first of which `onto` is added), of what was told, of the weight and of the bias."""
    library, first, second = kernels(), x[0], x[1] if len(x) > 1 else None
    b, pixels, one, two = stats.sizes[:4]
    dx = tuple(torch.empty_like(t, memory_format=NHWC) for t in x)
    dtold = None if told is None else torch.empty_like(told)
    dparams = torch.empty(2, b, one + two)
    work = torch.empty(library.norm_work(b, pixels, one + two))
    arrays = (first, second, told, weight, bias, stats.values, dy, onto, dx[0], dx[-1], dparams, dtold, work)
    getattr(library, stats.half + "norm_backward")(*map(address, arrays), *stats.sizes)
    dweight, dbias = dparams.sum(1)
    return dx, dtold, dweight, dbias


class _Norm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, told: Tensor | None, weight: Tensor, bias: Tensor, groups: int, eps: float, silu: bool
    ) -> Tensor:
        x, told = x.contiguous(memory_format=NHWC), None if told is None else told.float().contiguous()
        y, ctx.stats = normalise((x,), told, weight, bias, groups, eps, silu)
        ctx.save_for_backward(x, told, weight, bias)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, told, weight, bias = ctx.saved_tensors
        dy = dy.contiguous(memory_format=NHWC)
        (dx,), dtold, dweight, dbias = normalise_back((x,), told, weight, bias, ctx.stats, dy)
        return dx, dtold, dweight, dbias, None, None, None
