"""bf16 on processors with AMX: kernels/amx*.c. Sums, weights and their gradients are fp32.

Legend: b batch, c channels in, o channels out, h × w pixels. All pictures are bf16, channels last and contiguous.
"""

import math
from typing import ClassVar

import torch
from torch import Tensor

from .kernels.library import address, kernels
from .layout import pooled
from .products import Products, operands

LIMIT = 4096  # channels that kernels/amx_gradient.c is made for


class Tiles(Products):
    """Any number of channels."""

    dtype = torch.bfloat16
    attention: ClassVar[str] = "amx_attention"
    depths: ClassVar[int] = 32

    def fits(self, ins: int, outs: int, pixels: int) -> bool:
        return max(ins, outs) <= LIMIT

    def transform(self, weight: Tensor, back: bool) -> Tensor:
        return _packed(weight.detach().contiguous(), back, 0, weight.shape[1])

    def convolve(
        self, x: Tensor, u: Tensor, outs: int, bias: Tensor | None = None, onto: Tensor | None = None, up: bool = False
    ) -> Tensor:
        library = kernels()
        b, c, h, w = x.shape
        sizes = (b, h << up, w << up, c, outs)
        y = self.picture(b, outs, h << up, w << up)
        work = torch.empty(library.amx_work(*sizes), dtype=self.dtype)
        library.amx(*map(address, (x, u, bias, onto, y, work)), *sizes, int(up))
        return y

    def back(self, dy: Tensor, u: Tensor, ins: int, up: bool = False) -> Tensor:
        return pooled(self.convolve(dy, u, ins), up)

    def gradients(self, x: Tensor, dy: Tensor, up: bool = False) -> tuple[Tensor, Tensor]:
        dweight = torch.empty(dy.shape[1], x.shape[1], 3, 3)
        return dweight, _gradient(x, dy, dweight, 0, up)

    def packed(self, weight: Tensor, back: bool, first: int, last: int) -> Tensor:
        return _packed(weight, back, first, last)

    def product(
        self, x: tuple[Tensor, ...], us: list[Tensor], bias: Tensor | None, onto: Tensor | None, y: Tensor
    ) -> None:
        arrays, sizes = operands(x, us, y)
        kernels().amx_product(*map(address, (*arrays, bias, onto, y)), *sizes)

    def gradient(self, x: Tensor, dy: Tensor, dweight: Tensor, first: int) -> Tensor:
        return _gradient(x, dy, dweight, first)


def _packed(weight: Tensor, back: bool, first: int, last: int) -> Tensor:
    """The weights (o, c, …) of channels `first` to `last`, as kernels/amx_weights.c lays them out."""
    library, o, c, taps = kernels(), len(weight), last - first, math.prod(weight.shape[2:])
    u = torch.empty(library.amx_weights_size(*((o, c) if back else (c, o)), taps), dtype=torch.bfloat16)
    start, to = weight.data_ptr() + 4 * first * taps, u.data_ptr()
    library.amx_weights(start, None if back else to, to if back else None, c, o, taps, weight.shape[1] * taps)
    return u


def _gradient(x: Tensor, dy: Tensor, dweight: Tensor, first: int, up: bool = False) -> Tensor:
    """Of the weights (o, c, …), for the channels of x, which are those from `first` on; and, returned, of the bias."""
    library, taps, dbias = kernels(), math.prod(dweight.shape[2:]), torch.empty(len(dweight))
    (b, o, h, w), c = dy.shape, x.shape[1]
    sizes = (b, h, w, c, o) if taps > 1 else (b, 1, h * w, c, o)
    work = torch.empty(library.amx_gradient_work(*sizes, taps))
    start = dweight.data_ptr() + 4 * first * taps
    library.amx_gradient(
        address(x), address(dy), start, address(dbias), address(work), *sizes, int(up), taps, dweight.shape[1] * taps
    )
    return dbias
