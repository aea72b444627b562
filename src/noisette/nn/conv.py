"""The convolutions in which a U-Net spends its time.

Legend: b batch, c channels in, o channels out, h × w pixels.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .kernels.backend import ConvBackend, select_backend
from .kernels.layout import NHWC
from .kernels.library import same_bytes


class Conv3x3(nn.Conv2d):
    """A 3 × 3 convolution with padding 1, of x or of x upsampled by 2 (nearest neighbor); adds `residual` to it."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1)
        self._weight_cache: tuple[ConvBackend, Tensor, Tensor] | None = None  # backend, weights, transformed weights

    def forward(
        self, x: Float[Tensor, "b c h w"], residual: Float[Tensor, "b o h2 w2"] | None = None, upsample: bool = False
    ) -> Float[Tensor, "b o h2 w2"]:
        backend = None
        if self.in_channels % 16 == self.out_channels % 16 == 0 or torch.is_autocast_enabled("cpu"):  # fp32: only these
            backend = select_backend(x, residual, parameters=(self.weight, self.bias))
        if backend is not None and self.is_supported(backend, x, upsample):
            u = self.transform_weight(backend)
            return _Conv3x3.apply(backend, x, self.weight, self.bias, residual, upsample, u)  # type: ignore[no-untyped-call]
        y = convolve(self, F.interpolate(x, scale_factor=2, mode="nearest") if upsample else x)
        return y if residual is None else y + residual

    def is_supported(self, backend: ConvBackend, x: Tensor, upsample: bool = False) -> bool:
        """Whether the backend takes this layer, of x with any number of channels, and is faster than PyTorch."""
        return x.shape[0] > 0 and backend.supports(
            self.in_channels, self.out_channels, x.shape[2] * x.shape[3] << 2 * upsample
        )

    def transform_weight(self, backend: ConvBackend) -> Tensor:
        """The transformed weights. Without gradients, as in sampling, they are kept for the next call.

        They are used again only if the weights still hold the same bytes as then. A version counter would not do:
        writes through `.data`, as the usual swap of EMA weights makes them, do not change it.
        """
        if torch.is_grad_enabled():
            self._weight_cache = None
            return backend.transform_weight(self.weight, for_backward=False)
        weight, cache = self.weight.detach(), self._weight_cache
        if cache is None or cache[0] is not backend or not same_bytes(weight, cache[1]):
            cache = (backend, weight.clone(), backend.transform_weight(weight, for_backward=False))
            self._weight_cache = cache
        return cache[2]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_weight_cache": None}


class StridedConv3x3(nn.Conv2d):
    """A 3 × 3 convolution with stride 2. padding: 1, or 0 where the caller pads."""

    def __init__(self, in_channels: int, out_channels: int, padding: int) -> None:
        super().__init__(in_channels, out_channels, 3, stride=2, padding=padding)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b o h2 w2"]:
        return convolve(self, x)


class Conv1x1(nn.Conv2d):
    """A 1 × 1 convolution. In channels-last format it is a matrix product, which is faster on CPUs."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b o h w"]:
        if not x.is_contiguous(memory_format=NHWC):
            return super().forward(x)
        return F.linear(x.permute(0, 2, 3, 1), self.weight.flatten(1), self.bias).permute(0, 3, 1, 2)


def convolve(conv: nn.Conv2d, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b o h2 w2"]:
    """A 3 × 3 convolution by PyTorch.

    In training in fp32, the kernels compute the gradient of the weights, where there are any: PyTorch sums it in as
    many parts as there are threads, so that its last bits depend on their number.
    """
    weight, bias = conv.weight, conv.bias
    backend = None
    if torch.is_grad_enabled() and weight.requires_grad:
        backend = select_backend(x, parameters=(weight, bias))
    wide_c, wide_o = (-(-channels // 16) * 16 for channels in (conv.in_channels, conv.out_channels))
    if backend is None or backend.dtype is not torch.float32 or not backend.supports(wide_c, wide_o, 1 << 10):
        return conv._conv_forward(x, weight, bias)
    return _Convolution.apply(backend, x, weight, bias, conv.stride[0], int(conv.padding[0]))  # type: ignore[no-untyped-call]


class _Convolution(torch.autograd.Function):
    """PyTorch's 3 × 3 convolution, with the weights' gradient by a backend."""

    @staticmethod
    def forward(
        ctx: Any, backend: ConvBackend, x: Tensor, weight: Tensor, bias: Tensor, stride: int, padding: int
    ) -> Tensor:
        ctx.backend, ctx.stride, ctx.padding = backend, stride, padding
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, bias, stride, padding)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        (x, weight), stride, padding = ctx.saved_tensors, ctx.stride, ctx.padding
        dx = None
        if ctx.needs_input_grad[1]:
            geometry = ([stride] * 2, [padding] * 2, [1, 1], False, [0, 0], 1)
            dx = torch.ops.aten.convolution_backward(dy, x, weight, None, *geometry, [True, False, False])[0]
        # as the gradient of a convolution with stride 1 and padding 1: dy has gaps, and channels up to a multiple of 16
        o, c = weight.shape[:2]
        x = _widen(x)
        spread = x.new_zeros(len(x), -(-o // 16) * 16, *x.shape[2:]).contiguous(memory_format=NHWC)
        spread[:, :o, 1 - padding :: stride, 1 - padding :: stride][:, :, : dy.shape[2], : dy.shape[3]] = dy
        dweight, dbias = ctx.backend.conv3x3_weight_grad(x, spread)
        return None, dx, dweight[:o, :c].contiguous(), dbias[:o], None, None


def _widen(x: Tensor) -> Tensor:
    """x with channels of zeros up to a multiple of 16, channels last."""
    missing = -x.shape[1] % 16
    wide = torch.cat([x, x.new_zeros(len(x), missing, *x.shape[2:])], dim=1) if missing else x
    return wide.contiguous(memory_format=NHWC)


class _Conv3x3(torch.autograd.Function):
    """Conv3x3 by a backend; `u` are the transformed weights."""

    @staticmethod
    def forward(
        ctx: Any,
        backend: ConvBackend,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        residual: Tensor | None,
        upsample: bool,
        u: Tensor,
    ) -> Tensor:
        x = x.to(backend.dtype, memory_format=NHWC)
        residual = None if residual is None else residual.to(backend.dtype, memory_format=NHWC)
        ctx.backend, ctx.upsample, ctx.has_residual = backend, upsample, residual is not None
        ctx.save_for_backward(x, weight)
        with torch.autocast("cpu", enabled=False):
            return backend.conv3x3(x, u, len(weight), bias, residual, upsample)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        dy, backend = dy.contiguous(memory_format=NHWC), ctx.backend
        dx = dweight = dbias = None
        with torch.autocast("cpu", enabled=False):
            if ctx.needs_input_grad[1]:
                u = backend.transform_weight(weight, for_backward=True)
                dx = backend.conv3x3_input_grad(dy, u, x.shape[1], ctx.upsample)
            if ctx.needs_input_grad[2] or ctx.needs_input_grad[3]:
                dweight, dbias = backend.conv3x3_weight_grad(x, dy, ctx.upsample)
        return None, dx, dweight, dbias, dy if ctx.has_residual else None, None, None
