"""Matrix products and attention by the functions in C, which are alike in fp32 and in bf16.

Legend: b batch, c channels in, o channels out, h × w pixels. All pictures are channels last and contiguous.
"""

import abc
from typing import ClassVar

import torch
from torch import Tensor

from .kernels.library import address, kernels
from .layout import NHWC


class Products(abc.ABC):
    """1 × 1 convolutions, which are matrix products, and attention between pixels. Weights and gradients are fp32."""

    dtype: torch.dtype
    attention: ClassVar[str]  # the function in C; NAME_work and NAME_back go with it
    depths: ClassVar[int]  # what a head's depth has to be a multiple of, for it

    def mix(self, x: tuple[Tensor, ...], weight: Tensor, bias: Tensor, onto: Tensor | None = None) -> Tensor:
        """The 1 × 1 convolution of x, whose channels follow each other, with the weights (o, c, …); plus `onto`."""
        y, at, us = self.picture(len(x[0]), len(weight), *x[0].shape[2:]), 0, []
        for t in x:
            us.append(self.packed(weight, False, at, at + t.shape[1]))
            at += t.shape[1]
        self.product(x, us, bias, onto, y)
        return y

    def mix_back(self, x: tuple[Tensor, ...], weight: Tensor, dy: Tensor, dx: tuple[Tensor, ...]) -> Tensor:
        """The gradient of its weight; that of x is added to dx."""
        dweight, at = torch.empty_like(weight), 0
        for t, dt in zip(x, dx, strict=True):
            self.product((dy,), [self.packed(weight, True, at, at + t.shape[1])], None, dt, dt)
            self.gradient(t, dy, dweight, at)
            at += t.shape[1]
        return dweight

    def unmix(self, weight: Tensor, dy: Tensor) -> Tensor:
        """The gradient of the x of `mix`, which is a single one."""
        dx = self.picture(len(dy), weight.shape[1], *dy.shape[2:])
        self.product((dy,), [self.packed(weight, True, 0, weight.shape[1])], None, None, dx)
        return dx

    def mix_gradients(self, x: Tensor, dy: Tensor) -> tuple[Tensor, Tensor]:
        """Of the weights (o, c) and of the bias of `mix`."""
        dweight = torch.empty(dy.shape[1], x.shape[1])
        return dweight, self.gradient(x, dy, dweight, 0)

    def attend(self, qkv: Tensor, heads: int) -> tuple[Tensor, Tensor]:
        """Attention between all pixels; qkv (b, 3 c, h, w) to (b, c, h, w), and what `attend_back` needs."""
        b, c, h, w = qkv.shape
        sizes = (h * w, heads, c // 3 // heads)
        y, norms = self.picture(b, c // 3, h, w), torch.empty(b, heads, h * w)
        self._attention("", (qkv, y, norms), b, sizes)
        return y, norms

    def attend_back(self, qkv: Tensor, y: Tensor, norms: Tensor, dy: Tensor) -> Tensor:
        """The gradient of qkv."""
        b, c, h, w = qkv.shape
        heads, dqkv = norms.shape[1], self.picture(b, c, h, w)
        self._attention("_back", (qkv, y, dy, norms, dqkv), b, (h * w, heads, c // 3 // heads))
        return dqkv

    def _attention(self, way: str, arrays: tuple[Tensor, ...], b: int, sizes: tuple[int, int, int]) -> None:
        work = torch.empty(getattr(kernels(), f"{self.attention}_work")(*sizes), dtype=self.dtype)
        getattr(kernels(), self.attention + way)(*map(address, (*arrays, work)), b, *sizes)

    def picture(self, b: int, c: int, h: int, w: int) -> Tensor:
        """Room for pictures."""
        return torch.empty((b, c, h, w), dtype=self.dtype, memory_format=NHWC)

    @abc.abstractmethod
    def packed(self, weight: Tensor, back: bool, first: int, last: int) -> Tensor:
        """The weights (o, c, …) of channels `first` to `last` as `product` takes them; with `back`, for dy to dx."""

    @abc.abstractmethod
    def product(
        self, x: tuple[Tensor, ...], us: list[Tensor], bias: Tensor | None, onto: Tensor | None, y: Tensor
    ) -> None:
        """Into y: the sum of one or two x times their packed weights, plus bias, plus `onto`, which may be y."""

    @abc.abstractmethod
    def gradient(self, x: Tensor, dy: Tensor, dweight: Tensor, first: int) -> Tensor:
        """Into dweight (o, c, …), for the channels of x, which begin at `first`; returned, of the bias."""


def operands(x: tuple[Tensor, ...], us: list[Tensor], y: Tensor) -> tuple[tuple[Tensor | None, ...], tuple[int, ...]]:
    """One or two x and their weights as the functions in C take them; and rows, their channels, and those of y."""
    second, weights = (x[1], us[1]) if len(x) > 1 else (None, None)
    b, c, h, w = x[0].shape
    return (x[0], second, us[0], weights), (b * h * w, c, 0 if second is None else second.shape[1], y.shape[1])
