"""The backends of convolutions (3 × 3 with padding 1, and 1 × 1) on the CPU, and which one serves which tensors.

Legend: b batch, c channels in, o channels out, h × w pixels. All images are channels last and contiguous.
"""

from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor

from .amx import AMXBackend
from .layout import NHWC, to_rows, upsample_backward
from .library import empty, has_amx, kernel_dtype
from .winograd import WinogradBackend


@runtime_checkable
class ConvBackend(Protocol):
    """Convolves images of its dtype, with weights in its own layout, made of fp32 weights."""

    dtype: torch.dtype

    def supports(self, in_channels: int, out_channels: int, pixels: int) -> bool:
        """Whether this backend takes these channels and output pixels of an image, and is faster than PyTorch there.

        The batch size does not count: the result for an image must not depend on the other images of its batch.
        """
        ...

    def transform_weight(self, weight: Tensor, for_backward: bool) -> Tensor:
        """The weights (o, c, 3, 3) in the layout of `conv3x3`; for_backward: in that of `conv3x3_input_grad`."""
        ...

    def conv3x3(
        self,
        x: Tensor,
        u: Tensor,
        out_channels: int,
        bias: Tensor | None = None,
        residual: Tensor | None = None,
        upsample: bool = False,
    ) -> Tensor:
        """The convolution plus bias and residual. upsample: of x, upsampled by 2 (nearest neighbor)."""
        ...

    def conv3x3_input_grad(self, dy: Tensor, u: Tensor, in_channels: int, upsample: bool = False) -> Tensor:
        """The gradient of x; u is transformed for_backward."""
        ...

    def conv3x3_weight_grad(self, x: Tensor, dy: Tensor, upsample: bool = False) -> tuple[Tensor, Tensor]:
        """The gradients of the weights and of the bias, in fp32."""
        ...

    def conv1x1(self, x: tuple[Tensor, ...], weight: Tensor, bias: Tensor) -> Tensor:
        """The 1 × 1 convolution of the concatenation of x with the weights (o, c, 1, 1)."""
        ...

    def conv1x1_backward(self, x: tuple[Tensor, ...], weight: Tensor, dy: Tensor, dx: tuple[Tensor, ...]) -> Tensor:
        """The gradient of conv1x1's weight; the gradient of x is added to dx."""
        ...


class TorchBackend:
    """bf16 on CPUs without AMX: PyTorch's convolution and matrix product."""

    dtype = torch.bfloat16

    def supports(self, in_channels: int, out_channels: int, pixels: int) -> bool:
        return True

    def transform_weight(self, weight: Tensor, for_backward: bool) -> Tensor:
        return weight.detach().to(self.dtype, memory_format=NHWC)

    def conv3x3(
        self,
        x: Tensor,
        u: Tensor,
        out_channels: int,
        bias: Tensor | None = None,
        residual: Tensor | None = None,
        upsample: bool = False,
    ) -> Tensor:
        y = F.conv2d(_maybe_upsample(x, upsample), u, None if bias is None else bias.to(self.dtype), padding=1)
        return y if residual is None else y.add_(residual)

    def conv3x3_input_grad(self, dy: Tensor, u: Tensor, in_channels: int, upsample: bool = False) -> Tensor:
        like = dy.new_empty(()).expand(len(dy), in_channels, *dy.shape[2:])
        return upsample_backward(_convolution_backward(dy, like, u, (True, False, False))[0], upsample)

    def conv3x3_weight_grad(self, x: Tensor, dy: Tensor, upsample: bool = False) -> tuple[Tensor, Tensor]:
        weight = dy.new_empty(()).expand(dy.shape[1], x.shape[1], 3, 3)
        _, dweight, dbias = _convolution_backward(dy, _maybe_upsample(x, upsample), weight, (False, True, True))
        return dweight.float().contiguous(), dbias.float()

    def conv1x1(self, x: tuple[Tensor, ...], weight: Tensor, bias: Tensor) -> Tensor:
        dtype, (b, _, h, w) = x[0].dtype, x[0].shape
        weights = weight.flatten(1).to(dtype).split([t.shape[1] for t in x], dim=1)
        y = torch.addmm(bias.to(dtype), to_rows(x[0]), weights[0].T)
        for t, part in zip(x[1:], weights[1:], strict=True):
            y.addmm_(to_rows(t), part.T)
        return y.view(b, h, w, -1).permute(0, 3, 1, 2)

    def conv1x1_backward(self, x: tuple[Tensor, ...], weight: Tensor, dy: Tensor, dx: tuple[Tensor, ...]) -> Tensor:
        rows, dweight, widths = to_rows(dy), empty(*weight.shape), [t.shape[1] for t in x]
        weights, dweights = weight.flatten(1).to(dy.dtype).split(widths, dim=1), dweight.flatten(1).split(widths, dim=1)
        for t, dt, part, dpart in zip(x, dx, weights, dweights, strict=True):
            to_rows(dt).addmm_(rows, part)
            dpart.copy_(rows.T @ to_rows(t))
        return dweight


def _convolution_backward(dy: Tensor, x: Tensor, weight: Tensor, output_mask: tuple[bool, bool, bool]) -> Any:
    """The gradients of x, of the weight and of the bias; None where output_mask is False."""
    geometry = ([1, 1], [1, 1], [1, 1], False, [0, 0], 1)
    return torch.ops.aten.convolution_backward(dy, x, weight, [len(weight)], *geometry, list(output_mask))


def _maybe_upsample(x: Tensor, upsample: bool) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest") if upsample else x


WINOGRAD_BACKEND, AMX_BACKEND, TORCH_BACKEND = WinogradBackend(), AMXBackend(), TorchBackend()


def select_backend(*images: Tensor | None, parameters: Iterable[Tensor | None] = ()) -> ConvBackend | None:
    """The backend for these tensors under the present autocast; None: PyTorch computes everything."""
    dtype = kernel_dtype(*images, parameters=parameters)
    if dtype is None:
        return None
    return WINOGRAD_BACKEND if dtype is torch.float32 else AMX_BACKEND if has_amx() else TORCH_BACKEND
