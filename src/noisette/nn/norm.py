"""Group normalization (Wu & He 2018), with the modulation and the SiLU that go with it in U-Nets.

Legend: b batch, c channels, h × w pixels, k either c or 2 c.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .kernels.layout import NHWC
from .kernels.library import contiguous, data_pointers, empty, empty_images, get_kernels, kernel_dtype


class GroupNorm(nn.GroupNorm):
    """Group normalization of x, modulated by image, with SiLU after it if `silu`.

    The modulation is a shift of c channels, or scale and offset, 2 c channels together:
    norm(x + shift), or norm(x) · (1 + scale) + offset.
    """

    def forward(
        self, x: Float[Tensor, "b c h w"], modulation: Float[Tensor, "b k"] | None = None, silu: bool = False
    ) -> Float[Tensor, "b c h w"]:
        dtype = None
        if self.is_supported(x.shape[1]):
            dtype = kernel_dtype(x, modulation, parameters=(self.weight, self.bias))
        if dtype is not None and x.shape[0] > 0:
            return _GroupNorm.apply(x.to(dtype), modulation, self.weight, self.bias, self.num_groups, self.eps, silu)  # type: ignore[no-untyped-call]
        offset = None
        if modulation is not None and modulation.shape[1] == x.shape[1]:
            x = x + modulation[:, :, None, None]
        elif modulation is not None:
            scale, offset = modulation[:, :, None, None].chunk(2, dim=1)
        h = F.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)
        if offset is not None:
            h = h * (1 + scale) + offset
        return F.silu(h) if silu else h

    @staticmethod
    def is_supported(*channels: int) -> bool:
        """Whether kernels/norm.c takes arrays of these numbers of channels."""
        return all(c % 16 == 0 for c in channels)


class NormStatistics:
    """What the gradient of kernels/norm.c needs besides the tensors that autograd keeps: sizes, means, deviations."""

    def __init__(self, x: tuple[Tensor, ...], modulation: Tensor | None, groups: int, silu: bool) -> None:
        b, _, h, w = x[0].shape
        widths = [t.shape[1] for t in x] + [0]
        kind = 0 if modulation is None else modulation.shape[1] // sum(widths)
        self.sizes = (b, h * w, widths[0], widths[1], groups, kind, int(silu))
        self.values = empty(2, b, groups)
        self.kernel_prefix = "half_" if x[0].dtype is torch.bfloat16 else ""


def group_norm(
    x: tuple[Tensor, ...], modulation: Tensor | None, weight: Tensor, bias: Tensor, groups: int, eps: float, silu: bool
) -> tuple[Tensor, NormStatistics]:
    """Normalize the concatenation of one or two x, all fp32 or all bf16, channels last; the rest is fp32."""
    library, first, second = get_kernels(), x[0], x[1] if len(x) > 1 else None
    stats = NormStatistics(x, modulation, groups, silu)
    b, pixels, one, two = stats.sizes[:4]
    y = empty_images(b, one + two, first.shape[2], first.shape[3], first.dtype)
    work = empty(library.norm_work(b, pixels, one + two))
    arrays = (first, second, modulation, contiguous(weight), contiguous(bias), y, stats.values, work)
    getattr(library, stats.kernel_prefix + "norm_forward")(*data_pointers(*arrays), *stats.sizes, eps)
    return y, stats


def group_norm_backward(
    x: tuple[Tensor, ...],
    modulation: Tensor | None,
    weight: Tensor,
    bias: Tensor,
    stats: NormStatistics,
    dy: Tensor,
    residual_grad: Tensor | None = None,
) -> tuple[tuple[Tensor, ...], Tensor | None, Tensor, Tensor]:
    """The gradients of x (residual_grad is added to the first), of the modulation, of the weight and of the bias."""
    library, first, second = get_kernels(), x[0], x[1] if len(x) > 1 else None
    b, pixels, one, two = stats.sizes[:4]
    dx = tuple(torch.empty_like(t, memory_format=NHWC) for t in x)
    dmodulation = None if modulation is None else torch.empty_like(modulation)
    dparams = empty(2, b, one + two)
    work = empty(library.norm_work(b, pixels, one + two))
    inputs = (first, second, modulation, contiguous(weight), contiguous(bias), stats.values, dy, residual_grad)
    arrays = (*inputs, dx[0], dx[-1], dparams, dmodulation, work)
    getattr(library, stats.kernel_prefix + "norm_backward")(*data_pointers(*arrays), *stats.sizes)
    dweight, dbias = dparams.sum(1)
    return dx, dmodulation, dweight, dbias


class _GroupNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        modulation: Tensor | None,
        weight: Tensor,
        bias: Tensor,
        groups: int,
        eps: float,
        silu: bool,
    ) -> Tensor:
        x = x.contiguous(memory_format=NHWC)
        modulation = None if modulation is None else modulation.float().contiguous()
        y, ctx.stats = group_norm((x,), modulation, weight, bias, groups, eps, silu)
        ctx.save_for_backward(x, modulation, weight, bias)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, modulation, weight, bias = ctx.saved_tensors
        dy = dy.contiguous(memory_format=NHWC)
        (dx,), dmodulation, dweight, dbias = group_norm_backward((x,), modulation, weight, bias, ctx.stats, dy)
        return dx, dmodulation, dweight, dbias, None, None, None
