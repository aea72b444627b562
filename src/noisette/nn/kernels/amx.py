"""bf16 on processors with AMX (amx*.c). Sums, weights and the gradients of weights are fp32.

Legend: b batch, c channels in, o channels out, h × w pixels. All images are bf16, channels last and contiguous.
"""

import math
from typing import ClassVar

import torch
from torch import Tensor

from .kernel_backend import KernelBackend, matmul_operands
from .layout import upsample_backward
from .library import contiguous, data_pointer, data_pointers, empty, get_kernels

MAX_CHANNELS = 4096  # LIMIT in amx_gradient.c


class AMXBackend(KernelBackend):
    """Matrix products on AMX tiles. Any number of channels up to MAX_CHANNELS."""

    dtype = torch.bfloat16
    attention_kernel: ClassVar[str] = "amx_attention"
    head_dim_multiple: ClassVar[int] = 32

    def supports(self, in_channels: int, out_channels: int, pixels: int) -> bool:
        return max(in_channels, out_channels) <= MAX_CHANNELS

    def transform_weight(self, weight: Tensor, for_backward: bool) -> Tensor:
        return _pack_weight(weight, for_backward, 0, weight.shape[1])

    def conv3x3(
        self,
        x: Tensor,
        u: Tensor,
        out_channels: int,
        bias: Tensor | None = None,
        residual: Tensor | None = None,
        upsample: bool = False,
    ) -> Tensor:
        library = get_kernels()
        b, c, h, w = x.shape
        sizes = (b, h << upsample, w << upsample, c, out_channels)
        y = self.empty_images(b, out_channels, h << upsample, w << upsample)
        work = empty(library.amx_work(*sizes), dtype=self.dtype)
        library.amx(*data_pointers(x, u, contiguous(bias), residual, y, work), *sizes, int(upsample))
        return y

    def conv3x3_input_grad(self, dy: Tensor, u: Tensor, in_channels: int, upsample: bool = False) -> Tensor:
        return upsample_backward(self.conv3x3(dy, u, in_channels), upsample)

    def conv3x3_weight_grad(self, x: Tensor, dy: Tensor, upsample: bool = False) -> tuple[Tensor, Tensor]:
        dweight = empty(dy.shape[1], x.shape[1], 3, 3)
        return dweight, _weight_grad(x, dy, dweight, 0, upsample)

    def pack_weight(self, weight: Tensor, for_backward: bool, first_channel: int, last_channel: int) -> Tensor:
        return _pack_weight(weight, for_backward, first_channel, last_channel)

    def matmul(
        self, x: tuple[Tensor, ...], us: list[Tensor], bias: Tensor | None, residual: Tensor | None, y: Tensor
    ) -> None:
        arrays, sizes = matmul_operands(x, us, y)
        get_kernels().amx_product(*data_pointers(*arrays, contiguous(bias), residual, y), *sizes)

    def matmul_weight_grad(self, x: Tensor, dy: Tensor, dweight: Tensor, first_channel: int) -> Tensor:
        return _weight_grad(x, dy, dweight, first_channel)


def _pack_weight(weight: Tensor, for_backward: bool, first: int, last: int) -> Tensor:
    """The weights (o, c, …) of channels [first, last) in the layout of amx_weights.c."""
    weight = weight.detach().contiguous()
    library, o, c, taps = get_kernels(), len(weight), last - first, math.prod(weight.shape[2:])
    u = empty(library.amx_weights_size(*((o, c) if for_backward else (c, o)), taps), dtype=torch.bfloat16)
    start, target = weight.data_ptr() + 4 * first * taps, u.data_ptr()
    targets = (None, target) if for_backward else (target, None)
    library.amx_weights(start, *targets, c, o, taps, weight.shape[1] * taps)
    return u


def _weight_grad(x: Tensor, dy: Tensor, dweight: Tensor, first: int, upsample: bool = False) -> Tensor:
    """Write to dweight (o, c, …) for the channels of x, from `first` on; return the bias's gradient."""
    library, taps, dbias = get_kernels(), math.prod(dweight.shape[2:]), empty(len(dweight))
    (b, o, h, w), c = dy.shape, x.shape[1]
    sizes = (b, h, w, c, o) if taps > 1 else (b, 1, h * w, c, o)
    work = empty(library.amx_gradient_work(*sizes, taps))
    start = dweight.data_ptr() + 4 * first * taps
    arrays = (data_pointer(x), data_pointer(dy), start, data_pointer(dbias), data_pointer(work))
    library.amx_gradient(*arrays, *sizes, int(upsample), taps, dweight.shape[1] * taps)
    return dbias
