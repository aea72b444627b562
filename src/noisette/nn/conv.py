"""The convolutions that the U-Net spends its time in.

Legend: b batch, c channels in, o channels out, h × w pixels.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .kernels.library import address, kernels, serves

NHWC = torch.channels_last
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
        if self.fits(x, up) and serves(x, onto, self.weight, self.bias):
            return _Conv3x3.apply(x, self.weight, self.bias, onto, up, self.transformed())  # type: ignore[no-untyped-call]
        y = super().forward(F.interpolate(x, scale_factor=2, mode="nearest") if up else x)
        return y if onto is None else y + onto

    def fits(self, x: Tensor, up: bool = False) -> bool:
        """Whether kernels/winograd.c is made for x, of any number of channels, and gains by it.

        The size of one image decides, not the batch's: an image's answer does not depend on its neighbours.
        """
        ins, outs, pixels = self.in_channels, self.out_channels, x.shape[2] * x.shape[3] << 2 * up
        return ins % 16 == outs % 16 == 0 and max(ins, outs) <= LIMIT and pixels >= LEAST and len(x) > 0

    def transformed(self) -> Tensor:
        """The transformed weights; without gradients, as in sampling, they are kept until the weights change."""
        if torch.is_grad_enabled() or self.weight.is_inference():
            self._kept = None
            return transform(self.weight, back=False)
        state = (self.weight.data_ptr(), self.weight._version)
        if self._kept is None or self._kept[:2] != state:
            self._kept = (*state, transform(self.weight, back=False))
        return self._kept[2]

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


def transform(weight: Tensor, back: bool) -> Tensor:
    """The weights as `convolve` takes them; with `back`, those of the convolution that gives the gradient of x."""
    library, weight = kernels(), weight.detach().contiguous()
    o, c = weight.shape[:2]
    u = torch.empty(library.winograd_weights_size(c, o))
    library.winograd_weights(address(weight), address(u), *((o, c) if back else (c, o)), int(back))
    return u


def convolve(
    x: Tensor,
    u: Tensor,
    outs: int,
    bias: Tensor | None = None,
    onto: Tensor | None = None,
    *,
    up: bool = False,
    pool: bool = False,
) -> Tensor:
    """kernels/winograd.c. `up` takes each pixel of x four times; `pool` adds up four of the answer's."""
    library = kernels()
    b, c, h, w = x.shape
    h, w = h << up, w << up
    y = torch.empty((b, outs, h >> pool, w >> pool), memory_format=NHWC)
    work = torch.empty(library.winograd_work(c, outs))
    library.winograd(*map(address, (x, u, bias, onto, y, work)), b, h, w, c, outs, int(up), int(pool))
    return y


def gradients(x: Tensor, dy: Tensor, up: bool = False) -> tuple[Tensor, Tensor]:
    """Of the weights and of the bias."""
    library = kernels()
    (b, o, h, w), c = dy.shape, x.shape[1]
    dweight, dbias = torch.empty(o, c, 3, 3), torch.empty(o)
    work = torch.empty(library.winograd_gradient_work(b, h, w, c, o))
    library.winograd_gradient(*map(address, (x, dy, dweight, dbias, work)), b, h, w, c, o, int(up))
    return dweight, dbias


class _Conv3x3(torch.autograd.Function):
    """`u` are the transformed weights."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, onto: Tensor | None, up: bool, u: Tensor) -> Tensor:
        x = x.contiguous(memory_format=NHWC)
        onto = None if onto is None else onto.contiguous(memory_format=NHWC)
        ctx.up, ctx.onto = up, onto is not None
        ctx.save_for_backward(x, weight)
        return convolve(x, u, weight.shape[0], bias, onto, up=up)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        dy = dy.contiguous(memory_format=NHWC)
        dx = dweight = dbias = None
        if ctx.needs_input_grad[0]:
            dx = convolve(dy, transform(weight, back=True), x.shape[1], pool=ctx.up)
        if ctx.needs_input_grad[1] or ctx.needs_input_grad[2]:
            dweight, dbias = gradients(x, dy, ctx.up)
        return dx, dweight, dbias, dy if ctx.onto else None, None, None
