"""Matrix products and attention by the kernels in C; the Python side is the same for fp32 and for bf16.

Legend: b batch, c channels in, o channels out, h × w pixels. All images are channels last and contiguous.
"""

import abc
from typing import ClassVar

import torch
from torch import Tensor

from .library import data_pointers, empty, empty_images, get_kernels


class KernelBackend(abc.ABC):
    """1 × 1 convolutions, which are matrix products, and attention between pixels. Weights and gradients are fp32."""

    dtype: torch.dtype  # of the images
    attention_kernel: ClassVar[str]  # the C function; NAME_work and NAME_back belong to it
    head_dim_multiple: ClassVar[int]  # the attention kernel takes heads whose depth is a multiple of this

    def conv1x1(self, x: tuple[Tensor, ...], weight: Tensor, bias: Tensor, residual: Tensor | None = None) -> Tensor:
        """The 1 × 1 convolution of the concatenation of x with the weights (o, c, …), plus bias and residual."""
        y, first, us = self.empty_images(len(x[0]), len(weight), *x[0].shape[2:]), 0, []
        for t in x:
            us.append(self.pack_weight(weight, False, first, first + t.shape[1]))
            first += t.shape[1]
        self.matmul(x, us, bias, residual, y)
        return y

    def conv1x1_backward(self, x: tuple[Tensor, ...], weight: Tensor, dy: Tensor, dx: tuple[Tensor, ...]) -> Tensor:
        """The gradient of conv1x1's weight; the gradient of x is added to dx."""
        dweight, first = empty(*weight.shape), 0
        for t, dt in zip(x, dx, strict=True):
            self.matmul((dy,), [self.pack_weight(weight, True, first, first + t.shape[1])], None, dt, dt)
            self.matmul_weight_grad(t, dy, dweight, first)
            first += t.shape[1]
        return dweight

    def conv1x1_input_grad(self, weight: Tensor, dy: Tensor) -> Tensor:
        """The gradient of conv1x1's x, where x is one tensor."""
        dx = self.empty_images(len(dy), weight.shape[1], *dy.shape[2:])
        self.matmul((dy,), [self.pack_weight(weight, True, 0, weight.shape[1])], None, None, dx)
        return dx

    def conv1x1_weight_grad(self, x: Tensor, dy: Tensor) -> tuple[Tensor, Tensor]:
        """The gradients of conv1x1's weights (o, c) and bias, where x is one tensor."""
        dweight = empty(dy.shape[1], x.shape[1])
        return dweight, self.matmul_weight_grad(x, dy, dweight, 0)

    def attend(self, qkv: Tensor, heads: int) -> tuple[Tensor, Tensor]:
        """Attention between all pixels: qkv (b, 3 c, h, w) to (b, c, h, w), and the norms for `attend_backward`."""
        b, c, h, w = qkv.shape
        sizes = (h * w, heads, c // 3 // heads)
        y, norms = self.empty_images(b, c // 3, h, w), empty(b, heads, h * w)
        self._attention("", (qkv, y, norms), b, sizes)
        return y, norms

    def attend_backward(self, qkv: Tensor, y: Tensor, norms: Tensor, dy: Tensor) -> Tensor:
        """The gradient of qkv."""
        b, c, h, w = qkv.shape
        heads, dqkv = norms.shape[1], self.empty_images(b, c, h, w)
        self._attention("_back", (qkv, y, dy, norms, dqkv), b, (h * w, heads, c // 3 // heads))
        return dqkv

    def _attention(self, suffix: str, arrays: tuple[Tensor, ...], b: int, sizes: tuple[int, int, int]) -> None:
        work = empty(getattr(get_kernels(), f"{self.attention_kernel}_work")(*sizes), dtype=self.dtype)
        getattr(get_kernels(), self.attention_kernel + suffix)(*data_pointers(*arrays, work), b, *sizes)

    def empty_images(self, b: int, c: int, h: int, w: int) -> Tensor:
        """Uninitialized images of this backend's dtype."""
        return empty_images(b, c, h, w, self.dtype)

    @abc.abstractmethod
    def pack_weight(self, weight: Tensor, for_backward: bool, first_channel: int, last_channel: int) -> Tensor:
        """The weights (o, c, …) of channels [first, last) in the layout of `matmul`; for_backward: for dy to dx."""

    @abc.abstractmethod
    def matmul(
        self, x: tuple[Tensor, ...], us: list[Tensor], bias: Tensor | None, residual: Tensor | None, y: Tensor
    ) -> None:
        """Write to y: the sum of one or two x times their packed weights, plus bias and residual, which may be y."""

    @abc.abstractmethod
    def matmul_weight_grad(self, x: Tensor, dy: Tensor, dweight: Tensor, first_channel: int) -> Tensor:
        """Write to dweight (o, c, …) for the channels of x, from first_channel on; return the bias's gradient."""


def matmul_operands(
    x: tuple[Tensor, ...], us: list[Tensor], y: Tensor
) -> tuple[tuple[Tensor | None, ...], tuple[int, ...]]:
    """The C functions' arguments for one or two x and their weights: arrays, and rows, channels of each x and of y."""
    second, weights = (x[1], us[1]) if len(x) > 1 else (None, None)
    b, c, h, w = x[0].shape
    return (x[0], second, us[0], weights), (b * h * w, c, 0 if second is None else second.shape[1], y.shape[1])
