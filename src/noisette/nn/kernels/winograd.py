"""fp32: winograd.c for 3 × 3 convolutions, product.c for 1 × 1 convolutions, attention.c for attention.

Legend: b batch, c channels in, o channels out, h × w pixels. All images are channels last and contiguous.
"""

import math
from typing import ClassVar

import torch
from torch import Tensor

from .kernel_backend import KernelBackend, matmul_operands
from .library import contiguous, data_pointer, data_pointers, empty, get_kernels

MAX_CHANNELS = 4096  # LIMIT in winograd.c
MIN_PIXELS = 16  # of the output: with fewer, transforming the weights takes longer than the convolution


class WinogradBackend(KernelBackend):
    """Winograd's F(4 × 4, 3 × 3). Channels must be multiples of 16."""

    dtype = torch.float32
    attention_kernel: ClassVar[str] = "attention"
    head_dim_multiple: ClassVar[int] = 16

    def supports(self, in_channels: int, out_channels: int, pixels: int) -> bool:
        return (
            in_channels % 16 == out_channels % 16 == 0
            and max(in_channels, out_channels) <= MAX_CHANNELS
            and pixels >= MIN_PIXELS
        )

    def transform_weight(self, weight: Tensor, for_backward: bool) -> Tensor:
        library, weight = get_kernels(), weight.detach().contiguous()
        o, c = weight.shape[:2]
        u = empty(library.winograd_weights_size(c, o))
        library.winograd_weights(
            data_pointer(weight), data_pointer(u), *((o, c) if for_backward else (c, o)), int(for_backward)
        )
        return u

    def conv3x3(
        self,
        x: Tensor,
        u: Tensor,
        out_channels: int,
        bias: Tensor | None = None,
        residual: Tensor | None = None,
        upsample: bool = False,
    ) -> Tensor:
        return self._run(x, u, out_channels, bias, residual, upsample, False)

    def conv3x3_input_grad(self, dy: Tensor, u: Tensor, in_channels: int, upsample: bool = False) -> Tensor:
        return self._run(dy, u, in_channels, None, None, False, upsample)

    def _run(
        self,
        x: Tensor,
        u: Tensor,
        out_channels: int,
        bias: Tensor | None,
        residual: Tensor | None,
        upsample: bool,
        pool: bool,
    ) -> Tensor:
        library = get_kernels()
        b, c, h, w = x.shape
        h, w = h << upsample, w << upsample
        y = self.empty_images(b, out_channels, h >> pool, w >> pool)
        work = empty(library.winograd_work(c, out_channels))
        library.winograd(
            *data_pointers(x, u, contiguous(bias), residual, y, work),
            b,
            h,
            w,
            c,
            out_channels,
            int(upsample),
            int(pool),
        )
        return y

    def conv3x3_weight_grad(self, x: Tensor, dy: Tensor, upsample: bool = False) -> tuple[Tensor, Tensor]:
        library = get_kernels()
        (b, o, h, w), c = dy.shape, x.shape[1]
        dweight, dbias = empty(o, c, 3, 3), empty(o)
        work = empty(library.winograd_gradient_work(b, h, w, c, o))
        library.winograd_gradient(*data_pointers(x, dy, dweight, dbias, work), b, h, w, c, o, int(upsample))
        return dweight, dbias

    def pack_weight(self, weight: Tensor, for_backward: bool, first_channel: int, last_channel: int) -> Tensor:
        library, (o, c), step = get_kernels(), (len(weight), last_channel - first_channel), math.prod(weight.shape[1:])
        u = empty(library.product_weights_size(c, o))
        weight = weight.detach().contiguous()
        start = weight.data_ptr() + 4 * first_channel
        library.product_weights(start, data_pointer(u), *((o, c) if for_backward else (c, o)), step, int(for_backward))
        return u

    def matmul(
        self, x: tuple[Tensor, ...], us: list[Tensor], bias: Tensor | None, residual: Tensor | None, y: Tensor
    ) -> None:
        arrays, sizes = matmul_operands(x, us, y)
        get_kernels().product(*data_pointers(*arrays, contiguous(bias), residual, y), *sizes)

    def matmul_weight_grad(self, x: Tensor, dy: Tensor, dweight: Tensor, first_channel: int) -> Tensor:
        library, (b, o, h, w), c = get_kernels(), dy.shape, x.shape[1]
        dbias, work = empty(o), empty(library.product_gradient_work(b * h * w, c, o))
        start, step = dweight.data_ptr() + 4 * first_channel, math.prod(dweight.shape[1:])
        arrays = (data_pointer(x), data_pointer(dy), start, data_pointer(dbias), data_pointer(work))
        library.product_gradient(*arrays, b * h * w, c, o, step)
        return dbias
