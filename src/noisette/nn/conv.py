"""The convolutions that the U-Net spends its time in.

Legend: b batch, c channels in, o channels out, h × w pixels.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .engine import Engine, engine
from .layout import NHWC


class Conv3x3(nn.Conv2d):
    """A 3 × 3 convolution with padding 1, of x or of x with each pixel four times; `onto` is added to its answer."""

    def __init__(self, ins: int, outs: int) -> None:
        super().__init__(ins, outs, 3, padding=1)
        self._kept: tuple[Engine, int, int, Tensor] | None = None  # for whom, of which weights, in which version

    def forward(
        self, x: Float[Tensor, "b c h w"], onto: Float[Tensor, "b o h2 w2"] | None = None, up: bool = False
    ) -> Float[Tensor, "b o h2 w2"]:
        by = engine(x, onto, self.weight, self.bias)
        if by is not None and self.fits(by, x, up):
            return _Conv3x3.apply(by, x, self.weight, self.bias, onto, up, self.transformed(by))  # type: ignore[no-untyped-call]
        y = super().forward(F.interpolate(x, scale_factor=2, mode="nearest") if up else x)
        return y if onto is None else y + onto

    def fits(self, by: Engine, x: Tensor, up: bool = False) -> bool:
        """Whether the engine is made for x, of any number of channels, and gains by it."""
        return x.shape[0] > 0 and by.fits(self.in_channels, self.out_channels, x.shape[2] * x.shape[3] << 2 * up)

    def transformed(self, by: Engine) -> Tensor:
        """The transformed weights; without gradients, as in sampling, they are kept until the weights change."""
        if torch.is_grad_enabled() or self.weight.is_inference():
            self._kept = None
            return by.transform(self.weight, back=False)
        state = (by, self.weight.data_ptr(), self.weight._version)
        if self._kept is None or self._kept[:3] != state:
            self._kept = (*state, by.transform(self.weight, back=False))
        return self._kept[3]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_kept": None}


class Conv1x1(nn.Conv2d):
    """A 1 × 1 convolution. Where the channels lie together it is a matrix product, which is faster on processors."""

    def __init__(self, ins: int, outs: int) -> None:
        super().__init__(ins, outs, 1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b o h w"]:
        if not x.is_contiguous(memory_format=NHWC):
            return super().forward(x)
        return F.linear(x.permute(0, 2, 3, 1), self.weight.flatten(1), self.bias).permute(0, 3, 1, 2)


class _Conv3x3(torch.autograd.Function):
    """`u` are the transformed weights."""

    @staticmethod
    def forward(
        ctx: Any, by: Engine, x: Tensor, weight: Tensor, bias: Tensor, onto: Tensor | None, up: bool, u: Tensor
    ) -> Tensor:
        x = x.to(by.dtype, memory_format=NHWC)
        onto = None if onto is None else onto.to(by.dtype, memory_format=NHWC)
        ctx.by, ctx.up, ctx.onto = by, up, onto is not None
        ctx.save_for_backward(x, weight)
        with torch.autocast("cpu", enabled=False):
            return by.convolve(x, u, len(weight), bias, onto, up)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        dy, by = dy.contiguous(memory_format=NHWC), ctx.by
        dx = dweight = dbias = None
        with torch.autocast("cpu", enabled=False):
            if ctx.needs_input_grad[1]:
                dx = by.back(dy, by.transform(weight, back=True), x.shape[1], ctx.up)
            if ctx.needs_input_grad[2] or ctx.needs_input_grad[3]:
                dweight, dbias = by.gradients(x, dy, ctx.up)
        return None, dx, dweight, dbias, dy if ctx.onto else None, None, None
