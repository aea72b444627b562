"""fp32: kernels/winograd.c for 3 × 3 convolutions, kernels/product.c and kernels/attention.c.

Legend: b batch, c channels in, o channels out, h × w pixels. All pictures are channels last and contiguous.
"""

import math
from typing import ClassVar

import torch
from torch import Tensor

from .kernels.library import address, kernels
from .products import Products, operands

LIMIT = 4096  # channels that kernels/winograd.c is made for
LEAST = 16  # pixels: below, transforming the weights takes longer than the convolution


class Winograd(Products):
    """Channels are multiples of 16."""

    dtype = torch.float32
    attention: ClassVar[str] = "attention"
    depths: ClassVar[int] = 16

    def fits(self, ins: int, outs: int, pixels: int) -> bool:
        return ins % 16 == outs % 16 == 0 and max(ins, outs) <= LIMIT and pixels >= LEAST

    def transform(self, weight: Tensor, back: bool) -> Tensor:
        library, weight = kernels(), weight.detach().contiguous()
        o, c = weight.shape[:2]
        u = torch.empty(library.winograd_weights_size(c, o))
        library.winograd_weights(address(weight), address(u), *((o, c) if back else (c, o)), int(back))
        return u

    def convolve(
        self, x: Tensor, u: Tensor, outs: int, bias: Tensor | None = None, onto: Tensor | None = None, up: bool = False
    ) -> Tensor:
        return self._run(x, u, outs, bias, onto, up, False)

    def back(self, dy: Tensor, u: Tensor, ins: int, up: bool = False) -> Tensor:
        return self._run(dy, u, ins, None, None, False, up)

    def _run(
        self, x: Tensor, u: Tensor, outs: int, bias: Tensor | None, onto: Tensor | None, up: bool, pool: bool
    ) -> Tensor:
        library = kernels()
        b, c, h, w = x.shape
        h, w = h << up, w << up
        y = self.picture(b, outs, h >> pool, w >> pool)
        work = torch.empty(library.winograd_work(c, outs))
        library.winograd(*map(address, (x, u, bias, onto, y, work)), b, h, w, c, outs, int(up), int(pool))
        return y

    def gradients(self, x: Tensor, dy: Tensor, up: bool = False) -> tuple[Tensor, Tensor]:
        library = kernels()
        (b, o, h, w), c = dy.shape, x.shape[1]
        dweight, dbias = torch.empty(o, c, 3, 3), torch.empty(o)
        work = torch.empty(library.winograd_gradient_work(b, h, w, c, o))
        library.winograd_gradient(*map(address, (x, dy, dweight, dbias, work)), b, h, w, c, o, int(up))
        return dweight, dbias

    def packed(self, weight: Tensor, back: bool, first: int, last: int) -> Tensor:
        library, (o, c), step = kernels(), (len(weight), last - first), math.prod(weight.shape[1:])
        u = torch.empty(library.product_weights_size(c, o))
        start = weight.data_ptr() + 4 * first
        library.product_weights(start, address(u), *((o, c) if back else (c, o)), step, int(back))
        return u

    def product(
        self, x: tuple[Tensor, ...], us: list[Tensor], bias: Tensor | None, onto: Tensor | None, y: Tensor
    ) -> None:
        arrays, sizes = operands(x, us, y)
        kernels().product(*map(address, (*arrays, bias, onto, y)), *sizes)

    def gradient(self, x: Tensor, dy: Tensor, dweight: Tensor, first: int) -> Tensor:
        library, (b, o, h, w), c = kernels(), dy.shape, x.shape[1]
        dbias, work = torch.empty(o), torch.empty(library.product_gradient_work(b * h * w, c, o))
        start, step = dweight.data_ptr() + 4 * first, math.prod(dweight.shape[1:])
        arrays = (address(x), address(dy), start, address(dbias), address(work))
        library.product_gradient(*arrays, b * h * w, c, o, step)
        return dbias
