"""The 3 × 3 convolution that the U-Net spends its time in.

Legend: b batch, c channels in, o channels out, h × w pixels.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .kernels.library import address, kernels, serves

LIMIT = 4096  # channels that kernels/winograd.c is made for
LEAST = 16  # pixels: below, transforming the weights takes longer than the convolution


class Conv3x3(nn.Conv2d):
    """A 3 × 3 convolution with padding 1, of x or of x with each pixel four times; `onto` is added to its answer."""

    def __init__(self, ins: int, outs: int) -> None:
        super().__init__(ins, outs, 3, padding=1)
        self._kept: tuple[int, int, Tensor] | None = None  # of which weights, in which version: transformed

    def forward(
        self, x: Float[Tensor, "b c h w"], onto: Float[Tensor, "b o h2 w2"] | None = None, up: bool = False
    ) -> Float[Tensor, "b o h2 w2"]:
        if self._fits(x, up) and serves(x, onto, self.weight, self.bias):
            return _Winograd.apply(x, self.weight, self.bias, onto, up, self._transformed())  # type: ignore[no-untyped-call]
        y = super().forward(F.interpolate(x, scale_factor=2, mode="nearest") if up else x)
        return y if onto is None else y + onto

    def _fits(self, x: Tensor, up: bool) -> bool:
        """The size of one image decides, not the batch's: an image's answer does not depend on its neighbours."""
        ins, outs, pixels = self.in_channels, self.out_channels, x.shape[2] * x.shape[3] << 2 * up
        return ins % 16 == outs % 16 == 0 and max(ins, outs) <= LIMIT and pixels >= LEAST and len(x) > 0

    def _transformed(self) -> Tensor:
        """The transformed weights; without gradients, as in sampling, they are kept until the weights change."""
        if torch.is_grad_enabled() or self.weight.is_inference():
            self._kept = None
            return transformed(self.weight, back=False)
        state = (self.weight.data_ptr(), self.weight._version)
        if self._kept is None or self._kept[:2] != state:
            self._kept = (*state, transformed(self.weight, back=False))
        return self._kept[2]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_kept": None}


class Conv1x1(nn.Conv2d):
    """A 1 × 1 convolution. Where the channels lie together it is a matrix product, which is faster on processors."""

    def __init__(self, ins: int, outs: int) -> None:
        super().__init__(ins, outs, 1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b o h w"]:
        if not x.is_contiguous(memory_format=torch.channels_last):
            return super().forward(x)
        return F.linear(x.permute(0, 2, 3, 1), self.weight.flatten(1), self.bias).permute(0, 3, 1, 2)


class _Winograd(torch.autograd.Function):
    """kernels/winograd.c. `u` are the transformed weights."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, onto: Tensor | None, up: bool, u: Tensor) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        onto = None if onto is None else onto.contiguous(memory_format=torch.channels_last)
        ctx.up, ctx.onto = int(up), onto is not None
        ctx.save_for_backward(x, weight)
        return _convolve(x, u, bias, onto, weight.shape[0], up=int(up), pool=0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        dy = dy.contiguous(memory_format=torch.channels_last)
        dx = dweight = dbias = None
        if ctx.needs_input_grad[0]:
            dx = _convolve(dy, transformed(weight, back=True), None, None, x.shape[1], up=0, pool=ctx.up)
        if ctx.needs_input_grad[1] or ctx.needs_input_grad[2]:
            dweight, dbias = _gradients(x, dy, ctx.up)
        return dx, dweight, dbias, dy if ctx.onto else None, None, None


def transformed(weight: Tensor, back: bool) -> Tensor:
    """The weights as `_convolve` takes them; with `back`, those of the convolution that gives the gradient of x."""
    library, weight = kernels(), weight.detach().contiguous()
    o, c = weight.shape[:2]
    u = weight.new_empty(library.winograd_weights_size(c, o))
    library.winograd_weights(address(weight), address(u), *((o, c) if back else (c, o)), int(back))
    return u


def _convolve(
    x: Tensor, u: Tensor, bias: Tensor | None, onto: Tensor | None, outs: int, *, up: int, pool: int
) -> Tensor:
    """`up` takes each pixel of x four times; `pool` adds up four of the answer's."""
    library = kernels()
    b, c, h, w = x.shape
    h, w = h << up, w << up
    y = torch.empty((b, outs, h >> pool, w >> pool), memory_format=torch.channels_last)
    work = torch.empty(library.winograd_work(c, outs))
    library.winograd(*map(address, (x, u, bias, onto, y, work)), b, h, w, c, outs, up, pool)
    return y


def _gradients(x: Tensor, dy: Tensor, up: int) -> tuple[Tensor, Tensor]:
    """Of the weights and of the bias."""
    library = kernels()
    (b, o, h, w), c = dy.shape, x.shape[1]
    dweight, dbias = torch.empty(o, c, 3, 3), torch.empty(o)
    work = torch.empty(library.winograd_gradient_work(b, h, w, c, o))
    library.winograd_gradient(*map(address, (x, dy, dweight, dbias, work)), b, h, w, c, o, up)
    return dweight, dbias
