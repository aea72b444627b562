"""bf16 on processors with AMX: kernels/amx*.c. Sums, weights and their gradients are fp32.

Legend: b batch, c channels in, o channels out, h × w pixels. All pictures are bf16, channels last and contiguous.
"""

import math

import torch
from torch import Tensor

from .kernels.library import address, kernels
from .layout import NHWC, pooled

LIMIT = 4096  # channels that kernels/amx_gradient.c is made for


class Tiles:
    """Convolutions, and attention between pixels."""

    dtype = torch.bfloat16

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
        y = _picture(b, outs, h << up, w << up)
        work = torch.empty(library.amx_work(*sizes), dtype=self.dtype)
        library.amx(*map(address, (x, u, bias, onto, y, work)), *sizes, int(up))
        return y

    def back(self, dy: Tensor, u: Tensor, ins: int, up: bool = False) -> Tensor:
        return pooled(self.convolve(dy, u, ins), up)

    def gradients(self, x: Tensor, dy: Tensor, up: bool = False) -> tuple[Tensor, Tensor]:
        dweight = torch.empty(dy.shape[1], x.shape[1], 3, 3)
        return dweight, _gradient(x, dy, dweight, 0, up)

    def mix(self, x: tuple[Tensor, ...], weight: Tensor, bias: Tensor, onto: Tensor | None = None) -> Tensor:
        """The 1 × 1 convolution of x, whose channels follow each other, with the weights (o, c, 1, 1); plus `onto`."""
        y, at, us = _picture(len(x[0]), len(weight), *x[0].shape[2:]), 0, []
        for t in x:
            us.append(_packed(weight, False, at, at + t.shape[1]))
            at += t.shape[1]
        _product(x, us, bias, onto, y)
        return y

    def mix_back(self, x: tuple[Tensor, ...], weight: Tensor, dy: Tensor, dx: tuple[Tensor, ...]) -> Tensor:
        dweight, at = torch.empty_like(weight), 0
        for t, dt in zip(x, dx, strict=True):
            _product((dy,), [_packed(weight, True, at, at + t.shape[1])], None, dt, dt)
            _gradient(t, dy, dweight, at)
            at += t.shape[1]
        return dweight

    def unmix(self, weight: Tensor, dy: Tensor) -> Tensor:
        """The gradient of the x of `mix`, which is a single one."""
        dx = _picture(len(dy), weight.shape[1], *dy.shape[2:])
        _product((dy,), [_packed(weight, True, 0, weight.shape[1])], None, None, dx)
        return dx

    def mix_gradients(self, x: Tensor, dy: Tensor) -> tuple[Tensor, Tensor]:
        """Of the weights (o, c) and of the bias of `mix`."""
        dweight = torch.empty(dy.shape[1], x.shape[1])
        return dweight, _gradient(x, dy, dweight, 0)

    def attend(self, qkv: Tensor, heads: int) -> tuple[Tensor, Tensor]:
        """Attention between all pixels; qkv (b, 3 c, h, w) to (b, c, h, w), and what `attend_back` needs."""
        library = kernels()
        b, c, h, w = qkv.shape
        sizes = (h * w, heads, c // 3 // heads)
        y, norms = _picture(b, c // 3, h, w), torch.empty(b, heads, h * w)
        work = torch.empty(library.amx_attention_work(*sizes), dtype=self.dtype)
        library.amx_attention(*map(address, (qkv, y, norms, work)), b, *sizes)
        return y, norms

    def attend_back(self, qkv: Tensor, y: Tensor, norms: Tensor, dy: Tensor) -> Tensor:
        """The gradient of qkv."""
        library = kernels()
        b, c, h, w = qkv.shape
        heads = norms.shape[1]
        sizes = (h * w, heads, c // 3 // heads)
        dqkv = _picture(b, c, h, w)
        work = torch.empty(library.amx_attention_work(*sizes), dtype=self.dtype)
        library.amx_attention_back(*map(address, (qkv, y, dy, norms, dqkv, work)), b, *sizes)
        return dqkv


def _picture(b: int, c: int, h: int, w: int) -> Tensor:
    return torch.empty((b, c, h, w), dtype=torch.bfloat16, memory_format=NHWC)


def _packed(weight: Tensor, back: bool, first: int, last: int) -> Tensor:
    """The weights (o, c, …) of channels `first` to `last`, as kernels/amx_weights.c lays them out."""
    library, o, c, taps = kernels(), len(weight), last - first, math.prod(weight.shape[2:])
    u = torch.empty(library.amx_weights_size(*((o, c) if back else (c, o)), taps), dtype=torch.bfloat16)
    start, to = weight.data_ptr() + 4 * first * taps, u.data_ptr()
    library.amx_weights(start, None if back else to, to if back else None, c, o, taps, weight.shape[1] * taps)
    return u


def _product(x: tuple[Tensor, ...], us: list[Tensor], bias: Tensor | None, onto: Tensor | None, y: Tensor) -> None:
    """kernels/amx_product.c, of one or two x."""
    two = (x[1], us[1]) if len(x) > 1 else (None, None)
    b, c, h, w = x[0].shape
    arrays = (x[0], two[0], us[0], two[1], bias, onto, y)
    kernels().amx_product(*map(address, arrays), b * h * w, c, 0 if two[0] is None else two[0].shape[1], y.shape[1])


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
